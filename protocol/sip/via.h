#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

namespace ringway::sip {

enum class ViaError : std::uint8_t { BadProtocol, BadTransport, BadHost, BadPort, BadParams };

// One Via value. RFC 3261 20.42, 25.1; RFC 3581.
struct Via {
  std::string_view text;
  std::string_view transport;  // UDP, TCP, TLS, WS, WSS or another token, as written
  std::string_view host;       // sent-by host; an IPv6 reference without its brackets
  bool host_is_ipv6 = false;
  std::uint16_t port = 0;                 // 0: not given
  std::string_view sent_by;               // host[:port] as written
  std::string_view params;                // from the first semicolon
  std::string_view branch;                // empty if none
  std::string_view received;              // empty if none; brackets kept
  std::optional<std::string_view> rport;  // "" for a valueless one
  std::string_view maddr;
};

[[nodiscard]] std::expected<Via, ViaError> parse_via(std::string_view value);

inline constexpr std::string_view kMagicCookie = "z9hG4bK";  // RFC 3261 8.1.1.7

// True for a branch that names a transaction by itself: the cookie and at least one byte more.
inline bool has_magic_cookie(std::string_view branch) {
  return branch.size() > kMagicCookie.size() && branch.starts_with(kMagicCookie);
}

}  // namespace ringway::sip
