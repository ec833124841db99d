#include <algorithm>

#include "gateway/control/control.h"
#include "gateway/control/service_manager.h"

// The service manager's watchdog (systemd.service(5), WatchdogSec=). What is told to it is that
// this thread and every shard are alive: a round asks all shards, and WATCHDOG=1 is sent when the
// last has answered. A shard that hangs answers nothing, so the process is ended and started again.

namespace ringway {
namespace {

constexpr int kRoundsInPatience = 4;

}  // namespace

void Control::start_watchdog() {
  const auto patience = watchdog_patience();
  if (!patience) return;
  const auto interval =
      static_cast<std::uint64_t>(std::max<std::int64_t>(*patience / kRoundsInPatience / 1ms, 1));
  uv_timer_start(
      &watchdog_timer_,
      [](uv_timer_t* timer) { static_cast<Control*>(timer->data)->begin_round(); }, 0, interval);
}

// A round that is not over yet goes on: there is never more than one question in a mailbox.
void Control::begin_round() {
  if (still_asked_ != 0) return;
  ++round_;
  still_asked_ = shards_->size();
  send_all(AskAlive{round_});
}

void Control::alive(std::uint64_t round) {
  if (round == round_ && still_asked_ != 0 && --still_asked_ == 0) {
    notify_service_manager("WATCHDOG=1");
  }
}

}  // namespace ringway
