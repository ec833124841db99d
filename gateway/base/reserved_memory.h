#pragma once

#include <cstddef>
#include <cstdint>

namespace ringway {

// Zeroed address space of its owner that becomes resident when first used. Never moves.
class ReservedMemory {
 public:
  // bytes > 0. Ends the program if the address space is used up.
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
