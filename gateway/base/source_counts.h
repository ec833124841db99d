#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "gateway/base/reserved_array.h"
#include "gateway/base/source_key.h"
#include "protocol/base/keyed_hash.h"

namespace ringway {

// How many of something each source (SourceKey) has, or each number, counted in two
// rows of cells that a keyed hash chooses: constant time and memory whatever strangers do. Sources
// that share both cells count together, so the answer may be too high, never too low.
class SourceCounts {
 public:
  explicit SourceCounts(const HashKey& key) : key_(key), cells_(2 * kCells) {}

  std::uint32_t count(const Address& source) const {
    const auto [a, b] = places(name_of(source));
    return std::min(cells_[a], cells_[b]);
  }
  void add(const Address& source) { add(name_of(source)); }
  void remove(const Address& source) { remove(name_of(source)); }

  // The same by what name_of() says of an address, or by any other keyed hash.
  std::uint64_t name_of(const Address& source) const {
    std::array<std::uint8_t, 8> word;
    write_u64(MutableBytes(word), source_key(source).value);
    return keyed_hash(key_, Bytes(word));
  }
  std::uint32_t count(std::uint64_t name) const {
    const auto [a, b] = places(name);
    return std::min(cells_[a], cells_[b]);
  }
  void add(std::uint64_t name) {
    const auto [a, b] = places(name);
    ++cells_[a], ++cells_[b];
  }
  void remove(std::uint64_t name) {
    const auto [a, b] = places(name);
    --cells_[a], --cells_[b];
  }

 private:
  static constexpr std::size_t kCells = 16'384;

  static std::array<std::size_t, 2> places(std::uint64_t hash) {
    return {hash % kCells, kCells + (hash >> 32) % kCells};
  }

  HashKey key_;
  ReservedArray<std::uint32_t> cells_;
};

}  // namespace ringway
