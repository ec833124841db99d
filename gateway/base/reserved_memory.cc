#include "gateway/base/reserved_memory.h"

#include <sys/mman.h>

#include <algorithm>

#include "gateway/base/check.h"

namespace ringway {
namespace {

constexpr std::size_t kPiece = 64 * 1024;  // about 5 us of the kernel's time

}  // namespace

ReservedMemory::ReservedMemory(std::size_t bytes) : size_(bytes) {
  void* memory = mmap(nullptr, size_, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw NoAddressSpace(bytes);
  data_ = static_cast<std::uint8_t*>(memory);
}

ReservedMemory::~ReservedMemory() {
  munmap(data_, size_);
}

void ReservedMemory::extend(std::size_t end) {
  DCHECK(end <= size_);
  const std::size_t from = resident_;
  resident_ = std::min(size_, (end + kPiece - 1) / kPiece * kPiece);
  // A kernel that cannot leaves it to page faults.
  static_cast<void>(madvise(data_ + from, resident_ - from, MADV_POPULATE_WRITE));
}

}  // namespace ringway
