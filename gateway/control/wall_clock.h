#pragma once

#include <chrono>
#include <cstdint>

namespace ringway {

// Seconds since 1970.
inline std::int64_t wall_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace ringway
