#include "protocol/sdp/offer_answer.h"

#include <utility>

namespace ringway::sdp {

std::string_view to_text(Action action) {
  switch (action) {
    case Action::None:
      return "none";
    case Action::Offer:
      return "offer";
    case Action::Answer:
      return "answer";
    case Action::Preview:
      return "preview";
    case Action::Settle:
      return "settle";
    case Action::Repeat:
      return "repeat";
    case Action::Misplaced:
      return "misplaced";
    case Action::Glare:
      return "glare";
    case Action::Busy:
      return "busy";
    case Action::Return:
      return "return";
  }
  return "unknown";
}

Action OfferAnswer::pass(const Passage& passage) {
  switch (passage.carrier) {
    case Carrier::Invite:
      return pass_invite(passage);
    case Carrier::Provisional:
    case Carrier::ReliableProvisional:
    case Carrier::InviteSuccess:
      return pass_invite_response(passage);
    case Carrier::Ack:
      return pass_ack(passage);
    case Carrier::Prack:
      return pass_prack(passage);
    case Carrier::PrackSuccess:
      return pass_other_success(passage, Carrier::Prack);
    case Carrier::Update:
      return pass_update(passage);
    case Carrier::UpdateSuccess:
      return pass_other_success(passage, Carrier::Update);
  }
  std::unreachable();
}

// RFC 3261 14.1, 14.2: one INVITE at a time, whoever sends it.
Action OfferAnswer::pass_invite(const Passage& passage) {
  Invite& own = invite_of(passage.from);
  if (own.seen && own.cseq == passage.cseq)
    return passage.described ? Action::Repeat : Action::None;
  if (own.pending) return Action::Busy;
  if (invite_of(other(passage.from)).pending) return Action::Glare;
  if (offer_.open) return offer_.by == passage.from ? Action::Busy : Action::Glare;
  own = {passage.cseq, true, true, false};
  return passage.described ? open(passage) : Action::None;
}

// RFC 3311 5.2. Without a description it is no business of ours.
Action OfferAnswer::pass_update(const Passage& passage) {
  if (!passage.described) return Action::None;
  if (is_offer_of(Carrier::Update, passage.from, passage.cseq)) return Action::Repeat;
  if (const auto end = bound()) return *end == passage.from ? Action::Busy : Action::Glare;
  return open(passage);
}

// RFC 3262 5: answers the offer of a reliable 1xx, else it may offer. It cannot be refused.
Action OfferAnswer::pass_prack(const Passage& passage) {
  if (!passage.described) return Action::None;
  if (offer_.open && offer_.carrier == Carrier::ReliableProvisional && offer_.by != passage.from) {
    return close();
  }
  if (is_offer_of(Carrier::Prack, passage.from, passage.cseq)) return Action::Repeat;
  return bound() ? Action::Misplaced : open(passage);
}

Action OfferAnswer::pass_invite_response(const Passage& passage) {
  const End inviter = other(passage.from);
  Invite& invite = invite_of(inviter);
  const bool success = passage.carrier == Carrier::InviteSuccess;
  if (!invite.seen || invite.cseq != passage.cseq) {
    return passage.described ? Action::Misplaced : Action::None;
  }
  if (success) invite.pending = false;

  if (is_offer_of(Carrier::Invite, inviter, passage.cseq)) {  // rows 1 and 3
    if (passage.described && passage.carrier == Carrier::Provisional) {
      offer_.previewed = true;
      return Action::Preview;
    }
    if (passage.described) return close();
    if (!success) return Action::None;
    if (!offer_.previewed) return void_offer();
    close();
    return Action::Settle;
  }
  if (!passage.described) return Action::None;
  if (invite.exchanged) return Action::Repeat;
  // Rows 2 and 4. An offer of its own needs a reliable message, and nothing else outstanding.
  const bool reliable = passage.carrier != Carrier::Provisional;
  if (!reliable || offer_.open || (!success && !invite.pending)) return Action::Misplaced;
  return open(passage);
}

// Row 2. The offer of a reliable 1xx that no PRACK has answered counts here as well: there is no
// later message that could answer it.
Action OfferAnswer::pass_ack(const Passage& passage) {
  const End callee = other(passage.from);
  const bool answers = is_offer_of(Carrier::InviteSuccess, callee, passage.cseq) ||
                       is_offer_of(Carrier::ReliableProvisional, callee, passage.cseq);
  if (answers) return passage.described ? close() : void_offer();
  if (!passage.described) return Action::None;
  const Invite& invite = invite_of(passage.from);
  const bool late = invite.seen && invite.cseq == passage.cseq && invite.exchanged;
  return late ? Action::Repeat : Action::Misplaced;
}

// Rows 5 and 6.
Action OfferAnswer::pass_other_success(const Passage& passage, Carrier request) {
  if (is_offer_of(request, other(passage.from), passage.cseq)) {
    return passage.described ? close() : void_offer();
  }
  return passage.described ? Action::Misplaced : Action::None;
}

Action OfferAnswer::refused(End by, Carrier request, std::uint32_t cseq) {
  bool voids = is_offer_of(request, by, cseq);
  if (request == Carrier::Invite) {
    Invite& invite = invite_of(by);
    if (!invite.seen || invite.cseq != cseq) return Action::None;
    invite.pending = false;
    voids = voids || is_offer_of(Carrier::ReliableProvisional, other(by), cseq);
  }
  return voids ? void_offer() : Action::None;
}

Action OfferAnswer::open(const Passage& passage) {
  offer_ = {passage.from, passage.carrier, passage.cseq, true, false};
  switch (passage.carrier) {
    case Carrier::Invite:
      invite_of(passage.from).exchanged = true;
      break;
    case Carrier::ReliableProvisional:
    case Carrier::InviteSuccess:
      invite_of(other(passage.from)).exchanged = true;
      break;
    case Carrier::Provisional:
    case Carrier::Ack:
    case Carrier::Prack:
    case Carrier::PrackSuccess:
    case Carrier::Update:
    case Carrier::UpdateSuccess:
      break;
  }
  return Action::Offer;
}

Action OfferAnswer::close() {
  offer_ = {};
  agreed_ = true;
  return Action::Answer;
}

Action OfferAnswer::void_offer() {
  offer_ = {};
  return Action::Return;
}

bool OfferAnswer::is_offer_of(Carrier carrier, End by, std::uint32_t cseq) const {
  return offer_.open && offer_.carrier == carrier && offer_.by == by && offer_.cseq == cseq;
}

std::optional<End> OfferAnswer::bound() const {
  if (offer_.open) return offer_.by;
  for (const End inviter : {End::Caller, End::Callee}) {
    const Invite& invite = invite_of(inviter);
    if (invite.pending && !invite.exchanged) return other(inviter);
  }
  return std::nullopt;
}

}  // namespace ringway::sdp
