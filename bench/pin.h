#pragma once

#include <sched.h>

namespace ringway::bench {

// The calling thread runs on this core only. False, and errno, if that cannot be.
inline bool pin(unsigned cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  return sched_setaffinity(0, sizeof set, &set) == 0;
}

}  // namespace ringway::bench
