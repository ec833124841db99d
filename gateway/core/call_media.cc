#include "gateway/core/calls.h"

#include "protocol/sdp/media_traits.h"

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

void Calls::use_media(Call& call, MediaLeg caller, MediaLeg callee) {
  if (call.media.used) return;
  call.media.used = true;
  if (!call.adopted) call.media.relay = relays_.choose();
  if (call.media.relay >= relay_names_.size()) call.media.relay = 0;
  call.media_legs = {caller, callee};
  call.counted = true;
  core_.counters.media_sessions.add();
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
  if (step.command == MediaCommand::Offer) {
    const MediaConfig& media = core_.config.media;
    const bool from_access = call.party(step.from).target.to_access;
    const bool to_access = call.party(to).target.to_access;
    request.interface_from = from_access ? media.access_interface : media.network_interface;
    request.interface_to = to_access ? media.access_interface : media.network_interface;
  }
  return request;
}

void Calls::drive_media(SlotId id, Instant now, Outbox& outbox) {
  for (;;) {
    Call* call = get(id);
    const MediaSession::Step* step = call ? call->media.next() : nullptr;
    if (!step) return;
    call->media.sent();
    const RelayRequest request = relay_request(*call, *step);
    if (relays_.send(call->media.relay, request, id, now, outbox)) return;
    finish_step(id, false, {}, "no room for the request");
  }
}

// The step at the relay is done; whoever waits for it is told.
void Calls::finish_step(SlotId id, bool ok, BufferRef description, std::string_view reason) {
  Call& call = *get(id);
  const MediaSession::Step step = call.media.completed(ok, description);
  if (!ok && step.command != MediaCommand::Delete) {
    core_.log.warning(step.command == MediaCommand::Offer ? "media_offer_failed"
                                                          : "media_answer_failed",
                      {{"call_id", call.call_id()},
                       {"relay", call.media.relay < relay_names_.size()
                                     ? std::string_view(relay_names_[call.media.relay])
                                     : std::string_view{}},
                       {"reason", reason}});
  }
  if (step.owner) media_.push_back({step.owner, step.command, ok, std::move(description), false});
}

void Calls::relay_completed(const RelaySet::Completion& completion, Instant now, Outbox& outbox) {
  const SlotId id = completion.owner;
  Call* call = get(id);
  if (!call || !call->media.is_busy()) return;
  const RelayReply& reply = completion.reply;
  const bool answered = completion.answered && reply.result == RelayReply::Result::Ok;
  BufferRef description;
  if (answered && !reply.sdp.empty()) description = core_.buffers.copy(as_bytes(reply.sdp));
  const bool deleted = completion.command == RelayCommand::Delete;
  const bool ok = deleted ? answered : static_cast<bool>(description);
  const std::size_t waiting = media_.size();
  finish_step(id, ok, std::move(description),
              completion.answered ? reply.reason : std::string_view("no answer in time"));
  if (!ok && media_.size() > waiting) {
    media_.back().refused = completion.answered && reply.result == RelayReply::Result::Error;
  }
  drive_media(id, now, outbox);
  call = get(id);
  if (call && !call->is_live() && !call->media.is_busy()) tell(id, {});
}

std::optional<Calls::MediaResult> Calls::next_media() {
  if (next_media_ == media_.size()) {
    media_.clear();
    next_media_ = 0;
    return std::nullopt;
  }
  return std::move(media_[next_media_++]);
}

void Calls::offer_void(const ResponseContext& context, Instant now, Outbox& outbox) {
  Call* call = get(context.call);
  if (!call || !call->is_live()) return;
  call->media.refused();
  drive_media(context.call, now, outbox);
}

}  // namespace ringway
