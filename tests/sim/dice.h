#pragma once

#include <cstdint>

#include "gateway/base/random.h"
#include "protocol/base/time.h"

namespace ringway::sim {

// The one source of chance of a world.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}

  std::uint64_t next() { return random_.next(); }
  std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }
  bool chance(double probability) {
    return static_cast<double>(random_.next() >> 11) * 0x1.0p-53 < probability;
  }
  // low <= result <= high
  int between(int low, int high) {
    return low + static_cast<int>(below(static_cast<std::uint64_t>(high - low + 1)));
  }
  Duration between(Duration low, Duration high) {
    return low + Duration{static_cast<std::int64_t>(
                     below(static_cast<std::uint64_t>((high - low).count() + 1)))};
  }

 private:
  Random random_;
};

}  // namespace ringway::sim
