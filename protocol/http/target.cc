#include "protocol/http/target.h"

#include <algorithm>
#include <array>
#include <optional>

#include "protocol/base/ascii.h"

namespace ringway::http {
namespace {

struct Authority {
  std::string_view host, port;
};

// RFC 3986 2.3. Names of containers and of hosts in private networks often have an underscore.
bool is_unreserved(char c) {
  return ascii::is(c, ascii::kHostname) || c == '_' || c == '~';
}

// RFC 3986 3.2, without user information: uri-host [ ":" port ].
std::optional<Authority> parse_authority(std::string_view text) {
  Authority authority;
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == text.npos) return std::nullopt;
    authority.host = text.substr(0, end + 1);
    rest = text.substr(end + 1);
    const std::string_view address = authority.host.substr(1, end - 1);
    if (address.find(':') == address.npos ||
        address.find_first_not_of("0123456789abcdefABCDEF:.") != address.npos) {
      return std::nullopt;
    }
  } else {
    const std::size_t colon = text.find(':');
    authority.host = text.substr(0, colon);
    rest = colon == text.npos ? std::string_view() : text.substr(colon);
    if (authority.host.empty() || !std::ranges::all_of(authority.host, is_unreserved)) {
      return std::nullopt;
    }
  }
  if (rest.empty()) return authority;
  authority.port = rest.substr(1);
  if (!rest.starts_with(':') || !ascii::parse_number(authority.port, 65'535)) return std::nullopt;
  return authority;
}

std::string_view default_port(std::string_view scheme) {
  using ascii::equal_ignoring_case;
  if (equal_ignoring_case(scheme, "http") || equal_ignoring_case(scheme, "ws")) return "80";
  if (equal_ignoring_case(scheme, "https") || equal_ignoring_case(scheme, "wss")) return "443";
  return {};
}

// scheme "://" rest
std::optional<std::pair<std::string_view, std::string_view>> split_scheme(std::string_view text) {
  const std::size_t end = text.find("://");
  if (end == text.npos || end == 0) return std::nullopt;
  return std::pair{text.substr(0, end), text.substr(end + 3)};
}

bool same_port(std::string_view scheme, std::string_view a, std::string_view b) {
  const std::string_view standard = default_port(scheme);
  return (a.empty() ? standard : a) == (b.empty() ? standard : b);
}

}  // namespace

std::expected<Target, Status> find_target(const RequestHead& head) {
  const std::string_view text = head.target();
  Target target;
  std::optional<Authority> named;
  const auto host = head.find("Host");
  if (host && !host->empty()) {
    named = parse_authority(*host);
    if (!named) return std::unexpected(Status::BadRequest);
    target.host = named->host;
  }
  target.path = text;
  if (!text.starts_with('/')) {
    const auto parts = split_scheme(text);
    if (!parts || default_port(parts->first).empty()) return std::unexpected(Status::BadRequest);
    const std::size_t end = std::min(parts->second.find_first_of("/?"), parts->second.size());
    const auto asked = parse_authority(parts->second.substr(0, end));
    if (!asked) return std::unexpected(Status::BadRequest);
    if (named && (!ascii::equal_ignoring_case(named->host, asked->host) ||
                  !same_port(parts->first, named->port, asked->port))) {
      return std::unexpected(Status::BadRequest);
    }
    target.host = asked->host;
    target.path = parts->second.substr(end);
  }
  target.path = target.path.substr(0, target.path.find('?'));
  if (target.path.empty()) target.path = "/";
  return target;
}

bool same_origin(std::string_view allowed, std::string_view origin) {
  const auto a = split_scheme(allowed), b = split_scheme(origin);
  if (!a || !b) return ascii::equal_ignoring_case(allowed, origin);
  if (!ascii::equal_ignoring_case(a->first, b->first)) return false;
  const auto one = parse_authority(a->second), other = parse_authority(b->second);
  if (!one || !other) return ascii::equal_ignoring_case(allowed, origin);
  return ascii::equal_ignoring_case(one->host, other->host) &&
         same_port(a->first, one->port, other->port);
}

}  // namespace ringway::http
