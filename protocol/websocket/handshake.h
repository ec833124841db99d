#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/base/bytes.h"
#include "protocol/base/writer.h"
#include "protocol/http/request_head.h"

// The opening handshake, server side (RFC 6455 4.2) for the subprotocol "sip" (RFC 7118 4.1).

namespace ringway::websocket {

// SHA-1 of its argument; digests are a library's business and come in from outside.
using Sha1 = std::array<std::uint8_t, 20> (*)(Bytes);

enum class Verdict : std::uint8_t {
  Accept,
  NotAnUpgrade,   // a plain request: no Upgrade header names "websocket"
  BadRequest,     // 400: not GET, no Connection: Upgrade, a bad or repeated key or version
  BadVersion,     // 426: Sec-WebSocket-Version is not 13
  NoSubprotocol,  // 400: "sip" is not offered
};

struct Handshake {
  Verdict verdict = Verdict::BadRequest;
  // Of an accepted one only:
  std::array<char, 28> accept{};   // Sec-WebSocket-Accept
  std::string_view subprotocol{};  // as the client wrote it; borrowed from the request head
};

// Judges a request. Origin, Host and path are the caller's policy and not looked at.
[[nodiscard]] Handshake check_handshake(const http::RequestHead& head, Sha1 sha1);

// The 101 response. Precondition: handshake.verdict is Accept.
void write_acceptance(const Handshake& handshake, Writer& writer);

// The response of a refusal, after which the connection is closed. NotAnUpgrade gives 426 with
// Upgrade: websocket, for callers that serve no pages. Precondition: verdict is not Accept.
void write_refusal(Verdict verdict, Writer& writer);

inline constexpr std::size_t kHandshakeResponseBytesMax = 512;  // of either response

}  // namespace ringway::websocket
