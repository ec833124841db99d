#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/endpoint.h"

namespace ringway {

// A range of addresses: those whose first bits are the address's.
struct Prefix {
  Address address;
  std::uint8_t bits = 0;  // bits <= 32 for V4, 128 for V6

  bool contains(const Address& other) const;
  friend bool operator==(const Prefix&, const Prefix&) = default;
};

// "192.0.2.0/24", "2001:db8::/32", or one address. Bits behind the prefix must be zero.
std::optional<Prefix> parse_prefix(std::string_view text);
// Those of texts that are prefixes; a configuration was checked before.
std::vector<Prefix> parse_prefixes(const std::vector<std::string>& texts);

// True for addresses that mean something else on every network, so that nobody outside may name
// them: loopback, private (RFC 1918, RFC 4193), shared (RFC 6598), link-local (RFC 3927, RFC 4291
// 2.5.6), "this network" (RFC 1122 3.2.1.3), and IPv6 addresses that carry an IPv4 one (RFC 4291
// 2.5.5.1, RFC 6052).
bool is_private(const Address& address);

// True for a range that nobody can mean to keep out: it has more addresses in use than one /8 of
// IPv4, or one sixteenth of what IPv6 uses (2000::/3, RFC 4291 2.5.4).
bool is_too_wide(const Prefix& prefix);

}  // namespace ringway
