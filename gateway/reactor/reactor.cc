#include "gateway/reactor/reactor.h"

#include <algorithm>

namespace ringway {

std::expected<void, std::string> Reactor::open() {
  if (auto opened = ring_.open(); !opened) return opened;
  now_ = read_clock();
  arm_wake_event();
  waker_.set_ring(ring_.fd());
  return {};
}

std::span<Completion> Reactor::wait(Instant deadline) {
  // Rounded up, so that a wake is never a moment too early and repeated.
  Duration timeout = Duration::max();
  if (deadline != kNever) timeout = deadline > now_ ? deadline - now_ : Duration::zero();
  // now_ is as old as the turn was long; what passed since then is taken off by a fresh reading
  // only when it matters, that is, when the thread would really wait.
  if (timeout > Duration::zero() && deadline != kNever && !ring_.has_completions()) {
    timeout = deadline - read_clock();
  }
  if (!ring_.wait(timeout, failure_)) return {};
  waker_.announce_awake();
  now_ = read_clock();
  const bool waited = timeout > Duration::zero() && deadline != kNever;
  overslept_ = waited ? std::max(now_ - deadline, Duration::zero()) : Duration::zero();
  counters_.turns.add();
  const std::span<Completion> batch = ring_.reap(batch_);
  drained_ = batch.size() < batch_.size();
  crowded_ = batch.size() >= kCrowd || ring_.has_completions();
  return batch;
}

void Reactor::arm_wake_event() {
  ring_.read(wake_fd_, {reinterpret_cast<std::uint8_t*>(&wake_value_), sizeof wake_value_},
             {OperationKind::WakeEvent, {}});
}

void Reactor::wake(Waker& other) {
  if (!other.must_wake()) return;
  const int ring = other.ring();
  if (ring >= 0) ring_.wake(ring, {OperationKind::WakeRing, {}});
}

}  // namespace ringway
