#pragma once

#include <cstddef>
#include <span>

#include "gateway/base/reserved_memory.h"

namespace ringway {

// Zeroed memory for count values that becomes resident when first touched. T is plain data whose
// zero is its start value.
template <typename T>
class ReservedArray {
 public:
  // count > 0.
  explicit ReservedArray(std::size_t count)
      : memory_(count * sizeof(T)), values_(reinterpret_cast<T*>(memory_.data()), count) {}

  T& operator[](std::size_t index) { return values_[index]; }
  const T& operator[](std::size_t index) const { return values_[index]; }
  std::size_t size() const { return values_.size(); }

 private:
  ReservedMemory memory_;
  std::span<T> values_;
};

}  // namespace ringway
