#pragma once

#include "gateway/core/calls.h"
#include "gateway/core/response_context.h"
#include "protocol/sdp/offer_answer.h"
#include "protocol/sip/message.h"

namespace ringway {

// Requests whose descriptions are offers and answers.
bool carries_descriptions(sip::Method method);

// Which description is an offer and which an answer, in each dialog of a call whose descriptions
// pass a relay (RFC 3264, RFC 6337). What is outstanding decides, never the method.
class Negotiation {
 public:
  // calls outlives this object.
  explicit Negotiation(Calls& calls) : calls_(calls) {}

  // A request of context is about to go on; described: it has a description. For an INVITE that
  // makes a call it begins anew. Cost: no allocation.
  sdp::Action request_passes(ResponseContext& context, const Incoming& in, bool described);
  // A response above 100 and below 300 to it, in that dialog; empty: it names none.
  sdp::Action response_passes(ResponseContext& context, SlotId dialog,
                              const sip::MessageView& response, bool described);
  // It has a final response of 300 or above, or comes to an end without any. True: what it offered
  // is void, and the relay goes back to what was agreed.
  [[nodiscard]] bool request_failed(ResponseContext& context);

 private:
  sdp::OfferAnswer* of(const ResponseContext& context, SlotId dialog);

  Calls& calls_;
};

}  // namespace ringway
