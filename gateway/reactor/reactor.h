#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>

#include "gateway/base/counters.h"
#include "gateway/reactor/kernel.h"
#include "gateway/reactor/mailbox.h"

namespace ringway {

// The beginning of each turn: submit what the last turn prepared, wait for completions, a deadline
// or a wake, read the clock. One system call.
class Reactor {
 public:
  // Completions of one turn; more are left for the next.
  static constexpr std::size_t kBatch = 256;
  // Of deferred results the kernel works on 20 at a time (IO_LOCAL_TW_DEFAULT_MAX).
  static constexpr std::size_t kCrowd = 20;

  // waker: announces this thread's sleep. wake_fd: an eventfd that other threads write, and which
  // exists until none of them runs any more.
  Reactor(std::unique_ptr<Kernel> kernel, Counters& counters, Waker& waker, int wake_fd)
      : counters_(counters), waker_(waker), wake_fd_(wake_fd), kernel_(std::move(kernel)) {}
  ~Reactor() { end(); }

  // On the thread that will use it.
  [[nodiscard]] std::expected<void, std::string> open();

  // Nobody wakes it any more, and the kernel lets go of all memory. After it only Kernel::close().
  void end();

  Kernel& kernel() { return *kernel_; }
  // When this turn began.
  Instant now() const { return now_; }

  // Begins a turn: waits until deadline (kNever: for ever), or less if something happens.
  // has_mail() is asked once sleep was announced: whether any mailbox holds something.
  // The completions are lent until the next turn.
  template <typename HasMail>
  std::span<Completion> turn(Instant deadline, HasMail&& has_mail) {
    if (deadline > now_ && !kernel_->has_completions()) {
      waker_.announce_sleep();
      if (has_mail()) deadline = now_;
    }
    return wait(deadline);
  }
  // How long after its deadline the last turn() returned, having waited for it; zero if not late.
  Duration overslept() const { return overslept_; }
  // True if turn() returned all that had completed.
  bool drained() const { return drained_; }
  // True if the kernel probably has more: it gives no more than some twenty results at a time.
  bool is_crowded() const { return crowded_; }

  // After a completion of kind WakeEvent.
  void arm_wake_event();
  // Wakes another shard's thread if it sleeps.
  void wake(Waker& other);

  // Not empty: waiting has failed and the thread must end.
  const std::string& failure() const { return failure_; }

 private:
  std::span<Completion> wait(Instant deadline);

  Counters& counters_;
  Waker& waker_;
  int wake_fd_;
  std::unique_ptr<Kernel> kernel_;
  Instant now_{};
  Duration overslept_{};
  bool drained_ = true, crowded_ = false;
  std::uint64_t wake_value_ = 0;  // where the eventfd is read to
  std::string failure_;
  std::array<Completion, kBatch> batch_;
};

}  // namespace ringway
