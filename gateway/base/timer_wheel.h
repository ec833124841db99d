#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "gateway/base/slot_table.h"
#include "protocol/base/time.h"

namespace ringway {

// Deadlines of one shard. Arming, cancelling and expiring one cost a few nanoseconds whatever
// their number; a deadline is reported at most kTick late and never early.
//
// Three levels: a place of the first holds one tick, of the second 256, of the third 65,536 (about
// 19 hours in all; later deadlines are re-armed on the way). The finer levels reach twice as far as
// a place of the next, so that what stands in it moves down bit by bit in the time before it is
// needed: all at once, the deadlines of 50,000 transactions a second stop a shard for 10 ms.
class TimerWheel {
 public:
  static constexpr Duration kTick = 4ms;
  // Names one armed deadline; 0 names none. Not valid any more once it was reported.
  using Handle = std::uint32_t;

  // capacity: deadlines at one time.
  explicit TimerWheel(std::uint32_t capacity) : nodes_(capacity) { places_.fill(kNone); }

  // payload comes back from expire(). 0 if the wheel is full.
  Handle arm(Instant deadline, std::uint64_t payload);
  // handle: 0 or one that is armed; it is set to 0.
  void cancel(Handle& handle);

  // No deadline passes before this moment; kNever if none is armed. May be early, where deadlines
  // move from a coarse level to a finer one.
  Instant next_deadline() const;

  // Reports each deadline that has passed, by calling report(payload), in about their order.
  // report may arm and cancel; what it arms for the past comes with the next call.
  // How late the latest of them is; zero if none has passed.
  template <typename Report>
  Duration expire(Instant now, Report&& report) {
    advance(now);
    std::uint64_t late = 0;
    while (due_ != kNone) {
      const std::uint32_t slot = due_;
      Node& node = *nodes_.at(slot);
      late = std::max(late, tick_ - node.tick);
      const std::uint64_t payload = node.payload;
      unlink(slot);
      nodes_.release(nodes_.id_at(slot));
      report(payload);
    }
    return static_cast<std::int64_t>(late) * kTick;
  }

  std::uint32_t size() const { return nodes_.size(); }
  // Deadlines that were moved to a finer level, ever.
  std::uint64_t moved() const { return moved_; }

 private:
  static constexpr std::uint32_t kNone = 0xffff'ffff;
  static constexpr std::uint32_t kSpan = 256;         // places that one of the next level holds
  static constexpr std::uint32_t kPlaces = 2 * kSpan;  // of the finer levels
  static constexpr std::uint32_t kSecond = kPlaces, kThird = 2 * kPlaces;  // where they begin
  static constexpr std::uint16_t kDue = kThird + kSpan;  // the list of what has passed

  struct Node {
    std::uint64_t tick = 0;  // tick <= tick_ only in the due list
    std::uint64_t payload = 0;
    std::uint32_t next = kNone, previous = kNone;
    std::uint16_t place = 0;
  };

  void advance(Instant now);
  void link(std::uint32_t slot);
  void link_into(std::uint32_t slot, std::uint16_t place);
  void unlink(std::uint32_t slot);
  void move_down(std::uint16_t place, std::uint32_t count);
  void move_some(std::uint16_t place, std::uint64_t passed, std::uint64_t left);
  static std::uint16_t second_place(std::uint64_t coarse) {
    return static_cast<std::uint16_t>(kSecond + coarse % kPlaces);
  }
  static std::uint16_t third_place(std::uint64_t coarsest) {
    return static_cast<std::uint16_t>(kThird + coarsest % kSpan);
  }
  bool spreads_at(std::uint64_t boundary) const;
  std::uint32_t& head(std::uint16_t place) { return place == kDue ? due_ : places_[place]; }

  SlotTable<Node> nodes_;
  std::array<std::uint32_t, kDue> places_;
  std::array<std::uint32_t, kDue + 1> counts_{};
  std::array<std::uint64_t, kDue / 64> occupied_{};
  std::uint32_t due_ = kNone, due_last_ = kNone;
  std::uint64_t moved_ = 0;
  std::uint64_t tick_ = 0;  // every node's tick is above it, or it stands in the due list
};

}  // namespace ringway
