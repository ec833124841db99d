#pragma once

#include <cstdlib>
#include <memory>
#include <string_view>

#include "gateway/reactor/epoll.h"
#include "gateway/reactor/ring.h"

namespace ringway::test {

// The same tests run under each kernel: RINGWAY_KERNEL=epoll, or io_uring without it.
inline bool uses_epoll() {
  const char* name = std::getenv("RINGWAY_KERNEL");
  return name && std::string_view(name) == "epoll";
}

inline std::unique_ptr<Kernel> make_kernel(Counters& counters) {
  if (uses_epoll()) return std::make_unique<Epoll>(counters);
  return std::make_unique<Ring>(counters);
}

}  // namespace ringway::test
