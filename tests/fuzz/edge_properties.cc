#include "tests/fuzz/edge_properties.h"

#include <array>
#include <string>
#include <vector>

#include "protocol/base/utf8.h"
#include "protocol/http/forwarded.h"
#include "protocol/http/target.h"
#include "protocol/proxy_protocol/header.h"
#include "protocol/stun/binding.h"
#include "protocol/websocket/connection.h"
#include "protocol/websocket/handshake.h"
#include "tests/fuzz/hold.h"

namespace ringway::fuzz {
namespace {

bool inside(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

// --- WebSocket -----------------------------------------------------------------------------------

constexpr std::uint32_t kSmallMessage = 4'000;

// All events of the stream as text, fed step bytes at a time.
std::string events_of(Bytes stream, websocket::Role role, std::size_t step) {
  using Kind = websocket::Event::Kind;
  websocket::Connection connection(role, kSmallMessage);
  std::string all;
  while (!stream.empty()) {
    const Bytes part = stream.first(std::min(step, stream.size()));
    stream = stream.subspan(part.size());
    std::vector<std::uint8_t> memory(part.begin(), part.end());  // it is unmasked in place
    MutableBytes input(memory);
    for (bool ended = false; !ended;) {
      const websocket::Event event = connection.next(input);
      all += std::to_string(static_cast<int>(event.kind)) + " " + std::to_string(event.code) + " ";
      switch (event.kind) {
        case Kind::None:
          hold(input.empty(), "input is left");
          all.resize(all.size() - 4);  // how often nothing happened hangs on the cuts
          ended = true;
          break;
        case Kind::Message:
          hold(event.payload.size() <= kSmallMessage, "a message is too long");
          hold(event.opcode == websocket::Opcode::Binary || valid_utf8(event.payload),
               "text is no UTF-8");
          all += event.opcode == websocket::Opcode::Text ? "text " : "binary ";
          break;
        case Kind::Ping:
        case Kind::Pong:
        case Kind::Close:
          hold(event.payload.size() <= websocket::kControlPayloadMax,
               "a control frame is too long");
          break;
        case Kind::Violation:
          break;
      }
      all += as_text(event.payload);
      hold(connection.buffered_bytes() <= 2 * kSmallMessage + websocket::kControlPayloadMax,
           "more is kept than may arrive");
    }
  }
  return all;
}

// --- HTTP ----------------------------------------------------------------------------------------

std::array<std::uint8_t, 20> no_digest(Bytes) {
  return {};
}

void check_head(const http::RequestHead& head, std::string_view text) {
  hold(head.size() <= text.size() && head.size() <= http::kHeadBytesMax, "size of a head");
  hold(inside(head.method(), text) && inside(head.target(), text), "the request line");
  hold(!head.target().empty(), "a target");
  for (const http::Header& header : head.headers()) {
    hold(inside(header.name, text) && inside(header.value, text), "a field");
    hold(!header.name.empty() && head.count(header.name) > 0, "a name");
    for (const char c : header.value) hold(c != '\r' && c != '\n' && c != 0, "a clean value");
  }
  if (const auto target = http::find_target(head)) {
    hold(target->path.starts_with('/'), "a path");
    hold(inside(target->host, text), "a host");
  }
  for (const auto& nodes : {http::read_forwarded_for(head), http::read_forwarded(head)}) {
    hold(nodes.count <= nodes.nodes.size(), "forwarded nodes");
    for (std::size_t i = 0; i < nodes.count; ++i) hold(inside(nodes.nodes[i], text), "a node");
  }
  std::array<std::uint8_t, websocket::kHandshakeResponseBytesMax> memory;
  Writer out(memory);
  const websocket::Handshake handshake = websocket::check_handshake(head, no_digest);
  if (handshake.verdict == websocket::Verdict::Accept) {
    hold(inside(handshake.subprotocol, text), "a subprotocol");
    websocket::write_acceptance(handshake, out);
  } else {
    websocket::write_refusal(handshake.verdict, out);
  }
  hold(!out.overflowed(), "an answer to an upgrade fits");
  if (const auto origin = head.find("Origin")) http::same_origin("https://example.org", *origin);
}

// The size of the head that comes of text when it arrives step bytes at a time; 0: none.
std::size_t head_size(std::string_view text, std::size_t step) {
  http::RequestHeadReader reader;
  for (std::size_t end = 0; end < text.size();) {
    end = std::min(end + step, text.size());
    const auto head = reader.read(text.substr(0, end));
    if (!head) return 0;
    if (*head) return (*head)->size();
  }
  return 0;
}

// --- PROXY ---------------------------------------------------------------------------------------

void check_proxy_header(Bytes input) {
  using proxy_protocol::parse_header;
  const auto whole = parse_header(input);
  if (!whole || !*whole) return;
  const std::size_t size = (*whole)->size;
  hold(size > 0 && size <= input.size() && size <= proxy_protocol::kHeaderBytesMax, "its size");
  const auto exact = parse_header(input.first(size));
  hold(exact && *exact && (*exact)->size == size && (*exact)->source == (*whole)->source,
       "what follows changes a header");
  for (std::size_t end = 0; end < size; ++end) {
    const auto part = parse_header(input.first(end));
    hold(part && !*part, "a part of a good header is refused or taken");
  }
}

void check_stun(Bytes input) {
  const auto request = stun::parse_binding_request(input);
  if (!request) return;
  hold(stun::is_stun(input), "a request that is no STUN");
  for (const stun::Family family : {stun::Family::Ipv4, stun::Family::Ipv6}) {
    std::array<std::uint8_t, stun::kResponseBytesMax> memory;
    Writer out(memory);
    stun::write_binding_response(*request, {family, {192, 0, 2, 1}, 5060}, out);
    hold(!out.overflowed() && stun::is_stun(out.written()), "the answer is no STUN");
  }
}

}  // namespace

void check_websocket(Bytes input) {
  if (input.empty()) return;
  for (const auto role : {websocket::Role::Server, websocket::Role::Client}) {
    const std::string whole = events_of(input, role, input.size());
    hold(events_of(input, role, 1) == whole, "cut at each byte something else happens");
    hold(events_of(input, role, 1 + input[0] % 64U) == whole, "cut elsewhere");
  }
}

void check_http(Bytes input) {
  const std::string_view text = as_text(input);
  if (text.empty()) return;
  http::RequestHeadReader reader;
  const auto head = reader.read(text);
  if (head && *head) check_head(**head, text);
  const std::size_t size = head && *head ? (*head)->size() : 0;
  hold(head_size(text, 1) == size, "byte by byte it is another head");
  hold(head_size(text, 1 + input[0] % 64U) == size, "cut elsewhere it is another head");
}

void check_front(Bytes input) {
  check_proxy_header(input);
  check_stun(input);
}

}  // namespace ringway::fuzz
