#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

#include "gateway/base/check.h"

namespace ringway {

// A bounded queue between exactly one producer thread and one consumer thread, without locks.
// T is moved in and out. Capacity is a power of two, fixed at construction.
template <typename T>
class SpscQueue {
 public:
  explicit SpscQueue(std::size_t capacity)
      : slots_(std::make_unique<T[]>(capacity)), mask_(capacity - 1) {
    CHECK(capacity != 0 && (capacity & mask_) == 0);
  }

  // Producer. False if the queue is full; value is then untouched.
  bool push(T&& value) {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_seen_ > mask_) {
      head_seen_ = head_.load(std::memory_order_acquire);
      if (tail - head_seen_ > mask_) return false;
    }
    slots_[tail & mask_] = std::move(value);
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  // Consumer. The oldest entry, or nullptr; valid until pop().
  T* front() {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_seen_) {
      tail_seen_ = tail_.load(std::memory_order_acquire);
      if (head == tail_seen_) return nullptr;
    }
    return &slots_[head & mask_];
  }
  void pop() {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    slots_[head & mask_] = T{};
    head_.store(head + 1, std::memory_order_release);
  }

  // Either side; a snapshot.
  bool empty() const {
    return head_.load(std::memory_order_acquire) == tail_.load(std::memory_order_acquire);
  }

 private:
  std::unique_ptr<T[]> slots_;
  std::size_t mask_;
  alignas(64) std::atomic<std::size_t> head_{0};
  std::size_t tail_seen_ = 0;  // the consumer's copy of tail_
  alignas(64) std::atomic<std::size_t> tail_{0};
  std::size_t head_seen_ = 0;  // the producer's copy of head_
};

}  // namespace ringway
