#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "protocol/base/time.h"

namespace ringway::sim {

// Time that only passes when something is due. What is due at the same moment happens in the
// order in which it was asked for, so that one seed always makes one history.
class Clock {
 public:
  using Task = std::function<void()>;

  Instant now() const { return now_; }
  void at(Instant when, Task task);
  void after(Duration delay, Task task) { at(now_ + delay, std::move(task)); }

  // Goes to the next task and does it; false if there is none until end.
  bool step(Instant end = kNever);

 private:
  struct Entry {
    Instant when;
    std::uint64_t sequence;
    Task task;
  };
  static bool is_later(const Entry& a, const Entry& b) {
    return a.when != b.when ? a.when > b.when : a.sequence > b.sequence;
  }

  Instant now_{Duration{1s}};  // zero means "never" to some
  std::uint64_t sequence_ = 0;
  std::vector<Entry> heap_;  // the earliest in front
};

}  // namespace ringway::sim
