#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

#include "protocol/sip/uri.h"

namespace ringway::sip {

enum class NameAddrError : std::uint8_t { Empty, BadDisplayName, UnclosedAngle, BadUri, BadParams };

// One value of From, To, Contact, Route, Record-Route or Path.
struct NameAddr {
  std::string_view text;          // the whole value, trimmed
  std::string_view display_name;  // as it stands, quotes included; empty if none
  bool has_angles = false;
  Uri uri;
  std::string_view params;  // header parameters, from the semicolon; empty if none
  bool is_star = false;     // Contact: *

  std::optional<std::string_view> param(std::string_view name) const;  // header parameter
  std::optional<std::string_view> tag() const { return param("tag"); }
};

// Without angle brackets, parameters belong to the header, not to the URI (RFC 3261 20).
// uri_check: a URI of another scheme is accepted in any case.
[[nodiscard]] std::expected<NameAddr, NameAddrError> parse_name_addr(std::string_view value);

// Walks a comma-separated list of values (quotes and angle brackets respected); each is trimmed,
// not yet parsed. Empty elements set bad().
class ListCursor {
 public:
  explicit ListCursor(std::string_view text) : rest_(text) {}
  std::optional<std::string_view> next();
  bool bad() const { return bad_; }
  // What has not been walked yet (after the comma), untrimmed.
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
  bool first_ = true;
  bool comma_ = false;  // the last element taken ended with a comma
  bool bad_ = false;
};

}  // namespace ringway::sip
