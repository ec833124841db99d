#pragma once

#include <time.h>

#include "protocol/base/time.h"

namespace ringway {

// The monotonic clock. A shard reads it once a turn.
inline Instant read_clock() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return Instant(Duration(std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec));
}

}  // namespace ringway
