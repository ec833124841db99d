#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "gateway/base/check.h"
#include "gateway/base/reserved_memory.h"
#include "protocol/base/bytes.h"

namespace ringway {

class BufferPool;

// The head of a pooled buffer; its memory follows directly.
struct BufferHead {
  BufferPool* pool;
  BufferHead* next_free;
  std::uint32_t references;
  std::uint32_t size;  // bytes in use, size <= capacity
  std::uint32_t capacity;
  std::uint8_t size_class;
};

// A counted reference to a buffer of one shard's pool. Not atomic: it never leaves its shard's
// thread. Bytes for another shard are copied there.
class BufferRef {
 public:
  BufferRef() = default;
  explicit BufferRef(BufferHead* head) : head_(head) {}
  BufferRef(const BufferRef& other) : head_(other.head_) {
    if (head_) ++head_->references;
  }
  BufferRef(BufferRef&& other) noexcept : head_(std::exchange(other.head_, nullptr)) {}
  BufferRef& operator=(BufferRef other) noexcept {
    std::swap(head_, other.head_);
    return *this;
  }
  ~BufferRef() { reset(); }

  inline void reset();
  explicit operator bool() const { return head_ != nullptr; }
  Bytes bytes() const { return {memory(), head_->size}; }
  // All of its memory, for writing; then set_size().
  MutableBytes space() { return {memory(), head_->capacity}; }
  void set_size(std::size_t size) {
    DCHECK(size <= head_->capacity);
    head_->size = static_cast<std::uint32_t>(size);
  }
  std::size_t size() const { return head_ ? head_->size : 0; }

 private:
  std::uint8_t* memory() const { return reinterpret_cast<std::uint8_t*>(head_ + 1); }
  BufferHead* head_ = nullptr;
};

// Buffers of five sizes for one shard: sent messages, kept responses, parked requests.
//
// The address space is reserved at construction, memory becomes resident when first touched and
// is reused last in, first out. Nothing is allocated after that.
// A pool outlives every BufferRef taken from it.
class BufferPool {
 public:
  static constexpr std::array<std::uint32_t, 5> kSizes{512, 1024, 2048, 8192, 65'536};

  // bytes_max: memory that all buffers together may use; each class may take all of it.
  explicit BufferPool(std::size_t bytes_max);
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // An empty buffer with room for at least size bytes (at most 65,536); an empty reference when
  // the pool is exhausted: refuse or drop, and count it.
  BufferRef take(std::size_t size);
  // take() and copy.
  BufferRef copy(Bytes bytes);

  std::size_t in_use() const { return in_use_; }
  std::size_t bytes_in_use() const { return bytes_in_use_; }

 private:
  friend class BufferRef;
  void release(BufferHead* head);

  struct SizeClass {
    std::optional<ReservedMemory> memory;
    std::size_t carved = 0;  // bytes handed out at least once
    BufferHead* free = nullptr;
  };
  std::array<SizeClass, kSizes.size()> classes_;
  std::size_t bytes_max_;
  std::size_t bytes_in_use_ = 0;  // bytes_in_use_ <= bytes_max_
  std::size_t in_use_ = 0;
};

inline void BufferRef::reset() {
  if (head_ && --head_->references == 0) head_->pool->release(head_);
  head_ = nullptr;
}

}  // namespace ringway
