#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

namespace ringway::sip {

enum class Scheme : std::uint8_t { Sip, Sips, Tel, Other };
enum class UriError : std::uint8_t {
  Empty,
  BadScheme,
  BadUser,
  BadHost,
  BadPort,
  BadParams,
  TooLong
};

// A URI as parts of its text. For Tel and Other only scheme, scheme_text and text are set.
struct Uri {
  std::string_view text;  // the whole URI
  Scheme scheme = Scheme::Other;
  std::string_view scheme_text;  // without the colon
  std::string_view user;         // without password; empty if there is none
  bool has_user = false;
  std::string_view host;  // an IPv6 reference without its brackets
  bool host_is_ipv6 = false;
  std::uint16_t port = 0;    // 0: not given
  std::string_view params;   // from the first semicolon after the host; empty if none
  std::string_view headers;  // from the question mark; empty if none

  // Value of a URI parameter ("" for a valueless one); nullopt if absent.
  std::optional<std::string_view> param(std::string_view name) const;
  // lr in any of its spellings: lr, lr=, lr=on, lr=true (RFC 3261 16.12 and what UAs do to it).
  bool is_loose_route() const { return param("lr").has_value(); }
};

// Absolute URI at the whole of text. RFC 3261 19.1.1, 25.1; RFC 5954 for IPv6; a semicolon inside
// the user part belongs to the user. Escapes are kept, never decoded.
[[nodiscard]] std::expected<Uri, UriError> parse_uri(std::string_view text);

// RFC 3261 19.1.4, for sip and sips; other schemes byte for byte.
bool equivalent(const Uri& a, const Uri& b);

// A host that can never be resolved: the top label "invalid" (RFC 2606), as browsers write it.
bool is_invalid_host(std::string_view host);

}  // namespace ringway::sip
