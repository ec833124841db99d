#pragma once

#include <cstdint>

namespace ringway {

// Free buffers on their way to the kernel: the giver appends at the tail, the kernel takes from the
// head, which only it knows. The layout is io_uring's (io_uring_register_buf_ring(3)): the tail
// lies over a field of the first entry that nothing else uses.
//
//   entry:  | address 8 | size 4 | buffer 2 | tail (of the first entry) 2 |
struct BufferRing {
  struct Entry {
    std::uint64_t address;
    std::uint32_t size;
    std::uint16_t buffer;
    std::uint16_t tail_of_first;
  };
  static_assert(sizeof(Entry) == 16);

  Entry* entries = nullptr;
  std::uint32_t count = 0;  // a power of two

  Entry& at(std::uint16_t place) const { return entries[place & (count - 1)]; }
  void publish(std::uint16_t tail) {
    __atomic_store_n(&entries[0].tail_of_first, tail, __ATOMIC_RELEASE);
  }
  std::uint16_t tail() const {
    return __atomic_load_n(&entries[0].tail_of_first, __ATOMIC_ACQUIRE);
  }
};

// The side that takes, for kernels that are not the real one's io_uring.
class BufferTaker {
 public:
  BufferTaker() = default;
  explicit BufferTaker(BufferRing& ring) : ring_(&ring) {}

  bool is_open() const { return ring_ != nullptr; }
  bool empty() const { return !ring_ || head_ == ring_->tail(); }
  // Precondition: not empty.
  const BufferRing::Entry& front() const { return ring_->at(head_); }
  void take() { ++head_; }

 private:
  BufferRing* ring_ = nullptr;
  std::uint16_t head_ = 0;
};

}  // namespace ringway
