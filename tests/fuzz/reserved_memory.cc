#include "gateway/base/reserved_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(begin, size)
#define ASAN_UNPOISON_MEMORY_REGION(begin, size)
#endif

// ReservedMemory for fuzz programs, instead of the program's: what one input has given back the
// next one gets, zeroed. To map and unmap the fifty tables of two shards for each input takes
// longer than the input, above all where a sanitizer keeps books of it. Nobody may touch what was
// given back: its beginning is poisoned, where tables have what they use first.

namespace ringway {
namespace {

constexpr std::size_t kPoisoned = 4 * 1024;
constexpr std::size_t kZeroedByHand = 64 * 1024;  // above, page by page is dearer than the kernel

std::map<std::size_t, std::vector<std::uint8_t*>>& kept() {
  static auto& all = *new std::map<std::size_t, std::vector<std::uint8_t*>>;
  return all;
}

}  // namespace

ReservedMemory::ReservedMemory(std::size_t bytes) : size_(bytes) {
  std::vector<std::uint8_t*>& of_that_size = kept()[bytes];
  if (!of_that_size.empty()) {
    data_ = of_that_size.back();
    of_that_size.pop_back();
    ASAN_UNPOISON_MEMORY_REGION(data_, std::min(size_, kPoisoned));
    return;
  }
  void* memory = mmap(nullptr, size_, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw NoAddressSpace(bytes);
  data_ = static_cast<std::uint8_t*>(memory);
}

// Owners that fill it from the front have said how far they came; of others nobody knows.
ReservedMemory::~ReservedMemory() {
  const std::size_t used = resident_ != 0 ? resident_ : size_;
  if (used <= kZeroedByHand) {
    std::memset(data_, 0, used);
  } else {
    madvise(data_, used, MADV_DONTNEED);
  }
  ASAN_POISON_MEMORY_REGION(data_, std::min(size_, kPoisoned));
  kept()[size_].push_back(data_);
}

void ReservedMemory::extend(std::size_t end) {
  resident_ = end;
}

}  // namespace ringway
