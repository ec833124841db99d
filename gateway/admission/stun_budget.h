#pragma once

#include <cstddef>
#include <cstdint>

#include "gateway/admission/bucket_table.h"
#include "gateway/base/endpoint.h"
#include "protocol/base/keyed_hash.h"
#include "protocol/base/time.h"

namespace ringway {

// How many STUN answers one shard gives to whom. Known peers have a budget for each address and
// port, strangers one for each source (SourceKey): an office that floods takes nothing from its
// phones, and a datagram with a forged sender makes no more than the budget of that sender.
//
// A table of kPlaces token buckets, chosen by a keyed hash. Where all of a set are taken, the one
// longest unused goes.
class StunBudget {
 public:
  explicit StunBudget(const HashKey& key) : key_(key), places_(key) {}

  // Takes one answer out of its budget. False: it is spent.
  [[nodiscard]] bool take(const Endpoint& remote, bool is_known, Instant now);

  static constexpr std::size_t kPlaces = 16'384;
  // RFC 5626 4.4.2 asks for one each 24 s or so, and RFC 8489 6.2.1 repeats it seven times at most.
  static constexpr TokenRate kKnown{2, 10};
  static constexpr TokenRate kStranger{10, 50};

 private:
  struct Place {
    std::uint64_t key;
    Instant used;
    std::uint32_t tokens, unused;
  };

  HashKey key_;
  BucketTable<Place, kPlaces, 4> places_;
};

}  // namespace ringway
