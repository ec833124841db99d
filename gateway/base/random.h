#pragma once

#include <cstdint>

namespace ringway {

// Tags, nonces and jitter for one shard: xoshiro256** seeded from the operating system's
// randomness at start, or by a test. Not for keys; those come from tls/random.h.
class Random {
 public:
  using result_type = std::uint64_t;
  explicit Random(std::uint64_t seed);
  std::uint64_t next();
  // 0 .. bound-1, bound > 0.
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }

  std::uint64_t operator()() { return next(); }
  static constexpr std::uint64_t min() { return 0; }
  static constexpr std::uint64_t max() { return ~std::uint64_t{0}; }

 private:
  std::uint64_t state_[4];
};

}  // namespace ringway
