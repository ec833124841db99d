#include "bench/workloads/workload.h"
#include "gateway/base/timer_wheel.h"

namespace ringway::bench {
namespace {

constexpr std::uint32_t kResident = 100'000;

// One deadline armed and cancelled while many others wait.
class ArmCancel : public Workload {
 public:
  ArmCancel() : wheel_(kResident + 16) {
    for (std::uint32_t i = 0; i < kResident; ++i) {
      wheel_.arm(start_ + 32s + Duration(i) * 1000, i);
    }
  }
  std::string_view name() const override { return "timer_arm_cancel"; }
  void once() override {
    TimerWheel::Handle handle = wheel_.arm(start_ + 500ms, 1);
    require(handle != 0, "timers: full");
    wheel_.cancel(handle);
  }

 private:
  Instant start_{};
  TimerWheel wheel_;
};

// A deadline armed one tick ahead and reported.
class ArmExpire : public Workload {
 public:
  ArmExpire() : wheel_(1024) {}
  std::string_view name() const override { return "timer_arm_expire"; }
  void once() override {
    wheel_.arm(now_ + TimerWheel::kTick, 7);
    now_ += 2 * TimerWheel::kTick;
    std::uint64_t reported = 0;
    wheel_.expire(now_, [&](std::uint64_t payload) { reported += payload; });
    require(reported == 7, "timers: not reported");
  }

 private:
  Instant now_{};
  TimerWheel wheel_;
};

}  // namespace

void add_timers(Workloads& workloads) {
  workloads.push_back(std::make_unique<ArmCancel>());
  workloads.push_back(std::make_unique<ArmExpire>());
}

}  // namespace ringway::bench
