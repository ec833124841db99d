#include <algorithm>
#include <array>

#include "gateway/transport/streams.h"
#include "protocol/base/ascii.h"
#include "protocol/http/response.h"
#include "protocol/websocket/handshake.h"
#include "tls/digest.h"

// WS and WSS: the HTTP request that comes first (RFC 6455 4.2, RFC 7118 4.1), then frames.

namespace ringway {
namespace {

template <typename List>
bool allows(const List& allowed, std::string_view value) {
  return allowed.empty() || std::any_of(allowed.begin(), allowed.end(), [&](const auto& entry) {
           return ascii::equal_ignoring_case(entry, value);
         });
}

// Host without its port.
std::string_view host_name(std::string_view host) {
  const std::size_t colon = host.rfind(':');
  if (colon == host.npos || host.find(']', colon) != host.npos) return host;
  return host.substr(0, colon);
}

}  // namespace

std::optional<StreamEvent> Streams::step_upgrade(Stream& stream, Instant now) {
  MutableBytes& plain = intake_.plain;
  if (plain.empty()) return std::nullopt;
  const std::size_t fresh = plain.size();
  MutableBytes rest = plain;
  std::string_view text = as_text(plain);
  if (stream.partial) {
    if (!append_partial(stream, rest, http::kHeadBytesMax + 1)) {
      answer_error(stream, http::Status::HeadTooLarge, {}, now);
      return std::nullopt;
    }
    text = as_text(stream.partial.bytes());
  }
  auto head = stream.head_reader.read(text);
  if (!head) {
    answer_error(stream, head.error(), {}, now);
    return std::nullopt;
  }
  if (!*head) {
    if (stream.partial) {
      plain = rest;
    } else if (!append_partial(stream, plain, http::kHeadBytesMax + 1)) {
      begin_close(stream, FlowEnd::Reset, TransportFailure::QueueFull, Manner::Abrupt, now);
    }
    return std::nullopt;
  }
  // What followed the head within the newest bytes belongs to the WebSocket.
  const std::size_t surplus = text.size() - (*head)->size() + (stream.partial ? rest.size() : 0);
  answer_request(stream, **head, now);
  drop_partial(stream);
  plain = plain.last(std::min(surplus, fresh));
  return std::nullopt;
}

void Streams::answer_request(Stream& stream, const http::RequestHead& head, Instant now) {
  const ListenConfig& listen = listeners_.infos[stream.listener].config;
  std::array<std::uint8_t, 1'024> memory;
  Writer writer(memory);
  if (!allows(listen.hosts, host_name(head.find("Host").value_or("")))) {
    return answer_error(stream, http::Status::Forbidden, {}, now);
  }
  const auto handshake = websocket::check_handshake(head, tls::sha1);
  if (handshake.verdict == websocket::Verdict::NotAnUpgrade) {
    if (head.method() != "GET") {
      return answer_error(stream, http::Status::MethodNotAllowed, "Allow: GET\r\n", now);
    }
    const StaticPages::Page* page = pages_ ? pages_->find(head.path()) : nullptr;
    if (!page) return answer_error(stream, http::Status::NotFound, {}, now);
    http::ResponseHead response;
    response.content_type = page->content_type;
    response.content_length = page->body.size();
    http::write_response_head(response, writer);
    counters_.http_pages.add();
    enqueue_bytes(stream, writer.written(), now);
    if (stream.is_closing()) return;
    stream.page = std::make_unique<PageTransfer>(PageTransfer{pages_, page->body});
    return begin_close(stream, FlowEnd::Closed, TransportFailure::Closed, Manner::Graceful, now);
  }
  if (!listen.path.empty() && head.path() != listen.path) {
    counters_.websocket_refused.add();
    return answer_error(stream, http::Status::NotFound, {}, now);
  }
  // RFC 6455 10.2: browsers always say where a page came from.
  if (!listen.origins.empty() && !allows(listen.origins, head.find("Origin").value_or(""))) {
    counters_.websocket_refused.add();
    return answer_error(stream, http::Status::Forbidden, {}, now);
  }
  if (handshake.verdict != websocket::Verdict::Accept) {
    counters_.websocket_refused.add();
    websocket::write_refusal(handshake.verdict, writer);
    enqueue_bytes(stream, writer.written(), now);
    return begin_close(stream, FlowEnd::ProtocolError, TransportFailure::Closed, Manner::Graceful,
                       now);
  }
  websocket::write_acceptance(handshake, writer);
  counters_.websocket_upgrades.add();
  enqueue_bytes(stream, writer.written(), now);
  if (!stream.is_closing()) opened(stream, now);
}

void Streams::answer_error(Stream& stream, http::Status status, std::string_view headers,
                           Instant now) {
  std::array<std::uint8_t, 1'024> memory;
  Writer writer(memory);
  http::write_error(status, writer, headers);
  enqueue_bytes(stream, writer.written(), now);
  begin_close(stream, FlowEnd::ProtocolError, TransportFailure::Closed, Manner::Graceful, now);
}

std::optional<StreamEvent> Streams::step_websocket(Stream& stream, Instant now) {
  using Kind = websocket::Event::Kind;
  for (;;) {
    const websocket::Event received = stream.websocket.next(intake_.plain);
    switch (received.kind) {
      case Kind::None:
        intake_.plain = {};
        return std::nullopt;
      case Kind::Message: {
        const std::string_view text = as_text(received.payload);
        if (text == "\r\n\r\n") {  // RFC 7118 6, RFC 5626 3.5.1
          counters_.keepalives_answered.add();
          BufferRef pong = buffers_.copy(as_bytes("\r\n"));
          if (pong) enqueue_message(stream, std::move(pong), 0, now);
          if (stream.is_closing()) return std::nullopt;
          continue;
        }
        if (text.empty() || text == "\r\n") continue;
        StreamEvent event;
        event.kind = StreamEvent::Kind::Message;
        event.source = source_of(stream);
        event.bytes = received.payload;
        return event;
      }
      case Kind::Ping:
        send_control(stream, websocket::Opcode::Pong, received.payload, now);
        if (stream.is_closing()) return std::nullopt;
        continue;
      case Kind::Pong:
        continue;
      case Kind::Close:
        close_websocket(stream, received.code, FlowEnd::Closed, now);
        return std::nullopt;
      case Kind::Violation:
        counters_.websocket_violations.add();
        close_websocket(stream, received.code, FlowEnd::ProtocolError, now);
        return std::nullopt;
    }
  }
}

void Streams::send_control(Stream& stream, websocket::Opcode opcode, Bytes payload, Instant now) {
  std::array<std::uint8_t, websocket::kControlPayloadMax + 2> memory;
  Writer writer(memory);
  websocket::write_control_frame(opcode, payload, writer);
  enqueue_bytes(stream, writer.written(), now);
}

void Streams::close_websocket(Stream& stream, std::uint16_t code, FlowEnd reason, Instant now) {
  std::array<std::uint8_t, websocket::kControlPayloadMax + 2> memory;
  Writer writer(memory);
  websocket::write_close(code, writer);
  enqueue_bytes(stream, writer.written(), now);
  begin_close(stream, reason, TransportFailure::Closed, Manner::Graceful, now);
}

}  // namespace ringway
