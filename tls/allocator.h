#pragma once

#include <cstddef>
#include <cstdint>

namespace ringway::tls {

// Puts per-thread free lists of fixed size classes behind all of OpenSSL's memory. Call once,
// before any other use of OpenSSL in the process and before threads exist; false if it is too
// late, and OpenSSL then keeps malloc. Blocks may be freed by any thread.
bool install_allocator();

struct AllocatorStatistics {
  std::uint64_t live_bytes = 0;  // in blocks that OpenSSL holds
  std::uint64_t live_blocks = 0;
  std::uint64_t cached_bytes = 0;  // in free lists, bounded for each thread
  std::uint64_t allocations = 0;   // ever
  std::uint64_t cache_hits = 0;    // of them, served by a free list
};

// Sums over all threads; a snapshot that may be torn between threads. All zero when not installed.
AllocatorStatistics allocator_statistics();

}  // namespace ringway::tls
