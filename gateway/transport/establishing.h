#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>

#include "gateway/base/fifo.h"
#include "gateway/transport/acceptors.h"
#include "gateway/transport/receiver.h"
#include "gateway/transport/sender.h"
#include "gateway/transport/stream_environment.h"
#include "gateway/transport/stream_table.h"
#include "protocol/http/request_head.h"
#include "protocol/http/response.h"

namespace ringway {

// What comes before a stream is open: the PROXY header, the TLS handshake, the HTTP request that
// asks for a WebSocket (RFC 6455 4.2, RFC 7118 4.1) or for a page.
class Establishing {
 public:
  Establishing(const StreamEnvironment& environment, const StreamSnapshots& snapshots,
               StreamTable& table, Sender& sender, Receiver& receiver, Acceptors& acceptors);

  // An accepted stream, or one of ours that is connected: its first stage.
  void begin(Stream& stream, Instant now);
  // Works on the intake. Each returns when it is used up or the stream's stage is another.
  void read_proxy_header(Stream& stream, Instant now);
  void read_handshake(Stream& stream, Instant now);
  void read_upgrade(Stream& stream, Instant now);
  // The stream was closed: a handshake that it ended is counted, and logged if it had begun.
  void closed(Stream& stream);
  // The stage's time is over.
  void timed_out(Stream& stream, Instant now);

  // Handshakes cost most of all that comes: they wait to be asked for.
  bool has_handshakes() const { return !handshakes_.empty(); }
  // One step of one of them; false: none waits. It may leave an intake.
  bool step_handshake(Instant now);

 private:
  void begin_protocol(Stream& stream, Instant now);
  void open(Stream& stream, Instant now);
  void refuse(Stream& stream, FlowEnd end, TransportFailure failure, Instant now);

  // establishing_tls.cc
  std::uint16_t tls_profile(const Stream& stream) const;
  void tls_unavailable(Stream& stream, Instant now);
  bool make_session(Stream& stream);
  void queue_handshake(Stream& stream);
  void step(Stream& stream, Instant now);
  void handshake_done(Stream& stream, MutableBytes rest, Instant now);
  void handshake_failed(Stream& stream, Instant now);
  void note_certificate_names(Stream& stream);

  // upgrade.cc
  void answer_request(Stream& stream, const http::RequestHead& head, Instant now);
  void answer_page(Stream& stream, const http::RequestHead& head, std::string_view path,
                   Instant now);
  void answer_error(Stream& stream, http::Status status, std::string_view headers, Instant now,
                    http::Body body = http::Body::Follows);
  std::expected<std::optional<Endpoint>, http::Status> client_of(const Stream& stream,
                                                                 const http::RequestHead& head);

  const Config& config_;
  const ShardListeners& listeners_;
  BufferPool& buffers_;
  Counters& counters_;
  Log& log_;
  const StreamSnapshots& snapshots_;
  StreamTable& table_;
  Sender& sender_;
  Receiver& receiver_;
  Acceptors& acceptors_;
  Fifo<SlotId> handshakes_;
  std::unique_ptr<std::uint8_t[]> output_;  // what TLS writes
};

}  // namespace ringway
