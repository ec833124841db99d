#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "gateway/base/endpoint.h"
#include "protocol/base/keyed_hash.h"

namespace ringway {

// What counts as one source: an IPv4 address, the /64 of an IPv6 address.
inline Bytes source_octets(const Address& address) {
  return address.octets().first(std::min<std::size_t>(address.octets().size(), 8));
}
inline bool same_source(const Address& a, const Address& b) {
  return a.family == b.family && std::ranges::equal(source_octets(a), source_octets(b));
}

// How many flows each source address (IPv6: each /64) has, counted in two rows of cells that a
// keyed hash chooses: constant time and memory whatever strangers do. Sources that share both
// cells count together, so the answer may be too high, never too low.
class SourceCounts {
 public:
  explicit SourceCounts(const HashKey& key) : key_(key), cells_(2 * kCells) {}

  std::uint32_t count(const Address& source) const {
    const auto [a, b] = places(source);
    return std::min(cells_[a], cells_[b]);
  }
  void add(const Address& source) {
    const auto [a, b] = places(source);
    ++cells_[a], ++cells_[b];
  }
  void remove(const Address& source) {
    const auto [a, b] = places(source);
    --cells_[a], --cells_[b];
  }

 private:
  static constexpr std::size_t kCells = 16'384;

  std::array<std::size_t, 2> places(const Address& source) const {
    const std::uint64_t hash = keyed_hash(key_, source_octets(source));
    return {hash % kCells, kCells + (hash >> 32) % kCells};
  }

  HashKey key_;
  std::vector<std::uint32_t> cells_;
};

}  // namespace ringway
