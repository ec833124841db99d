#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "protocol/base/bytes.h"
#include "protocol/base/writer.h"

// STUN Binding on a SIP port, as keepalive and to learn one's address (RFC 8489, RFC 5626 8).
// Server side only, without authentication, and never for RFC 3489 clients.

namespace ringway::stun {

// True if a datagram claims to be STUN, so that it must not be given to SIP: first octet 0 or 1
// (no SIP message starts so), the magic cookie, and a length that is right (RFC 5626 8).
[[nodiscard]] bool is_stun(Bytes datagram);

inline constexpr std::size_t kUnknownAttributesMax = 16;  // of those that are reported

struct BindingRequest {
  std::array<std::uint8_t, 12> transaction_id{};
  // Attributes that a server must understand (types below 0x8000) and this one does not.
  std::array<std::uint16_t, kUnknownAttributesMax> unknown{};
  std::size_t unknown_count = 0;

  std::span<const std::uint16_t> unknown_attributes() const {
    return std::span{unknown}.first(unknown_count);
  }
};

// Nullopt for everything but a well-formed Binding request: such datagrams get no answer.
[[nodiscard]] std::optional<BindingRequest> parse_binding_request(Bytes datagram);

enum class Family : std::uint8_t { Ipv4 = 1, Ipv6 = 2 };

// Where the request came from.
struct SourceAddress {
  Family family = Family::Ipv4;
  std::array<std::uint8_t, 16> bytes{};  // network order; the first four for Ipv4
  std::uint16_t port = 0;
};

inline constexpr std::size_t kResponseBytesMax = 96;

// The response that the request deserves: success with XOR-MAPPED-ADDRESS, or 420 with the
// attributes that are unknown.
void write_binding_response(const BindingRequest& request, const SourceAddress& source,
                            Writer& writer);

}  // namespace ringway::stun
