#pragma once

#include <expected>
#include <string>

#include "gateway/base/endpoint.h"

namespace ringway::ctl {

// Where a running gateway listens for commands.
struct Place {
  std::string socket;   // path of its control socket; empty: by address
  Endpoint address;     // its admin address
  std::string token{};  // sent as a bearer token if not empty
};

struct Answer {
  int status = 0;
  std::string body;
};

// One request, waited for at most ten seconds. target: path and query.
// Errors: why nobody answered and what to do, one line.
[[nodiscard]] std::expected<Answer, std::string> ask(const Place& place, const std::string& method,
                                                     const std::string& target);

// A query's value with everything percent-encoded that is not plain (RFC 3986 2.3).
std::string encoded(const std::string& value);

}  // namespace ringway::ctl
