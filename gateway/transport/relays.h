#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "gateway/base/random.h"
#include "gateway/transport/connector.h"
#include "gateway/transport/event.h"
#include "gateway/transport/receiver.h"
#include "gateway/transport/sender.h"
#include "gateway/transport/stream_environment.h"
#include "gateway/transport/stream_table.h"
#include "protocol/bencode/bencode.h"

namespace ringway {

// Connections to the media relays' control ports (listen-tcp-ng): requests out, replies and events
// in, each `cookie SP dictionary`, which alone says where it ends. One that is lost is opened
// again, after 50 ms and then ever later up to 2 s, for ever.
class Relays {
 public:
  Relays(const StreamEnvironment& environment, StreamTable& table, Connector& connector,
         Sender& sender, Receiver& receiver);

  void connect_all(Instant now);
  // A relay that is not connected loses the request; its core has heard of the loss, or will.
  void send(std::uint8_t relay, BufferRef request, Instant now);
  // Its stream is open, or has ended.
  void opened(Stream& stream);
  void ended(Stream& stream, Instant now);
  // The next message in the plaintext of the intake, lent until the next call.
  std::optional<StreamEvent> next(Stream& stream, Instant now);

  Instant next_deadline() const;
  void expire(Instant now);

 private:
  struct Relay {
    Endpoint endpoint;
    bool by_stream = true;  // false: its datagrams are Datagrams' business
    SlotId stream;          // empty: not connected
    Instant retry_at{};
    Duration retry_after{};
    bool reported = false;  // that it cannot be reached was logged
    std::unique_ptr<std::uint8_t[]> pending;
    std::size_t pending_size = 0;
    std::size_t pending_used = 0;
    bencode::MessageFramer framer;
  };

  void connect(std::uint8_t index, Instant now);
  void report(StreamEvent::Kind kind, std::uint8_t index);

  Counters& counters_;
  Log& log_;
  Random random_;
  StreamTable& table_;
  Connector& connector_;
  Sender& sender_;
  Receiver& receiver_;
  std::vector<Relay> relays_;
};

}  // namespace ringway
