#include <algorithm>

#include "gateway/shard/shard_thread.h"
#include "protocol/websocket/frame.h"

// Service drain: SIGTERM's way out.

namespace ringway {
namespace {

constexpr Duration kSlice = 100ms;
constexpr Duration kFirstSlice = 500ms;   // where requests are under way
constexpr Duration kReleaseMax = 2s;      // for the far ends to answer our BYEs
constexpr std::size_t kFlowsASlice = 10;  // at least, where there is time for more slices
constexpr std::size_t kClosesATurn = 64;
constexpr std::size_t kCallsMax = 65'536;

}  // namespace

void ShardThread::begin_drain() {
  if (drainage_ != Drainage::No) return;
  drainage_ = Drainage::Waiting;
  drain_until_ = now() + config_.timers.drain;
  // What is being asked right now gets its answer before flows are closed.
  drain_next_ = parts_->core.is_quiet() ? now() : std::min(now() + kFirstSlice, drain_until_);
  parts_->streams.stop_accepting();
  parts_->core.drain(now(), parts_->outbox);
}

bool ShardThread::has_calls() const {
  return !parts_->core.is_quiet() || !parts_->core.calls(1, now()).empty();
}

void ShardThread::advance_drain() {
  Streams& streams = parts_->streams;
  if (drainage_ == Drainage::Waiting && now() >= drain_next_) {
    drain_next_ = std::min(now() + kSlice, drain_until_);
    if (now() >= drain_until_) {
      drainage_ = Drainage::Releasing;
      drain_until_ = now() + kReleaseMax;
      parts_->core.release_calls(now(), parts_->outbox);
      deliver();
      pump();
    } else if (close_idle_flows() && !has_calls()) {
      drainage_ = Drainage::Closing;
      streams.restart();
    }
  }
  if (drainage_ == Drainage::Releasing && (!has_calls() || now() >= drain_until_)) {
    drainage_ = Drainage::Closing;
    streams.restart();
  }
  if (drainage_ == Drainage::Closing) {
    const auto keep = [](FlowId, const Stream&) { return false; };
    const bool all =
        streams.close_some(kClosesATurn, websocket::close_code::kGoingAway, keep, now());
    pump();
    if (all && streams.open_streams() == 0) {
      drainage_ = Drainage::Done;
      tell_control(Drained{});
    } else if (all && now() >= drain_next_) {  // one may have been opened meanwhile
      drain_next_ = now() + kSlice;
      streams.restart();
    }
  }
}

// One slice of the access flows without a call: what they re-register with should not get them all
// at once. Flows of the network side are needed until the last call is over. True: none is left.
bool ShardThread::close_idle_flows() {
  std::vector<FlowId> busy;
  for (const CallInfo& call : parts_->core.calls(kCallsMax, now())) busy.push_back(call.flow);
  std::sort(busy.begin(), busy.end(), [](FlowId a, FlowId b) { return a.value() < b.value(); });
  const auto keep = [&](FlowId flow, const Stream& stream) {
    const auto& infos = setup_.listeners.infos;
    if (stream.outbound || stream.listener >= infos.size() ||
        infos[stream.listener].config.side != Side::Access) {
      return true;
    }
    return std::binary_search(busy.begin(), busy.end(), flow,
                              [](FlowId a, FlowId b) { return a.value() < b.value(); });
  };
  const auto slices =
      static_cast<std::size_t>(std::max<std::int64_t>(1, (drain_until_ - now()) * 8 / 10 / kSlice));
  const std::size_t share = std::max(parts_->streams.open_streams() / slices, kFlowsASlice);
  parts_->streams.restart();
  const bool none_left =
      parts_->streams.close_some(share, websocket::close_code::kGoingAway, keep, now());
  pump();
  return none_left;
}

Instant ShardThread::drain_deadline() const {
  switch (drainage_) {
    case Drainage::No:
    case Drainage::Done:
      return kNever;
    case Drainage::Waiting:
      return drain_next_;
    case Drainage::Releasing:
      return std::min(now() + kSlice, drain_until_);
    case Drainage::Closing:
      // The last flow may be gone since the end of the turn: it is told in the next, which nothing
      // else would begin.
      if (parts_->streams.open_streams() == 0 || parts_->streams.has_open_left()) return now();
      return std::max(now(), drain_next_);
  }
  return kNever;
}

}  // namespace ringway
