#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string_view>

namespace ringway::sip {

// host [":" port] of a URI or a Via (RFC 3261 25.1, RFC 5954). Internal to protocol/sip.
struct HostPort {
  std::string_view host;  // an IPv6 reference without its brackets
  bool is_ipv6 = false;
  std::uint16_t port = 0;  // 0: not given
  std::size_t size = 0;    // how much of the text was read
};

enum class HostError : std::uint8_t { Host, Port };

// White space around the colon is for Via only (COLON = SWS ":" SWS).
enum class ColonSpace : std::uint8_t { Forbidden, Allowed };

// Reads at the front of text and stops behind the port, or behind the host if there is none.
[[nodiscard]] std::expected<HostPort, HostError> parse_host_port(std::string_view text,
                                                                 ColonSpace space);

// The text of an IPv6 address (RFC 5954 4.1). Three colons in front of an IPv4 tail are
// tolerated, since the grammar of RFC 3261 produces them (RFC 5118 4.10).
bool is_ipv6_address(std::string_view text);

}  // namespace ringway::sip
