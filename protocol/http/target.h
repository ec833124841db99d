#pragma once

#include <expected>
#include <string_view>

#include "protocol/http/request_head.h"

namespace ringway::http {

// Whom a request is for and what it asks for (RFC 9112 3.2). Views into the head.
struct Target {
  std::string_view host;  // without port; an IPv6 address keeps its brackets. May be empty with
                          // HTTP/1.0 only
  std::string_view path;  // begins with '/'; without the query
};

// In origin-form Host says who is asked; in absolute-form the target does, and a Host that names
// somebody else is refused rather than ignored (3.2.2): a proxy before us may have gone by it.
// Errors: BadRequest: another form, a scheme that is not HTTP's or a WebSocket's, a malformed host
// or port, or two different hosts.
[[nodiscard]] std::expected<Target, Status> find_target(const RequestHead& head);

// Do two serialised origins (RFC 6454 6.1) name the same one? Without regard to the case of scheme
// and host, and a port that is the scheme's default may be given or left out. "null" names
// none and is allowed only where it stands in the list itself.
bool same_origin(std::string_view allowed, std::string_view origin);

}  // namespace ringway::http
