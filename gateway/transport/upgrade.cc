#include <algorithm>
#include <array>

#include "gateway/transport/establishing.h"
#include "protocol/base/ascii.h"
#include "protocol/http/forwarded.h"
#include "protocol/http/target.h"
#include "protocol/websocket/handshake.h"
#include "tls/digest.h"

// The HTTP request on WS and WSS: an upgrade, or a page.

namespace ringway {
namespace {

bool allows_host(const std::vector<std::string>& allowed, std::string_view host) {
  return allowed.empty() || std::any_of(allowed.begin(), allowed.end(), [&](const auto& entry) {
           return ascii::equal_ignoring_case(entry, host);
         });
}

// RFC 6455 10.2: browsers always say where a page came from.
bool allows_origin(const std::vector<std::string>& allowed, std::string_view origin) {
  return allowed.empty() || std::any_of(allowed.begin(), allowed.end(), [&](const auto& entry) {
           return http::same_origin(entry, origin);
         });
}

http::Body body_for(const http::RequestHead& head) {
  return head.method() == "HEAD" ? http::Body::LeftOut : http::Body::Follows;
}

// What a proxy wrote: an address, or an endpoint with or without brackets.
std::optional<Endpoint> parse_node(std::string_view node) {
  if (const auto endpoint = parse_endpoint(node)) return endpoint;
  if (const auto address = parse_address(node)) return Endpoint{*address, 0};
  return std::nullopt;
}

}  // namespace

void Establishing::read_upgrade(Stream& stream, Instant now) {
  MutableBytes& plain = receiver_.plain();
  const std::size_t fresh = plain.size();
  MutableBytes rest = plain;
  std::string_view text = as_text(plain);
  if (stream.partial) {
    if (!receiver_.append_partial(stream, rest, http::kHeadBytesMax + 1)) {
      return answer_error(stream, http::Status::HeadTooLarge, {}, now);
    }
    text = as_text(stream.partial.bytes());
  }
  auto head = stream.head_reader.read(text);
  if (!head) {
    counters_.websocket_refused.add();
    return answer_error(stream, head.error(), {}, now);
  }
  if (!*head) {
    if (stream.partial) {
      plain = rest;
    } else if (!receiver_.append_partial(stream, plain, http::kHeadBytesMax + 1)) {
      refuse(stream, FlowEnd::Reset, TransportFailure::QueueFull, now);
    }
    return;
  }
  // What followed the head within the newest bytes belongs to the WebSocket.
  const std::size_t surplus = text.size() - (*head)->size() + (stream.partial ? rest.size() : 0);
  answer_request(stream, **head, now);
  stream.partial.reset();
  stream.partial_used = 0;
  plain = plain.last(std::min(surplus, fresh));
}

void Establishing::answer_request(Stream& stream, const http::RequestHead& head, Instant now) {
  const ListenConfig& listen = listeners_.infos[stream.listener].config;
  const auto refused = [&](http::Status status) {
    counters_.websocket_refused.add();
    answer_error(stream, status, {}, now, body_for(head));
  };
  const auto target = http::find_target(head);
  if (!target) return refused(target.error());
  if (!allows_host(listen.hosts, target->host)) return refused(http::Status::Forbidden);
  // RFC 6454 7.3: there is one at most.
  if (head.count("Origin") > 1) return refused(http::Status::BadRequest);
  const auto handshake = websocket::check_handshake(head, tls::sha1);
  if (handshake.verdict == websocket::Verdict::NotAnUpgrade) {
    return answer_page(stream, head, target->path, now);
  }
  if (!listen.path.empty() && target->path != listen.path) return refused(http::Status::NotFound);
  if (!allows_origin(listen.origins, head.find("Origin").value_or(""))) {
    return refused(http::Status::Forbidden);
  }
  std::array<std::uint8_t, websocket::kHandshakeResponseBytesMax> memory;
  Writer writer(memory);
  if (handshake.verdict != websocket::Verdict::Accept) {
    counters_.websocket_refused.add();
    websocket::write_refusal(handshake.verdict, writer);
    sender_.bytes(stream, writer.written(), now);
    return table_.close(stream, {FlowEnd::ProtocolError, TransportFailure::Closed}, now);
  }
  if (stream.trusted_proxy) {
    const auto client = client_of(stream, head);
    if (!client) return refused(client.error());
    if (*client && !acceptors_.set_remote(stream, **client, now)) {
      return refused(http::Status::TooManyRequests);
    }
  }
  websocket::write_acceptance(handshake, writer);
  counters_.websocket_upgrades.add();
  sender_.bytes(stream, writer.written(), now);
  if (!stream.is_closing()) open(stream, now);
}

// The client behind the listed web proxies: the newest node that is none of them. nullopt: no proxy
// said anything, so that it is the proxy itself. What both headers say must agree: the proxy writes
// one of them, and whoever came to it could write the other.
std::expected<std::optional<Endpoint>, http::Status> Establishing::client_of(
    const Stream& stream, const http::RequestHead& head) {
  std::optional<Endpoint> client;
  for (const auto& nodes : {http::read_forwarded_for(head), http::read_forwarded(head)}) {
    std::optional<Endpoint> found;
    for (std::size_t i = 0; i < nodes.count; ++i) {
      const auto node = parse_node(nodes.nodes[i]);
      if (!node) return std::unexpected(http::Status::BadRequest);
      found = node;
      if (!acceptors_.is_web_proxy(stream, node->address)) break;
    }
    if (!found) continue;
    if (client && client->address != found->address) {
      return std::unexpected(http::Status::BadRequest);
    }
    if (!client || client->port == 0) client = found;
  }
  if (client && client->port == 0) client->port = stream.remote.port;
  return client;
}

void Establishing::answer_page(Stream& stream, const http::RequestHead& head, std::string_view path,
                               Instant now) {
  const http::Body body = body_for(head);
  if (head.method() != "GET" && body == http::Body::Follows) {
    return answer_error(stream, http::Status::MethodNotAllowed, "Allow: GET, HEAD\r\n", now);
  }
  const StaticPages::Page* page = snapshots_.pages ? snapshots_.pages->find(path) : nullptr;
  if (!page) return answer_error(stream, http::Status::NotFound, {}, now, body);
  http::ResponseHead response;
  response.content_type = page->content_type;
  response.content_length = page->body.size();
  std::array<std::uint8_t, 1'024> memory;
  Writer writer(memory);
  http::write_response_head(response, writer);
  counters_.http_pages.add();
  sender_.bytes(stream, writer.written(), now);
  if (stream.is_closing()) return;
  if (body == http::Body::Follows) sender_.page(stream, snapshots_.pages, page->body);
  table_.close(stream, {}, now);
}

void Establishing::answer_error(Stream& stream, http::Status status, std::string_view headers,
                                Instant now, http::Body body) {
  std::array<std::uint8_t, 1'024> memory;
  Writer writer(memory);
  http::write_error(status, writer, headers, body);
  sender_.bytes(stream, writer.written(), now);
  table_.close(stream, {FlowEnd::ProtocolError, TransportFailure::Closed}, now);
}

}  // namespace ringway
