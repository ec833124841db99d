#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "gateway/base/endpoint.h"
#include "gateway/base/slot_table.h"
#include "gateway/reactor/kernel.h"
#include "gateway/reactor/receive_buffers.h"
#include "gateway/transport/sockaddr.h"
#include "gateway/tunnel/cookie.h"
#include "gateway/tunnel/frame.h"
#include "gateway/tunnel/operation_tags.h"
#include "gateway/tunnel/relay_end.h"
#include "protocol/bencode/bencode.h"

namespace ringway::tunnel {

// Where the relay end's messages go: rtpengine's UDP port, or its TCP port, on which a message ends
// where its bencode ends.
struct TargetAddress {
  std::string text;
  bool tcp = false;
  Endpoint endpoint;
};

// The relay end's sockets to its target, one for each stream.
class Targets {
 public:
  // Bytes that wait for one TCP connection to the target.
  static constexpr std::size_t kQueueMax = 1 << 20;
  static constexpr bencode::MessageFramer::Limits kFramerLimits{kSentCookieBytesMax,
                                                                kMessageBytesMax};

  Targets(const TargetAddress& address, std::uint32_t streams_max);
  ~Targets();
  Targets(const Targets&) = delete;
  Targets& operator=(const Targets&) = delete;

  // On the thread that runs kernel, which outlives this object.
  [[nodiscard]] std::expected<void, std::string> start(Kernel& kernel);

  bool open(SlotId stream);
  RelayOutside::Sent send(SlotId stream, Bytes message);
  void close(SlotId stream);

  // A completion with kTargetTag: gives end what came.
  void completed(Completion completion, RelayEnd& end, Instant now);
  // Once a turn.
  void arm();

 private:
  struct Target {
    int fd = -1;
    SlotId stream;  // empty: it is over, and the kernel still holds something
    bool receiving = false, connecting = false, sending = false;
    // TCP only.
    bool connected = false;
    std::vector<std::uint8_t> queue, flying;  // to be sent; what the kernel sends
    std::vector<std::uint8_t> input;          // what is no whole message yet
    bencode::MessageFramer framer{kFramerLimits};
  };

  SlotId id_of(SlotId stream) const;
  static Operation operation(OperationKind kind, SlotId id) {
    return {kind, {id.slot | kTargetTag, id.generation}};
  }
  void push(SlotId id, Target& target);
  void framed(SlotId id, Target& target, Bytes bytes, RelayEnd& end, Instant now);
  void broken(Target& target, RelayEnd& end, Instant now);
  void arm(SlotId id, Target& target);
  void release_if_idle(SlotId id, Target& target);

  const TargetAddress address_;
  SocketAddress name_{};
  socklen_t name_size_ = 0;
  Kernel* kernel_ = nullptr;
  ReceiveBuffers buffers_;
  SlotTable<Target> targets_;
  std::vector<SlotId> of_stream_;  // by the stream's slot
  std::vector<SlotId> unarmed_;
};

}  // namespace ringway::tunnel
