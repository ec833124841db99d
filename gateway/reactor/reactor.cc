#include "gateway/reactor/reactor.h"

#include <algorithm>

namespace ringway {

std::expected<void, std::string> Reactor::open() {
  if (auto opened = kernel_->open(); !opened) return opened;
  now_ = kernel_->now();
  arm_wake_event();
  waker_.set_handle(kernel_->handle() >= 0 ? kernel_->handle() : wake_fd_);
  return {};
}

void Reactor::end() {
  waker_.set_handle(-1);
  kernel_->end();
}

std::span<Completion> Reactor::wait(Instant deadline) {
  // Rounded up, so that a wake is never a moment too early and repeated.
  Duration timeout = Duration::max();
  if (deadline != kNever) timeout = deadline > now_ ? deadline - now_ : Duration::zero();
  // now_ is as old as the turn was long; what passed since then is taken off by a fresh reading
  // only when it matters, that is, when the thread would really wait.
  if (timeout > Duration::zero() && deadline != kNever && !kernel_->has_completions()) {
    timeout = deadline - kernel_->now();
  }
  if (!kernel_->wait(timeout, failure_)) return {};
  waker_.announce_awake();
  now_ = kernel_->now();
  const bool waited = timeout > Duration::zero() && deadline != kNever;
  overslept_ = waited ? std::max(now_ - deadline, Duration::zero()) : Duration::zero();
  counters_.turns.add();
  const std::span<Completion> batch = kernel_->reap(batch_);
  drained_ = batch.size() < batch_.size() && !kernel_->has_completions();
  crowded_ = batch.size() >= kCrowd || kernel_->has_completions();
  return batch;
}

void Reactor::arm_wake_event() {
  kernel_->read_event(wake_fd_, &wake_value_, {OperationKind::WakeEvent, {}});
}

void Reactor::wake(Waker& other) {
  if (!other.must_wake()) return;
  const int handle = other.handle();
  if (handle >= 0) kernel_->wake(handle);
}

}  // namespace ringway
