#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <new>
#include <utility>

#include "gateway/base/check.h"

namespace ringway {

// A bounded queue between exactly one producer thread and one consumer thread, without locks.
// T is moved in and out. Capacity is a power of two, fixed at construction. A place costs memory
// only once something has been put there: there is a queue for each pair of shards.
template <typename T>
class SpscQueue {
 public:
  explicit SpscQueue(std::size_t capacity)
      : slots_(std::make_unique_for_overwrite<Slot[]>(capacity)), mask_(capacity - 1) {
    CHECK(capacity != 0 && (capacity & mask_) == 0);
  }
  ~SpscQueue() {
    while (!empty()) pop();  // front() trusts that entries were looked at before they were popped
  }
  SpscQueue(const SpscQueue&) = delete;
  SpscQueue& operator=(const SpscQueue&) = delete;

  // Producer. False if the queue is full; value is then untouched.
  bool push(T&& value) {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_seen_ > mask_) {
      head_seen_ = head_.load(std::memory_order_acquire);
      if (tail - head_seen_ > mask_) return false;
    }
    new (slots_[tail & mask_].bytes) T(std::move(value));
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
    return at(head);
  }
  void pop() {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    at(head)->~T();
    head_.store(head + 1, std::memory_order_release);
  }

  // Either side; a snapshot.
  bool empty() const {
    return head_.load(std::memory_order_acquire) == tail_.load(std::memory_order_acquire);
  }

 private:
  struct Slot {
    alignas(T) std::byte bytes[sizeof(T)];
  };
  // An entry between head and tail.
  T* at(std::size_t place) {
    return std::launder(reinterpret_cast<T*>(slots_[place & mask_].bytes));
  }

  std::unique_ptr<Slot[]> slots_;
  std::size_t mask_;
  alignas(64) std::atomic<std::size_t> head_{0};
  std::size_t tail_seen_ = 0;  // the consumer's copy of tail_
  alignas(64) std::atomic<std::size_t> tail_{0};
  std::size_t head_seen_ = 0;  // the producer's copy of head_
};

}  // namespace ringway
