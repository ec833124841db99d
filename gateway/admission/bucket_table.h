#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "gateway/base/reserved_array.h"
#include "protocol/base/keyed_hash.h"
#include "protocol/base/time.h"

namespace ringway {

// So much a second, and at once.
struct TokenRate {
  std::uint32_t each_second = 0, burst = 0;  // burst: at most 4,000,000
};

// A token bucket's part of a place: Place has key, used (tokens are counted up to then) and tokens
// (thousandths of one).
template <typename Place>
bool take_token(Place& place, TokenRate rate, Instant now) {
  constexpr std::uint64_t kToken = 1'000;
  // A bucket is full after 1,000 s whatever its size.
  constexpr std::int64_t kFullAfter = 1'000'000;
  const std::int64_t passed = std::max<std::int64_t>((now - place.used) / 1ms, 0);
  place.used += passed * 1ms;  // what is less counts with the next
  const auto milliseconds = static_cast<std::uint64_t>(std::min(passed, kFullAfter));
  std::uint64_t tokens =
      std::min(rate.burst * kToken, place.tokens + milliseconds * rate.each_second);
  const bool enough = tokens >= kToken;
  if (enough) tokens -= kToken;
  place.tokens = static_cast<std::uint32_t>(tokens);
  return enough;
}

// Places for what is known of many senders: a fixed number, so a flood of senders costs memory
// once. A key may stand in kWays places; where others have them all, the one that is worth least
// goes.
//
// Place is plain data with a key (0: free), used and tokens; a new one's bucket is full.
template <typename Place, std::size_t kPlaces, std::size_t kWays>
class BucketTable {
 public:
  // key: secret, so that nobody can choose with whom he shares his places.
  explicit BucketTable(const HashKey& key) : hash_key_(key), places_(kPlaces) {}

  // The place of key, which is not 0. worth(place): what a place counts among those of a set; it
  // may be a pair.
  template <typename Worth>
  Place& place_of(std::uint64_t key, Instant now, Worth&& worth) {
    std::array<std::uint8_t, 8> octets;
    write_u64(octets, key);
    const std::size_t first = keyed_hash(hash_key_, Bytes(octets)) % (kPlaces / kWays) * kWays;
    Place* chosen = &places_[first];
    for (std::size_t i = first; i < first + kWays; ++i) {
      Place& place = places_[i];
      if (place.key == key) return place;
      if (place.key == 0) {
        chosen = &place;
        break;
      }
      if (worth(place) < worth(*chosen)) chosen = &place;
    }
    *chosen = {};
    chosen->key = key;
    chosen->used = now;
    chosen->tokens = ~std::uint32_t{0};
    return *chosen;
  }

 private:
  HashKey hash_key_;
  ReservedArray<Place> places_;
};

}  // namespace ringway
