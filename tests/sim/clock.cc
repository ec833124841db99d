#include "tests/sim/clock.h"

#include <algorithm>
#include <utility>

namespace ringway::sim {

void Clock::at(Instant when, Task task) {
  heap_.push_back({std::max(when, now_), sequence_++, std::move(task)});
  std::push_heap(heap_.begin(), heap_.end(), is_later);
}

bool Clock::step(Instant end) {
  if (heap_.empty() || heap_.front().when > end) return false;
  std::pop_heap(heap_.begin(), heap_.end(), is_later);
  const Entry entry = std::move(heap_.back());
  heap_.pop_back();
  now_ = entry.when;
  entry.task();
  return true;
}

}  // namespace ringway::sim
