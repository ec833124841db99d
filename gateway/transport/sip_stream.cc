#include <algorithm>

#include "gateway/transport/streams.h"
#include "protocol/proxy_protocol/header.h"

// SIP over TCP and TLS (RFC 3261 18.3), and the PROXY header that may come before anything.

namespace ringway {
namespace {

constexpr std::size_t kMessageMax = 65'536;

}  // namespace

// Gives the next message; nullopt when plain is used up.
std::optional<StreamEvent> Streams::step_sip(Stream& stream, Instant now) {
  for (;;) {
    MutableBytes& plain = intake_.plain;
    Bytes pending = plain;
    if (stream.partial) {
      if (!plain.empty() && !append_partial(stream, plain, kMessageMax)) {
        if (stream.partial.size() - stream.partial_used < kMessageMax) {  // no buffer
          begin_close(stream, FlowEnd::Reset, TransportFailure::QueueFull, Manner::Abrupt, now);
        } else {
          stream.broken = true;
        }
        return std::nullopt;
      }
      pending = stream.partial.bytes().subspan(stream.partial_used);
    }
    if (pending.empty()) {
      drop_partial(stream);
      return std::nullopt;
    }
    const auto frame = stream.framer.next(pending);
    const auto consume = [&](std::size_t size) {
      if (stream.partial) {
        stream.partial_used += static_cast<std::uint32_t>(size);
        // The memory stays as long as a message in it is lent: until the next call.
      } else {
        plain = plain.subspan(size);
      }
    };
    StreamEvent event;
    event.kind = StreamEvent::Kind::Message;
    event.source = source_of(stream);
    switch (frame.kind) {
      case sip::StreamFramer::Kind::Incomplete:
        if (!plain.empty()) {
          if (stream.partial) continue;
          if (append_partial(stream, plain, kMessageMax)) continue;
          begin_close(stream, FlowEnd::Reset, TransportFailure::QueueFull, Manner::Abrupt, now);
        }
        return std::nullopt;
      case sip::StreamFramer::Kind::Message:
        consume(frame.size);
        event.bytes = pending.first(frame.size);
        return event;
      case sip::StreamFramer::Kind::Ping:
        consume(frame.size);
        counters_.keepalives_answered.add();
        enqueue_bytes(stream, as_bytes("\r\n"), now);
        if (stream.is_closing()) return std::nullopt;
        continue;
      case sip::StreamFramer::Kind::Pong:
        consume(frame.size);
        continue;
      case sip::StreamFramer::Kind::Broken:
        // If it can be parsed at all, the core answers 400 or 513; then the connection ends.
        stream.broken = true;
        event.bytes = pending.first(std::min<std::size_t>(pending.size(), kMessageMax - 1));
        return event;
    }
  }
}

std::optional<StreamEvent> Streams::step_proxy_header(Stream& stream, Instant now) {
  const auto refuse = [&]() -> std::optional<StreamEvent> {
    log_.info("proxy_header_refused",
              {{"listener", listeners_.infos[stream.listener].config.name}});
    begin_close(stream, FlowEnd::ProtocolError, TransportFailure::Closed, Manner::Abrupt, now);
    return std::nullopt;
  };
  const std::size_t fresh = intake_.raw.size();
  MutableBytes input = intake_.raw;
  if (!append_partial(stream, input, proxy_protocol::kHeaderBytesMax + 16)) return refuse();
  const std::size_t taken = fresh - input.size();
  const auto header = proxy_protocol::parse_header(stream.partial.bytes());
  if (!header) return refuse();
  if (!*header) {
    intake_.raw = input;
    if (input.empty()) end_intake();
    return std::nullopt;
  }
  counters_.proxy_headers.add();
  const auto& source = (*header)->source;
  if ((*header)->family != proxy_protocol::Family::Unspecified) {
    Endpoint remote;
    remote.port = source.port;
    remote.address.family =
        (*header)->family == proxy_protocol::Family::Ipv4 ? Family::V4 : Family::V6;
    remote.address.bytes = source.bytes;
    stream.remote = remote;
  }
  if (sources_.count(stream.remote.address) >= config_.limits.flows_per_source) {
    counters_.flows_refused[static_cast<std::size_t>(stream.transport)].add();
    begin_close(stream, FlowEnd::Closed, TransportFailure::Closed, Manner::Abrupt, now);
    return std::nullopt;
  }
  sources_.add(stream.remote.address);
  stream.source_counted = true;
  // What followed the header within the newest bytes is the client's.
  const std::size_t surplus = stream.partial.size() - (*header)->size;
  drop_partial(stream);
  intake_.raw = intake_.raw.subspan(std::min(taken - std::min(taken, surplus), fresh));
  begin(stream, now);
  return std::nullopt;
}

}  // namespace ringway
