#pragma once

#include <cstdint>
#include <string>

#include "gateway/base/endpoint.h"

namespace ringway {

// What counts as one source: an IPv4 address, or the /64 of an IPv6 address, since whoever has one
// address of a /64 has all of them.
//
//   IPv6   the first 64 bits of the address
//   IPv4   ffff'ffff and the address: as an IPv6 prefix that would be multicast (RFC 4291 2.7),
//          which no packet comes from
struct SourceKey {
  std::uint64_t value = 0;  // 0: nobody

  friend bool operator==(const SourceKey&, const SourceKey&) = default;
};

SourceKey source_key(const Address& address);
// "192.0.2.1", or "2001:db8::/64".
std::string to_text(SourceKey key);

}  // namespace ringway
