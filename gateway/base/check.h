#pragma once

#include <cstdio>
#include <cstdlib>

// "We are wrong": an invariant of ours does not hold, and the process ends (style of the house:
// a peer's mistake is a value, ours is a CHECK). Both stay on in release builds.

#define CHECK(condition)                                                                 \
  do {                                                                                   \
    if (!(condition)) [[unlikely]] {                                                     \
      std::fprintf(stderr, "%s:%d: CHECK failed: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                      \
    }                                                                                    \
  } while (false)

#ifdef NDEBUG
#define DCHECK(condition) static_cast<void>(0)
#else
#define DCHECK(condition) CHECK(condition)
#endif
