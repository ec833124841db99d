#pragma once

#include <chrono>
#include <cstdint>

// Time as a value. Nothing in protocol/, tls/ or the signalling core reads a clock.

namespace ringway {

using Duration = std::chrono::nanoseconds;

// A moment on a monotonic clock whose origin means nothing. Shards read CLOCK_MONOTONIC once a
// turn; tests make their own.
struct MonotonicClock {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<MonotonicClock, Duration>;
  static constexpr bool is_steady = true;
};
using Instant = MonotonicClock::time_point;

inline constexpr Instant kNever = Instant::max();

using std::chrono_literals::operator""ns;
using std::chrono_literals::operator""us;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

}  // namespace ringway
