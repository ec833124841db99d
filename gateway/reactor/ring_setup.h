#pragma once

#include <expected>
#include <string>

struct io_uring;

namespace ringway {

// Why there is no ring.
struct RingRefusal {
  int error = 0;     // an errno
  std::string text;  // what is missing, and what to do about it
};

// Sets up a ring for the thread that calls: so many submissions at once, so many completions that
// may wait. It can do what the gateway does with it and nothing else. After a refusal nothing of it
// is left.
[[nodiscard]] std::expected<void, RingRefusal> open_ring(io_uring& ring, unsigned submissions,
                                                         unsigned completions);

}  // namespace ringway
