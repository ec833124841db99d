#include "gateway/core/negotiation.h"

#include <optional>
#include <utility>

#include "protocol/sip/header_values.h"

namespace ringway {
namespace {

using sdp::Action;
using sdp::Carrier;
using sip::Method;

sdp::End end_of(Party party) {
  return party == Party::Caller ? sdp::End::Caller : sdp::End::Callee;
}

std::optional<Carrier> carrier_of(Method method) {
  switch (method) {
    case Method::Invite:
      return Carrier::Invite;
    case Method::Ack:
      return Carrier::Ack;
    case Method::Prack:
      return Carrier::Prack;
    case Method::Update:
      return Carrier::Update;
    default:
      return std::nullopt;
  }
}

// RFC 3262 4.
bool is_reliable(const sip::MessageView& response) {
  return response.has(sip::HeaderName::RSeq) &&
         sip::lists_token(response, sip::HeaderName::Require, "100rel");
}

std::optional<Carrier> carrier_of(Method method, const sip::MessageView& response) {
  const bool success = sip::is_success(response.status());
  if (method == Method::Invite) {
    if (success) return Carrier::InviteSuccess;
    return is_reliable(response) ? Carrier::ReliableProvisional : Carrier::Provisional;
  }
  if (!success) return std::nullopt;
  if (method == Method::Prack) return Carrier::PrackSuccess;
  if (method == Method::Update) return Carrier::UpdateSuccess;
  return std::nullopt;
}

bool was_counted(Action action) {
  return action != Action::Glare && action != Action::Busy && action != Action::Repeat;
}

}  // namespace

bool carries_descriptions(Method method) {
  return carrier_of(method).has_value();
}

// The call's own one stands for what names no dialog, or one for which there was no room, or one
// whose responses have not come yet: a re-INVITE of the callee may overtake his 2xx.
sdp::OfferAnswer* Negotiation::of(const ResponseContext& context, SlotId dialog) {
  if (Dialog* known = calls_.dialog(dialog)) return &known->offer_answer;
  Call* call = calls_.get(context.call);
  return call ? &call->offer_answer : nullptr;
}

Action Negotiation::request_passes(ResponseContext& context, const Incoming& in, bool described) {
  const auto carrier = carrier_of(context.method);
  Call* call = calls_.get(context.call);
  if (!carrier || !call) return Action::None;
  context.cseq = in.essentials.cseq.number;
  const sdp::Passage passage{end_of(context.from), *carrier, context.cseq, described};
  Action action = Action::None;
  if (context.initial) {
    call->offer_answer = {};
    action = call->offer_answer.pass(passage);
    for (SlotId at = call->first_dialog; Dialog* dialog = calls_.dialog(at); at = dialog->next) {
      dialog->offer_answer = call->offer_answer;
    }
  } else if (sdp::OfferAnswer* state = of(context, context.dialog)) {
    action = state->pass(passage);
  }
  context.exchanging = context.method != Method::Ack && was_counted(action);
  return action;
}

Action Negotiation::response_passes(ResponseContext& context, SlotId dialog,
                                    const sip::MessageView& response, bool described) {
  const auto carrier = carrier_of(context.method, response);
  sdp::OfferAnswer* state = of(context, dialog);
  if (!carrier || !state) return Action::None;
  if (sip::is_success(response.status())) context.exchanging = false;
  return state->pass({end_of(other(context.from)), *carrier, context.cseq, described});
}

bool Negotiation::request_failed(ResponseContext& context) {
  if (!std::exchange(context.exchanging, false)) return false;
  const auto carrier = carrier_of(context.method);
  sdp::OfferAnswer* state = of(context, context.dialog);
  return carrier && state &&
         state->refused(end_of(context.from), *carrier, context.cseq) == Action::Return;
}

}  // namespace ringway
