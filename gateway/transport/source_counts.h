#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "gateway/base/endpoint.h"
#include "protocol/base/keyed_hash.h"

namespace ringway {

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
    const Bytes octets = source.octets();
    const std::uint64_t hash =
        keyed_hash(key_, octets.first(std::min<std::size_t>(octets.size(), 8)));
    return {hash % kCells, kCells + (hash >> 32) % kCells};
  }

  HashKey key_;
  std::vector<std::uint32_t> cells_;
};

}  // namespace ringway
