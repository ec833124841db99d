#include <algorithm>
#include <bit>

#include "gateway/core/calls.h"

#include "protocol/sdp/media_traits.h"
#include "protocol/sdp/telephone_event.h"

// The commands of calls to their media relays, and what comes back.

namespace ringway {
namespace {

// A browser that has no usable candidate yet writes c=0.0.0.0 and port 9; without the trickle
// option the relay would take that for a hold in the old style.
bool zero_address_is_no_hold(std::string_view description) {
  const auto traits = sdp::read_traits(description);
  return traits && traits->is_webrtc() && traits->has_zero_address();
}

RelayCommand command_of(MediaCommand command) {
  switch (command) {
    case MediaCommand::Offer:
      return RelayCommand::Offer;
    case MediaCommand::Answer:
      return RelayCommand::Answer;
    case MediaCommand::Delete:
      break;
  }
  return RelayCommand::Delete;
}

}  // namespace

bool Calls::take_guest_place(Call& call, const Source& source) {
  const Target& caller = call.party(Party::Caller).target;
  if (!caller.to_access || caller.user_agent != 0 || call.guest.source != 0) return true;
  if (guests_.take(source, call.guest)) return true;
  core_.counters.guest_media_refused.add();
  const EndpointText remote(source.remote);
  core_.log.info("guest_media_refused",
                 {{"call_id", call.call_id()},
                  {"source", remote.text()},
                  {"reason", "it has not registered, and holds as many unanswered calls as it may"},
                  {"advice", "limits.guest_media_per_flow, limits.guest_media_per_source"}});
  return false;
}

bool Calls::use_media(Call& call, MediaLeg caller, MediaLeg callee, Instant now) {
  if (call.media.used) return true;
  if (!call.adopted) {
    const auto relay = relays_.pool().choose(0, now);
    if (!relay) return false;
    call.media.relay = *relay;
  }
  call.media.used = true;
  if (call.media.relay >= relay_names_.size()) call.media.relay = 0;
  call.media_legs = {caller, callee};
  call.counted = true;
  core_.counters.media_sessions.add();
  return true;
}

void Calls::learn_media_leg(Call& call, Party party, std::string_view description) {
  bool& known = call.media_leg_known[index_of(party)];
  if (known) return;
  const auto leg = leg_of(description);
  if (!leg) return;
  call.media_legs[index_of(party)] = *leg;
  known = true;
}

RelayRequest Calls::relay_request(const Call& call, const MediaSession::Step& step) const {
  RelayRequest request;
  request.command = command_of(step.command);
  request.owner = owner_of_node(call.media_node);
  request.call_id = call.call_id();
  request.leg = call.leg;
  const Party to = other(step.from);
  // The relay's from-tag is whose offer it is, also where the answer is told.
  request.from_tag = relay_tag(step.command == MediaCommand::Answer ? to : step.from);
  if (step.command == MediaCommand::Delete) return request;
  if (step.command == MediaCommand::Answer) request.to_tag = relay_tag(step.from);
  request.sdp = as_text(step.description.bytes());
  request.towards = call.media_legs[index_of(to)];
  request.zero_address_is_no_hold = zero_address_is_no_hold(request.sdp);
  request.may_play = has_digits_played(call);
  if (step.command == MediaCommand::Offer) {
    const MediaConfig& media = core_.config.media;
    const bool from_access = call.party(step.from).target.to_access;
    const bool to_access = call.party(to).target.to_access;
    request.interface_from = from_access ? media.access_interface : media.network_interface;
    request.interface_to = to_access ? media.access_interface : media.network_interface;
  }
  return request;
}

// The next hop of a call that was taken up after a restart may not be known yet: then it is as if
// its relay had to play, so that a new description takes nothing away.
bool Calls::has_digits_played(const Call& call) const {
  const auto& next_hops = core_.config.next_hops;
  const auto plays = [](const NextHopConfig& next_hop) { return next_hop.dtmf == Dtmf::Rfc4733; };
  return std::ranges::any_of(call.parties, [&](const CallParty& party) {
    if (party.target.to_access) return false;
    const std::size_t place = party.target.next_hop;
    if (place < next_hops.size()) return plays(next_hops[place]);
    return call.adopted && std::ranges::any_of(next_hops, plays);
  });
}

bool Calls::play_digit(const Call& call, Party from, const sip::DtmfInfo& digit, SlotId context,
                       Instant now, Outbox& outbox) {
  RelayRequest request;
  request.command = RelayCommand::PlayDtmf;
  request.owner = owner_of_node(call.media_node);
  request.call_id = call.call_id();
  request.leg = call.leg;
  request.from_tag = relay_tag(from);
  request.event = digit.event;
  request.milliseconds = digit.milliseconds;
  return relays_.send(call.media.relay, request, context, now, outbox);
}

void Calls::drive_media(SlotId id, Instant now, Outbox& outbox) {
  for (;;) {
    Call* call = get(id);
    const MediaSession::Step* step = call ? call->media.next() : nullptr;
    if (!step) return;
    call->media.sent();
    const RelayRequest request = relay_request(*call, *step);
    if (relays_.send(call->media.relay, request, id, now, outbox)) return;
    if (move_media(id, false, now, outbox)) continue;
    finish_step(id, false, {}, "no room for the request");
  }
}

// The offer in hand goes to the next relay: to begin a session, or to build one anew that its relay
// cannot serve any more. False: there is no next one.
bool Calls::move_media(SlotId id, bool delete_there, Instant now, Outbox& outbox) {
  constexpr int kRelaysTriedMax = 3;  // the caller waits for as many answers
  Call& call = *get(id);
  const MediaSession::Step* step = call.media.current();
  if (!step || step->command != MediaCommand::Offer || step->restores || !call.is_live()) {
    return false;
  }
  const std::uint8_t before = call.media.relay;
  call.relays_tried |= RelayPool::bit(before);
  if (std::popcount(call.relays_tried) >= kRelaysTriedMax) return false;
  const auto relay = relays_.pool().choose(call.relays_tried, now);
  if (!relay) return false;
  if (delete_there) {
    const MediaSession::Step forget{MediaCommand::Delete, step->from, false, false, {}, {}};
    static_cast<void>(relays_.send(before, relay_request(call, forget), {}, now, outbox));
  }
  call.media.relay = *relay;
  call.media.send_again();
  core_.counters.media_moves.add();
  core_.log.info(
      "media_relay_changed",
      {{"call_id", call.call_id()}, {"from", relay_names_[before]}, {"to", relay_names_[*relay]}});
  return true;
}

bool Calls::has_media(const MediaId& id, std::uint8_t relay) const {
  const Call* call = table_.get(table_.find(id.call_id, id.leg));
  return call && call->media.relay == relay && (call->is_live() || call->media.is_busy());
}

// The step at the relay is done; whoever waits for it is told.
void Calls::finish_step(SlotId id, bool ok, BufferRef description, std::string_view reason) {
  Call& call = *get(id);
  const MediaSession::Step step = call.media.completed(ok, description);
  if (!ok && step.command != MediaCommand::Delete) {
    core_.log.warning(step.command == MediaCommand::Offer ? "media_offer_failed"
                                                          : "media_answer_failed",
                      {{"call_id", call.call_id()},
                       {"relay", relay_name(call)},
                       {"reason", reason}});
  }
  if (step.owner) media_.push_back({step.owner, step.command, ok, std::move(description), false});
}

// Where both sides take telephone-event, by different numbers, and the relay has not mapped them,
// digits are lost (RFC 3264 6.1).
void Calls::look_for_events(Call& call, std::string_view written) {
  const MediaSession::Step& answer = *call.media.current();
  const BufferRef& offer = call.media.offered_by(other(answer.from));
  if (call.events_lost || !offer || sdp::has_events(written) ||
      !sdp::has_other_event_numbers(as_text(offer.bytes()), as_text(answer.description.bytes()))) {
    return;
  }
  call.events_lost = true;
  core_.log.warning("digits_lost",
                    {{"call_id", call.call_id()},
                     {"relay", relay_name(call)},
                     {"meaning",
                      "the answer has another payload type for telephone-event than was offered, "
                      "and the media relay does not map it: DTMF of this call is not heard"}});
}

void Calls::relay_completed(const RelaySet::Completion& completion, Instant now, Outbox& outbox) {
  const SlotId id = completion.owner;
  Call* call = get(id);
  if (!call || !call->media.is_busy()) return;
  const RelayReply& reply = completion.reply;
  const bool answered = completion.answered && reply.result == RelayReply::Result::Ok;
  if (!answered && (!completion.answered || reply.is_refusal()) &&
      move_media(id, !completion.answered, now, outbox)) {
    return drive_media(id, now, outbox);
  }
  BufferRef description;
  if (answered && !reply.sdp.empty()) description = core_.buffers.copy(as_bytes(reply.sdp));
  const bool deleted = completion.command == RelayCommand::Delete;
  const bool ok = deleted ? answered : static_cast<bool>(description);
  if (ok) call->relays_tried = 0;
  if (ok && completion.command == RelayCommand::Answer) {
    call->codec = sdp::first_codec(as_text(call->media.current()->description.bytes()));
    look_for_events(*call, reply.sdp);
  }
  const std::size_t waiting = media_.size();
  finish_step(id, ok, std::move(description),
              completion.answered ? reply.reason : std::string_view("no answer in time"));
  if (!ok && media_.size() > waiting) {
    media_.back().refused = completion.answered && reply.result == RelayReply::Result::Error;
  }
  MediaTotals totals;
  if (deleted && answered) {
    const RelayTotals counted =
        read_totals(reply, {relay_tag(Party::Caller), relay_tag(Party::Callee)});
    totals = {counted.known, counted.packets, counted.bytes};
  }
  drive_media(id, now, outbox);
  call = get(id);
  if (call && !call->is_live() && !call->media.is_busy()) tell(id, totals);
}

std::optional<Calls::MediaResult> Calls::next_media() {
  if (next_media_ == media_.size()) {
    media_.clear();
    next_media_ = 0;
    return std::nullopt;
  }
  return std::move(media_[next_media_++]);
}

void Calls::settle(const ResponseContext& context) {
  if (Call* call = get(context.call)) call->media.settle();
}

void Calls::offer_void(const ResponseContext& context, Instant now, Outbox& outbox) {
  Call* call = get(context.call);
  if (!call || !call->is_live()) return;
  call->media.refused();
  drive_media(context.call, now, outbox);
}

}  // namespace ringway
