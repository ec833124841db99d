#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

namespace ringway {

// The process may not have that much address space: RLIMIT_AS, or a kernel that promises no more
// memory than it has. Thrown while a shard is made, and told by Shard::start().
struct NoAddressSpace : std::bad_alloc {
  explicit NoAddressSpace(std::size_t wanted) : bytes(wanted) {}
  std::size_t bytes;
};

// Zeroed address space of its owner that becomes resident when first used. Never moves.
class ReservedMemory {
 public:
  // bytes > 0. Throws NoAddressSpace.
  explicit ReservedMemory(std::size_t bytes);
  ~ReservedMemory();
  ReservedMemory(const ReservedMemory&) = delete;
  ReservedMemory& operator=(const ReservedMemory&) = delete;

  std::uint8_t* data() { return data_; }
  std::size_t size() const { return size_; }

  // For owners that fill it from the front: bytes 0 .. end-1 are used from now on. They become
  // resident some pages at a time, which costs half of a page fault for each. end <= size().
  void reach(std::size_t end) {
    if (end > resident_) extend(end);
  }

 private:
  void extend(std::size_t end);

  std::uint8_t* data_;
  std::size_t size_;
  std::size_t resident_ = 0;
};

}  // namespace ringway
