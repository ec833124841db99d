#include "gateway/core/dtmf_steps.h"

#include <algorithm>

#include "protocol/sip/dtmf_info.h"

namespace ringway {
namespace {

constexpr Duration kPause = 100ms;  // between two digits, as the relay plays them

}  // namespace

DtmfSteps::Next DtmfSteps::take(SlotId id, const Incoming& in, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  if (context.method != sip::Method::Info || !context.media || !context.dialog) return Next::Pass;
  if (core_.listener(context.source.listener).side != Side::Access) return Next::Pass;
  if (in.view.has(sip::HeaderName::Require)) return Next::Pass;
  Call* call = calls_.get(context.call);
  if (!call || !call->is_live() || !call->media.at_relay() || !calls_.has_digits_played(*call)) {
    return Next::Pass;
  }
  const sip::DtmfInfo digit = sip::read_dtmf_info(in.view);
  if (digit.kind == sip::DtmfInfo::Kind::None) return Next::Pass;
  if (digit.kind == sip::DtmfInfo::Kind::Malformed) {
    core_.counters.dtmf_refused.add();
    return Next::Malformed;
  }
  const Instant begins = std::max(now, call->events_until);
  if (begins - now > kQueuedMax) {
    core_.counters.dtmf_refused.add();
    return Next::TooMany;
  }
  if (!calls_.play_digit(*call, context.from, digit, id, now, outbox)) {
    core_.counters.dtmf_passed_on.add();
    return Next::Pass;
  }
  call->events_until = begins + std::chrono::milliseconds(digit.milliseconds) + kPause;
  context.park(ResponseContext::State::AwaitDigit);
  return Next::Wait;
}

bool DtmfSteps::is_played(const ResponseContext& context, bool played) {
  if (played) {
    core_.counters.dtmf_played.add();
    return true;
  }
  core_.counters.dtmf_passed_on.add();
  const Call* call = calls_.get(context.call);
  core_.log.info("dtmf_passed_on",
                 {{"call_id", call ? call->call_id() : std::string_view{}},
                  {"meaning", "the media relay has not played a digit: the INFO goes on"}});
  return false;
}

}  // namespace ringway
