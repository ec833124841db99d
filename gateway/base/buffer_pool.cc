#include "gateway/base/buffer_pool.h"

#include <algorithm>
#include <cstring>

namespace ringway {
namespace {

// Buffers up to this size are made resident before they are touched; of larger ones most stays
// untouched.
constexpr std::size_t kPagesAhead = 4096;

constexpr std::size_t stride(std::size_t capacity) {
  // A cache line more than the sum keeps message starts from aliasing into the same cache sets.
  return (sizeof(BufferHead) + capacity + 63) / 64 * 64 + (capacity >= 4096 ? 64 : 0);
}

}  // namespace

BufferPool::BufferPool(std::size_t bytes_max) : bytes_max_(bytes_max) {
  for (std::size_t i = 0; i < classes_.size(); ++i) {
    const std::size_t count = std::max<std::size_t>(bytes_max / kSizes[i], 16);
    classes_[i].memory.emplace(count * stride(kSizes[i]));
  }
}

BufferRef BufferPool::take(std::size_t size) {
  const auto found = std::lower_bound(kSizes.begin(), kSizes.end(), size);
  if (found == kSizes.end()) return {};
  const auto index = static_cast<std::size_t>(found - kSizes.begin());
  SizeClass& size_class = classes_[index];
  if (bytes_in_use_ + *found > bytes_max_) return {};
  BufferHead* head = size_class.free;
  if (head) {
    size_class.free = head->next_free;
  } else {
    const std::size_t step = stride(*found);
    if (size_class.carved + step > size_class.memory->size()) return {};
    head = reinterpret_cast<BufferHead*>(size_class.memory->data() + size_class.carved);
    size_class.carved += step;
    if (step <= kPagesAhead) size_class.memory->reach(size_class.carved);
    head->pool = this;
    head->capacity = *found;
    head->size_class = static_cast<std::uint8_t>(index);
  }
  head->references = 1;
  head->size = 0;
  bytes_in_use_ += *found;
  ++in_use_;
  return BufferRef(head);
}

BufferRef BufferPool::copy(Bytes bytes) {
  BufferRef buffer = take(bytes.size());
  if (!buffer) return buffer;
  if (!bytes.empty()) std::memcpy(buffer.space().data(), bytes.data(), bytes.size());
  buffer.set_size(bytes.size());
  return buffer;
}

void BufferPool::release(BufferHead* head) {
  SizeClass& size_class = classes_[head->size_class];
  head->next_free = size_class.free;
  size_class.free = head;
  bytes_in_use_ -= head->capacity;
  --in_use_;
}

}  // namespace ringway
