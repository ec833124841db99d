#pragma once

#include <cstdint>

#include "gateway/core/services.h"

namespace ringway {

// Loops (RFC 3261 16.3 item 4, RFC 5393 4.2): the branch of each request that we send bears a hash
// of what decides where it goes. One that comes back with the same hash would go round for ever; a
// spiral, which comes back with another Request-URI or Route, goes on.
class LoopCheck {
 public:
  // core outlives this object.
  explicit LoopCheck(const Services& core) : core_(core) {}

  std::uint32_t hash_of(const Incoming& in) const;
  // A Via of ours bears that hash, which is the one that the request has now.
  bool comes_back(const Incoming& in, std::uint32_t hash) const;

 private:
  const Services& core_;
};

}  // namespace ringway
