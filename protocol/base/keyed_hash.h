#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "protocol/base/bytes.h"

namespace ringway {

using HashKey = std::array<std::uint64_t, 2>;

// SipHash-1-3 for tables whose keys strangers choose: without the key nobody can make entries
// collide. Not a signature; those come from tls/mac.h.
// Cost: about a nanosecond for each eight bytes.
std::uint64_t keyed_hash(const HashKey& key, Bytes data);

inline std::uint64_t keyed_hash(const HashKey& key, std::string_view text) {
  return keyed_hash(key, as_bytes(text));
}

}  // namespace ringway
