#include "gateway/base/timer_wheel.h"

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace ringway {
namespace {

constexpr Instant kStart{5'000s};

std::vector<std::uint64_t> expired(TimerWheel& wheel, Instant now) {
  std::vector<std::uint64_t> payloads;
  wheel.expire(now, [&](std::uint64_t payload) { payloads.push_back(payload); });
  return payloads;
}

using Payloads = std::vector<std::uint64_t>;

TEST(TimerWheel, ReportsWhatHasPassedAndNothingElse) {
  TimerWheel wheel(8);
  expired(wheel, kStart);
  EXPECT_EQ(wheel.next_deadline(), kNever);
  wheel.arm(kStart + 100ms, 1);
  wheel.arm(kStart + 1s, 2);
  wheel.arm(kStart + 36'000s, 3);
  EXPECT_EQ(expired(wheel, kStart + 99ms), Payloads{});
  EXPECT_EQ(expired(wheel, kStart + 104ms), Payloads{1});
  EXPECT_EQ(expired(wheel, kStart + 2s), Payloads{2});
  EXPECT_EQ(expired(wheel, kStart + 36'000s - 1ms), Payloads{});
  EXPECT_EQ(expired(wheel, kStart + 36'000s + 4ms), Payloads{3});
  EXPECT_EQ(wheel.size(), 0u);
}

TEST(TimerWheel, DeadlinesBeyondItsSpanArrive) {
  TimerWheel wheel(8);
  expired(wheel, kStart);
  wheel.arm(kStart + 360'000s, 1);
  Instant now = kStart;
  Payloads payloads;
  while (payloads.empty()) {
    const Instant next = wheel.next_deadline();
    ASSERT_LE(next, kStart + 360'000s + TimerWheel::kTick);
    ASSERT_GT(next, now) << "no progress";
    now = next;
    payloads = expired(wheel, now);
  }
  EXPECT_GE(now, kStart + 360'000s);
  EXPECT_LE(now, kStart + 360'000s + TimerWheel::kTick);
}

TEST(TimerWheel, ThePastIsReportedAtTheNextCall) {
  TimerWheel wheel(8);
  expired(wheel, kStart);
  wheel.arm(kStart - 1s, 1);
  EXPECT_LE(wheel.next_deadline(), kStart + TimerWheel::kTick);
  EXPECT_EQ(expired(wheel, kStart + TimerWheel::kTick), Payloads{1});
}

TEST(TimerWheel, CancelledOnesDoNotComeAndItsHandleIsCleared) {
  TimerWheel wheel(8);
  expired(wheel, kStart);
  TimerWheel::Handle handle = wheel.arm(kStart + 1s, 1);
  EXPECT_NE(handle, 0u);
  wheel.cancel(handle);
  EXPECT_EQ(handle, 0u);
  wheel.cancel(handle);
  EXPECT_EQ(wheel.next_deadline(), kNever);
  EXPECT_EQ(expired(wheel, kStart + 2s), Payloads{});
}

TEST(TimerWheel, AFullWheelRefuses) {
  TimerWheel wheel(2);
  TimerWheel::Handle first = wheel.arm(kStart, 1);
  EXPECT_NE(wheel.arm(kStart, 2), 0u);
  EXPECT_EQ(wheel.arm(kStart, 3), 0u);
  wheel.cancel(first);
  EXPECT_NE(wheel.arm(kStart, 4), 0u);
}

TEST(TimerWheel, ReportMayCancelAndArm) {
  TimerWheel wheel(8);
  expired(wheel, kStart);
  std::map<std::uint64_t, TimerWheel::Handle> handles;
  for (std::uint64_t payload = 1; payload <= 3; ++payload) {
    handles[payload] = wheel.arm(kStart + 100ms, payload);
  }
  Payloads reported;
  wheel.expire(kStart + 1s, [&](std::uint64_t payload) {
    reported.push_back(payload);
    handles.erase(payload);
    for (auto& [other, handle] : handles) wheel.cancel(handle);
    handles.clear();
    if (reported.size() == 1) wheel.arm(kStart + 500ms, 9);
  });
  EXPECT_EQ(std::ranges::count_if(reported, [](auto payload) { return payload != 9; }), 1)
      << "the other two were cancelled by the first";
  const Payloads rest = expired(wheel, kStart + 2s);
  reported.insert(reported.end(), rest.begin(), rest.end());
  EXPECT_EQ(std::ranges::count(reported, 9u), 1);
  EXPECT_EQ(wheel.size(), 0u);
}

TEST(TimerWheel, ACrowdMovesDownBitByBit) {
  constexpr std::uint32_t kCrowd = 50'000;
  for (const Duration ahead : {Duration(32s), Duration(600s)}) {
    TimerWheel wheel(kCrowd + 1);
    const Instant begin = Instant{} + 1s;
    expired(wheel, begin);
    for (std::uint32_t i = 0; i < kCrowd; ++i) {
      wheel.arm(begin + ahead + i * (1s / kCrowd), i);
    }
    std::uint64_t most = 0;
    std::size_t reported = 0;
    for (Instant now = begin; wheel.size() != 0; now += TimerWheel::kTick) {
      wheel.arm(now + TimerWheel::kTick, kCrowd);  // a busy shard: something is due in each tick
      const std::uint64_t before = wheel.moved();
      reported += expired(wheel, now).size();
      most = std::max(most, wheel.moved() - before);
      if (now > begin + ahead + 2s) break;
    }
    EXPECT_GT(reported, kCrowd);
    EXPECT_LT(most, kCrowd / 50) << "of 250 ticks in a second, each has its share";
  }
}

TEST(TimerWheel, BehavesLikeASortedList) {
  for (const unsigned seed : {1u, 2u, 3u, 4u}) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    TimerWheel wheel(300);
    Instant now = kStart;
    expired(wheel, now);
    struct Armed {
      Instant deadline;
      TimerWheel::Handle handle;
    };
    std::map<std::uint64_t, Armed> model;
    std::uint64_t payload = 0;
    const Duration kSpans[] = {10ms, 1s, 40s, 3'600s, 108'000s, 720'000s};
    for (int step = 0; step < 1'500; ++step) {
      const auto within = [&] {
        const Duration span = kSpans[random() % std::size(kSpans)];
        return Duration(
            static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(span.count())));
      };
      switch (random() % 4) {
        case 0:
        case 1: {
          const Instant deadline = now + within();
          const auto handle = wheel.arm(deadline, ++payload);
          ASSERT_EQ(handle != 0, model.size() < 300);
          if (handle != 0) model[payload] = {deadline, handle};
          break;
        }
        case 2: {
          if (model.empty()) break;
          auto at = model.lower_bound(random() % payload);
          if (at == model.end()) break;
          wheel.cancel(at->second.handle);
          model.erase(at);
          break;
        }
        default: {
          now += within();
          for (const std::uint64_t done : expired(wheel, now)) {
            const auto at = model.find(done);
            ASSERT_NE(at, model.end()) << "reported twice, or cancelled";
            ASSERT_LE(at->second.deadline, now) << "too early";
            model.erase(at);
          }
          for (const auto& [left, armed] : model) {
            ASSERT_GT(armed.deadline + TimerWheel::kTick, now) << "too late";
          }
        }
      }
      ASSERT_EQ(wheel.size(), model.size());
      Instant earliest = kNever;
      for (const auto& [left, armed] : model) earliest = std::min(earliest, armed.deadline);
      if (earliest == kNever) {
        ASSERT_EQ(wheel.next_deadline(), kNever);
      } else {
        ASSERT_LE(wheel.next_deadline(), std::max(earliest, now) + TimerWheel::kTick);
      }
    }
  }
}

}  // namespace
}  // namespace ringway
