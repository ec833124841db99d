#pragma once

#include "gateway/base/outbox.h"
#include "gateway/core/calls.h"
#include "gateway/core/context_table.h"
#include "gateway/core/services.h"

namespace ringway {

// Digits that a user agent sends by INFO in a call that passes a media relay, towards a next hop
// with dtmf = "rfc4733": the relay plays them as telephone-event (RFC 4733), and the INFO goes no
// further. Everything else passes: other bodies, other next hops, calls without a relay, what comes
// from a next hop, and an INFO that requires something of its receiver.
//
//    take() ---- Wait: the relay has it ---- is_played() ---- true: 200 of ours
//      |                                         '----------- false: it passes as it came
//      '---- Pass, or refused
//
// Where a relay is silent or refuses (nobody has spoken yet, so that there is no stream to play
// into), no digit is lost: the INFO is passed on unchanged. Where it was only late, the digit may
// be heard twice.
class DtmfSteps {
 public:
  // All outlive this object.
  DtmfSteps(Services& core, ContextTable& contexts, Calls& calls)
      : core_(core), contexts_(contexts), calls_(calls) {}

  enum class Next : std::uint8_t {
    Pass,
    Wait,       // is_played() follows, within the time that a relay has for an answer
    Malformed,  // 400: a body of that kind without a digit, with two, or with one that is unknown
    TooMany,    // 500 and later: the relay has more to play in this call than kQueuedMax
  };
  static constexpr Duration kQueuedMax = 10s;

  // The targets of a request are chosen.
  Next take(SlotId id, const Incoming& in, Instant now, Outbox& outbox);
  // The relay's answer. False: the INFO goes on.
  [[nodiscard]] bool is_played(const ResponseContext& context, bool played);

 private:
  Services& core_;
  ContextTable& contexts_;
  Calls& calls_;
};

}  // namespace ringway
