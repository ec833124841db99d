#include "gateway/base/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace ringway {
namespace {

std::uint64_t tick_of(Instant moment) {
  const auto since = moment.time_since_epoch();
  return since.count() <= 0 ? 0 : static_cast<std::uint64_t>(since / TimerWheel::kTick);
}

// A deadline belongs to the first tick that begins at or after it.
std::uint64_t tick_after(Instant deadline) {
  return tick_of(deadline + TimerWheel::kTick - Duration{1});
}

}  // namespace

TimerWheel::Handle TimerWheel::arm(Instant deadline, std::uint64_t payload) {
  const SlotId id = nodes_.take();
  if (!id) return 0;
  Node& node = *nodes_.at(id.slot);
  if (deadline > Instant{} + std::chrono::hours(24 * 365 * 100)) {
    deadline = Instant{} + std::chrono::hours(24 * 365 * 100);
  }
  node.tick = std::max(tick_after(deadline), tick_);  // nothing is late before it was armed
  node.payload = payload;
  link(id.slot);
  return id.slot + 1;
}

void TimerWheel::cancel(Handle& handle) {
  if (handle == 0) return;
  const std::uint32_t slot = handle - 1;
  unlink(slot);
  nodes_.release(nodes_.id_at(slot));
  handle = 0;
}

void TimerWheel::link(std::uint32_t slot) {
  const std::uint64_t tick = nodes_.at(slot)->tick;
  if (tick <= tick_) return link_into(slot, kDue);
  if (tick - tick_ <= kPlaces - 1) {
    link_into(slot, static_cast<std::uint16_t>(tick % kPlaces));
  } else if ((tick >> 8) - (tick_ >> 8) <= kPlaces - 1) {
    link_into(slot, second_place(tick >> 8));
  } else {
    link_into(slot, third_place(std::min(tick >> 16, (tick_ >> 16) + kSpan - 1)));
  }
}

void TimerWheel::link_into(std::uint32_t slot, std::uint16_t place) {
  Node& node = *nodes_.at(slot);
  node.place = place;
  ++counts_[place];
  if (place == kDue) {  // in order: appended
    node.previous = due_last_;
    node.next = kNone;
    (due_last_ == kNone ? due_ : nodes_.at(due_last_)->next) = slot;
    due_last_ = slot;
    return;
  }
  node.previous = kNone;
  node.next = places_[place];
  if (node.next != kNone) nodes_.at(node.next)->previous = slot;
  places_[place] = slot;
  occupied_[place / 64] |= std::uint64_t{1} << (place % 64);
}

void TimerWheel::unlink(std::uint32_t slot) {
  Node& node = *nodes_.at(slot);
  --counts_[node.place];
  if (node.previous != kNone) {
    nodes_.at(node.previous)->next = node.next;
  } else {
    head(node.place) = node.next;
    if (node.place != kDue && node.next == kNone) {
      occupied_[node.place / 64] &= ~(std::uint64_t{1} << (node.place % 64));
    }
  }
  if (node.next != kNone) {
    nodes_.at(node.next)->previous = node.previous;
  } else if (node.place == kDue) {
    due_last_ = node.previous;
  }
}

// The first count of a coarse place go to finer levels, as seen from tick_.
void TimerWheel::move_down(std::uint16_t place, std::uint32_t count) {
  for (; count != 0 && places_[place] != kNone; --count) {
    const std::uint32_t slot = places_[place];
    unlink(slot);
    link(slot);
    ++moved_;
  }
}

// After passed ticks, with left more until place must be empty: its fair share.
void TimerWheel::move_some(std::uint16_t place, std::uint64_t passed, std::uint64_t left) {
  const std::uint64_t count = counts_[place];
  if (count == 0) return;
  move_down(place, static_cast<std::uint32_t>(count * passed / (passed + left) + 1));
}

void TimerWheel::advance(Instant now) {
  const std::uint64_t target = tick_of(now);
  if (nodes_.size() == 0) {
    tick_ = std::max(tick_, target);
    return;
  }
  while (tick_ < target) {
    // Skip over empty stretches of the first level up to the next boundary.
    const std::uint64_t boundary = (tick_ | 0xff) + 1;
    std::uint64_t next = tick_ + 1;
    while (next < boundary && next < target) {
      const auto place = static_cast<std::uint32_t>(next % kPlaces);
      const std::uint64_t ahead = occupied_[place / 64] >> (place % 64);
      if (ahead != 0) {
        next += static_cast<std::uint64_t>(std::countr_zero(ahead));
        break;
      }
      next += 64 - place % 64;
    }
    const std::uint64_t passed = std::min({next, boundary, target}) - tick_;
    tick_ += passed;
    if (tick_ % kSpan == 0) {
      // What is left of the places that begin here.
      if ((tick_ >> 8) % kSpan == 0) move_down(third_place(tick_ >> 16), size());
      move_down(second_place(tick_ >> 8), size());
    } else {
      move_some(third_place((tick_ >> 16) + 1), passed, 0x1'0000 - tick_ % 0x1'0000);
      move_some(second_place((tick_ >> 8) + 1), passed, kSpan - tick_ % kSpan);
    }
    const auto place = static_cast<std::uint16_t>(tick_ % kPlaces);
    std::uint32_t slot = places_[place];
    places_[place] = kNone;
    counts_[place] = 0;
    occupied_[place / 64] &= ~(std::uint64_t{1} << (place % 64));
    while (slot != kNone) {
      const std::uint32_t following = nodes_.at(slot)->next;
      link_into(slot, kDue);
      slot = following;
    }
  }
}

// Whether the place of the second level that spreads at this boundary holds anything; true where
// the third level may.
bool TimerWheel::spreads_at(std::uint64_t boundary) const {
  const std::uint64_t coarse = boundary >> 8;
  return coarse % kSpan == 0 || counts_[second_place(coarse)] != 0;
}

Instant TimerWheel::next_deadline() const {
  if (nodes_.size() == 0) return kNever;
  if (due_ != kNone) return Instant{};
  for (std::uint64_t i = 1; i < kPlaces; ++i) {
    const auto place = static_cast<std::uint32_t>((tick_ + i) % kPlaces);
    const std::uint64_t word = occupied_[place / 64] >> (place % 64);
    if (word == 0) {
      i += 63 - place % 64;
      continue;
    }
    std::uint64_t tick = tick_ + i + static_cast<std::uint64_t>(std::countr_zero(word));
    if (tick >= tick_ + kPlaces) break;
    // What is still to move down from the coarser levels may come before it.
    for (std::uint64_t boundary = (tick_ | 0xff) + 1; boundary < tick; boundary += kSpan) {
      if (spreads_at(boundary)) tick = boundary;
    }
    return Instant{} + static_cast<std::int64_t>(tick) * kTick;
  }
  // Something waits on a coarser level: wake at the next place of it that holds anything.
  for (std::uint64_t i = 1; i <= kPlaces; ++i) {
    const std::uint64_t boundary = ((tick_ >> 8) + i) << 8;
    if (spreads_at(boundary)) return Instant{} + static_cast<std::int64_t>(boundary) * kTick;
  }
  return Instant{} + static_cast<std::int64_t>(((tick_ >> 16) + 1) << 16) * kTick;
}

}  // namespace ringway
