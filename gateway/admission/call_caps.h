#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "gateway/base/reserved_array.h"
#include "protocol/base/time.h"

namespace ringway {

// How much each account has of a rule's caps: one table of counters for all shards, so that caps
// are exact however calls are spread. Any thread may do anything, nobody waits.
//
// What is counted is a key, the hash of a rule and an account. A key has kWays places; one that is
// counted no more (no call, nothing used today) makes room. Without room the call is refused.
//
// Place, 32 bytes:
//   0  key     8        16  minute 8: number of the minute 32 bits, calls in it 32 bits
//   8  calls   8        24  day    8: number of the day 32 bits, seconds used 32 bits
// calls: those under way.
class CallCaps {
 public:
  static constexpr std::uint32_t kPlaces = 65'536;

  CallCaps() : places_(kPlaces) {}

  struct Limits {  // 0: none
    std::uint32_t calls = 0, calls_a_minute = 0, seconds_a_day = 0;
  };
  // The moment as caps see it; days are those of UTC.
  struct Time {
    std::uint32_t minute = 0, day = 0;
  };
  enum class Outcome : std::uint8_t { Counted, Calls, CallsAMinute, MinutesADay, NoRoom };

  // A call begins: counted, or the cap that it would exceed. key: not 0.
  Outcome begin(std::uint64_t key, const Limits& limits, const Time& time);
  // A call that was counted is over.
  void end(std::uint64_t key);
  // It goes on for so many seconds more. False: the day's are used up, nothing was taken.
  bool use(std::uint64_t key, std::uint32_t seconds, const Limits& limits, const Time& time);
  // What it took and did not use.
  void give_back(std::uint64_t key, std::uint32_t seconds, const Time& time);

 private:
  static constexpr std::size_t kWays = 8;
  struct Place {
    std::atomic<std::uint64_t> key, calls, minute, day;
  };

  struct Taken {
    Place* place = nullptr;     // nullptr: no room
    std::uint64_t before = 0;   // calls under way when this one was counted
  };

  Place* find(std::uint64_t key);
  Taken take(std::uint64_t key, const Time& time);
  static bool is_idle(const Place& place, const Time& time);
  bool is_full(std::size_t first, const Time& time) const;
  static bool add(std::atomic<std::uint64_t>& counter, std::uint32_t number, std::uint32_t amount,
                  std::uint32_t max);

  ReservedArray<Place> places_;
};

// As the configuration names the cap; empty for Counted.
std::string_view to_text(CallCaps::Outcome outcome);

}  // namespace ringway
