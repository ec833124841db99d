#pragma once

#include "bench/floor/ring.h"

namespace ringway::floor {

// One JSON line on standard output.
inline void print_counters(const Counters& counters) {
  std::printf(
      "{\"enters\": %llu, \"received\": %llu, \"sent\": %llu, \"dropped\": %llu, \"rearms\": %llu, "
      "\"exhausted\": %llu}\n",
      static_cast<unsigned long long>(counters.enters),
      static_cast<unsigned long long>(counters.received),
      static_cast<unsigned long long>(counters.sent),
      static_cast<unsigned long long>(counters.dropped),
      static_cast<unsigned long long>(counters.rearms),
      static_cast<unsigned long long>(counters.exhausted));
  std::fflush(stdout);
}

}  // namespace ringway::floor
