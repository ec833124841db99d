#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "gateway/base/endpoint.h"
#include "gateway/reactor/kernel.h"
#include "gateway/reactor/receive_buffers.h"
#include "gateway/tunnel/controller_end.h"
#include "gateway/tunnel/numbers.h"

namespace ringway::tunnel {

// Where the controller end listens for datagrams: "127.0.0.1:2223" or "unix:/run/ng.sock".
struct ListenAddress {
  std::string text;
  bool unix_socket = false;
  std::string path;   // of a Unix socket
  Endpoint endpoint;  // else
};

// The controller end's datagram sockets.
//
// An answer that the peer's socket has no room for, as a Unix socket has for ten only, waits and is
// tried again, in order, for kWaitMax. Bound: kWaitingMax answers of kWaitingBytesMax together;
// send() then fails.
class Listeners {
 public:
  static constexpr Duration kTryEvery = 2ms, kWaitMax = 1s;
  static constexpr std::size_t kWaitingMax = 1024, kWaitingBytesMax = 16 << 20;

  Listeners() = default;
  ~Listeners();
  Listeners(const Listeners&) = delete;
  Listeners& operator=(const Listeners&) = delete;

  // Opens and binds all. A Unix socket that a process left behind is replaced; one that somebody
  // still reads is not. Errors: a sentence that says what to do.
  [[nodiscard]] std::expected<void, std::string> open(const std::vector<ListenAddress>& addresses);

  // On the thread that runs kernel, which outlives this object.
  [[nodiscard]] std::expected<void, std::string> start(Kernel& kernel, Numbers& numbers);

  // A completion of kind ReceiveDatagram: gives end what came.
  void completed(const Completion& completion, ControllerEnd& end, Instant now);
  // Once a turn.
  void arm();
  ControllerOutside::Sent send(const SourceName& to, Bytes bytes, Instant now);
  Instant next_deadline() const { return try_at_; }
  // Tries again what waits.
  void expire(Instant now);

 private:
  struct Listener {
    int fd = -1;
    bool unix_socket = false;
    Family family = Family::V4;  // else
    std::string path;
    bool armed = false;
    msghdr header{};  // how much room a name and our own address get
  };
  struct Waiting {
    SourceName to;
    Instant since{};
    std::vector<std::uint8_t> bytes;
  };
  ReceiveBuffers& buffers_of(const Listener& listener) {
    return listener.unix_socket ? unix_buffers_ : udp_buffers_;
  }
  // 0 or an errno.
  int send_now(const SourceName& to, Bytes bytes) const;

  Kernel* kernel_ = nullptr;
  Numbers* numbers_ = nullptr;
  std::vector<std::unique_ptr<Listener>> listeners_;
  ReceiveBuffers udp_buffers_, unix_buffers_;
  std::vector<Waiting> waiting_;  // oldest first
  std::size_t waiting_bytes_ = 0;
  Instant try_at_ = kNever;
};

}  // namespace ringway::tunnel
