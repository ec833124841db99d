#pragma once

#include "gateway/base/outbox.h"
#include "gateway/core/branch_results.h"
#include "gateway/core/calls.h"
#include "gateway/core/context_table.h"
#include "gateway/core/dtmf_steps.h"
#include "gateway/core/fraud_check.h"
#include "gateway/core/media_steps.h"
#include "gateway/core/registrations.h"
#include "gateway/core/request_sender.h"
#include "gateway/core/response_sender.h"
#include "gateway/core/route_reader.h"
#include "gateway/core/router.h"
#include "gateway/core/services.h"

namespace ringway {

// The steps of a request that has a context:
//
//   route              Route information (RFC 3261 16.4), its call
//     |
//   follow             targets (16.5)  ---- parks for a name -------> resolved
//     |                       '------------ parks for a user agent -> resume
//   offer_and_forward  its description or its digit through the media relay
//     |                       '------------ parks for the relay ----> offer_done, digit_done
//   RequestSender      the copy (16.6)
//
// What has parked is read again and goes on at the step behind. A request that cannot go on fails
// by a response of ours.
class RequestSteps {
 public:
  struct Parts {  // all outlive this object
    Services& core;
    ContextTable& contexts;
    Registrations& registrations;
    Calls& calls;
    FraudCheck& fraud;
    MediaSteps& media;
    DtmfSteps& dtmf;
    Router& router;
    RouteReader& routes;
    BranchResults& results;
    ResponseSender& responses;
    RequestSender& sender;
  };
  explicit RequestSteps(const Parts& parts);

  // in: the request of context.
  void route(SlotId context, const Incoming& in, Instant now, Outbox& outbox);
  // The user agent that it waited for is back.
  void resume(SlotId context, Instant now, Outbox& outbox);
  // The answer to the lookup that it waits for.
  void resolved(SlotId context, const Resolution& resolution, Instant now, Outbox& outbox);
  // The relay's answer that it waits for.
  void offer_done(SlotId context, const Calls::MediaResult& result, Instant now, Outbox& outbox);
  // The relay's answer to a digit that it waits for.
  void digit_done(SlotId context, bool played, Instant now, Outbox& outbox);
  // Sent once more: to the next target, or to the same one in another way.
  void retry(const BranchResults::Retry& retry, Instant now, Outbox& outbox);

 private:
  void leave_next_pass_alone(RoutePreprocess& route, const Incoming& in) const;
  bool begins_call(const ResponseContext& context) const;
  bool open_call(SlotId id, const Incoming& in, const RoutePreprocess& route, Instant now,
                 Outbox& outbox);
  void follow(SlotId id, const Incoming& in, const Router::Decision& decision, Instant now,
              Outbox& outbox);
  void await_name(SlotId id, const Router::Decision& decision, Instant now, Outbox& outbox);
  void await_user_agent(SlotId id, const Router::Decision& decision);
  void offer_and_forward(SlotId id, const Incoming& in, Instant now, Outbox& outbox);
  void refuse_media(SlotId id, MediaSteps::Next why, Instant now, Outbox& outbox);

  Services& core_;
  ContextTable& contexts_;
  Registrations& registrations_;
  Calls& calls_;
  FraudCheck& fraud_;
  MediaSteps& media_;
  DtmfSteps& dtmf_;
  Router& router_;
  RouteReader& routes_;
  BranchResults& results_;
  ResponseSender& responses_;
  RequestSender& sender_;
  sip::MessageView kept_;  // a request that had to wait
};

}  // namespace ringway
