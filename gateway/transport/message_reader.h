#pragma once

#include <optional>

#include "gateway/transport/event.h"
#include "gateway/transport/receiver.h"
#include "gateway/transport/sender.h"
#include "gateway/transport/stream_environment.h"
#include "gateway/transport/stream_table.h"

namespace ringway {

// Messages and keepalives in what open streams bring: SIP on TCP and TLS (RFC 3261 18.3, RFC 5626
// 3.5.1), WebSocket frames (RFC 6455 5, RFC 7118 4.2).
class MessageReader {
 public:
  MessageReader(const StreamEnvironment& environment, StreamTable& table, Sender& sender,
                Receiver& receiver);

  // The next message in the plaintext of the intake, lent until the next call; nullopt when the
  // plaintext is used up, or the stream was closed. Keepalives are answered on the way.
  std::optional<StreamEvent> next(Stream& stream, Instant now);
  // A WebSocket that has been silent for long.
  void ping(Stream& stream, Instant now);
  // Close frame, then the end.
  void close_websocket(Stream& stream, std::uint16_t code, FlowEnd end, Instant now);

 private:
  std::optional<StreamEvent> next_sip(Stream& stream, Instant now);
  std::optional<StreamEvent> next_websocket(Stream& stream, Instant now);
  StreamEvent message_of(const Stream& stream, Bytes bytes) const;
  bool may_ping(Stream& stream, Instant now) const;

  Counters& counters_;
  StreamTable& table_;
  Sender& sender_;
  Receiver& receiver_;
};

}  // namespace ringway
