#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "protocol/http/request_head.h"

namespace ringway::http {

// Whom proxies say that a request came from, the newest first: the last element of the last line.
// Each node is as it was written, without quotes: an address, with or without a port, IPv6 in
// brackets or bare, "unknown" or an obfuscated name. Only what a trusted proxy has added is true,
// which the caller has to know.
struct ForwardedNodes {
  static constexpr std::size_t kMax = 16;  // older ones are left out

  std::array<std::string_view, kMax> nodes;
  std::size_t count = 0;
};

// Of X-Forwarded-For.
ForwardedNodes read_forwarded_for(const RequestHead& head);
// The "for" parameters of Forwarded (RFC 7239 4, 5.2); an element without one gives an empty node.
ForwardedNodes read_forwarded(const RequestHead& head);

}  // namespace ringway::http
