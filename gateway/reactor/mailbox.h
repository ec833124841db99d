#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "gateway/base/buffer_pool.h"
#include "gateway/base/spsc_queue.h"

namespace ringway {

// How a thread that may be asleep in its kernel is woken. It announces its sleep; who has just put
// something into one of its mailboxes asks must_wake() and, if so, wakes it: by Kernel::wake() from
// another shard, or by the eventfd that its reactor reads.
// A thread that is awake looks into its mailboxes anyway and costs its peers no system call.
class Waker {
 public:
  // The sleeper: announce, then look into all mailboxes once more, then wait.
  void announce_sleep() {
    asleep_.store(true, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
  void announce_awake() { asleep_.store(false, std::memory_order_relaxed); }

  // The waker, after its push: true for exactly one of several.
  bool must_wake() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    return asleep_.load(std::memory_order_relaxed) &&
           asleep_.exchange(false, std::memory_order_relaxed);
  }

  // The handle of the sleeper's kernel, -1 unless it runs.
  void set_handle(int handle) { handle_.store(handle, std::memory_order_release); }
  int handle() const { return handle_.load(std::memory_order_acquire); }

 private:
  std::atomic<bool> asleep_{false};
  std::atomic<int> handle_{-1};
};

// One direction between two shards: a queue of messages, and the buffers that they point into.
// Those stay in the sender's hands until the receiver has popped the message; only then, in the
// sender's own thread, the reference goes back to the sender's pool.
template <typename T>
class Mailbox {
 public:
  explicit Mailbox(std::size_t capacity) : queue_(capacity), held_(capacity), mask_(capacity - 1) {}

  // Sender. buffer: what message points into, or empty. False if the mailbox is full; message is
  // then untouched.
  bool push(T&& message, BufferRef buffer) {
    reclaim();
    if (sent_ - reclaimed_ > mask_ || !queue_.push(std::move(message))) return false;
    held_.push(std::move(buffer));
    ++sent_;
    return true;
  }
  // Sender, once a turn: lets go of the buffers of messages that were dealt with. Returns true if
  // some are still held.
  bool reclaim() {
    let_go(done_.load(std::memory_order_acquire));
    return reclaimed_ != sent_;
  }

  // Receiver. The oldest message, or nullptr; it and its bytes are valid until pop().
  T* front() { return queue_.front(); }
  void pop() {
    queue_.pop();
    done_.store(done_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }
  bool empty() const { return queue_.empty(); }

  // When neither thread runs any more and the sender's pool still exists.
  void abandon() { let_go(sent_); }

 private:
  void let_go(std::uint64_t until) {
    for (; reclaimed_ != until; ++reclaimed_) held_.pop();
  }

  SpscQueue<T> queue_;
  SpscQueue<BufferRef> held_;  // the sender's, at both of its ends
  std::size_t mask_;
  std::uint64_t sent_ = 0;       // sent_ - reclaimed_ <= capacity
  std::uint64_t reclaimed_ = 0;  // reclaimed_ <= done_ <= sent_
  alignas(64) std::atomic<std::uint64_t> done_{0};
};

}  // namespace ringway
