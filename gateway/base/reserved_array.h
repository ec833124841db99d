#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <span>

#include "gateway/base/check.h"

namespace ringway {

// Zeroed memory for count values that becomes resident when first touched. T is plain data whose
// zero is its start value.
template <typename T>
class ReservedArray {
 public:
  explicit ReservedArray(std::size_t count) : bytes_(count * sizeof(T)) {
    void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(memory != MAP_FAILED);
    values_ = {static_cast<T*>(memory), count};
  }
  ~ReservedArray() { munmap(values_.data(), bytes_); }
  ReservedArray(const ReservedArray&) = delete;
  ReservedArray& operator=(const ReservedArray&) = delete;

  T& operator[](std::size_t index) { return values_[index]; }
  const T& operator[](std::size_t index) const { return values_[index]; }
  std::size_t size() const { return values_.size(); }

 private:
  std::size_t bytes_;
  std::span<T> values_;
};

}  // namespace ringway
