#include "gateway/core/parts.h"
#include "protocol/base/ascii.h"
#include "protocol/sdp/media_traits.h"
#include "protocol/sdp/slim.h"
#include "protocol/sip/parse.h"

// Offer and answer through the media relay (RFC 3264). A call whose two sides speak different media
// has one session at the relay for each pass through the gateway; its id is the Call-ID and the
// leg, which travels in our Record-Route tokens. The call parks while the relay answers; the shard
// goes on.

namespace ringway {
namespace {

using sip::HeaderName;
using sip::Method;

bool has_sdp(const sip::MessageView& message) {
  if (message.body().empty()) return false;
  const std::string_view type = message.value(HeaderName::ContentType);
  return ascii::starts_with_ignoring_case(type, "application/sdp");
}

bool carries_descriptions(Method method) {
  return method == Method::Invite || method == Method::Update || method == Method::Prack ||
         method == Method::Ack;
}

// A browser that has no usable candidate yet writes c=0.0.0.0 and port 9; without the trickle
// option the relay would take that for a hold in the old style.
bool zero_address_is_no_hold(std::string_view body) {
  const auto traits = sdp::read_traits(body);
  return traits && traits->is_webrtc() && traits->has_zero_address() && !traits->trickle;
}

}  // namespace

void ProxyCore::Parts::prepare_media(SlotId id, const Incoming& in, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts.find(id);
  context.source_leg = leg_of(context.source.transport);
  context.target_leg = leg_of(context.target.transport);
  const bool browser_involved =
      context.source_leg == MediaLeg::Browser || context.target_leg == MediaLeg::Browser;
  context.has_sdp = carries_descriptions(context.method) && has_sdp(in.view);

  if (context.method == Method::Invite && context.initial && !context.call && browser_involved) {
    const bool different = context.source_leg != context.target_leg;
    context.media = different && relays.configured();
    if (different && !relays.configured() && !no_media_logged) {
      no_media_logged = true;
      log.warning("no_media_relay",
                  {{"meaning",
                    "no rtpengine in the config: SDP passes untouched, a browser and a "
                    "phone will not hear each other"}});
    }
    // Without a place for the call nobody would end its media session.
    if (!open_call(id, in) && context.media) {
      return fail_locally(id, 503, "Retry-After: 5\r\n", now, outbox);
    }
  }
  if (!context.media || !context.has_sdp || !relays.configured()) {
    return forward(id, in, now, outbox);
  }

  RelayRequest request;
  request.call_id = in.essentials.call_id;
  request.leg = context.leg;
  request.sdp = in.view.body();
  request.towards = context.target_leg;
  request.zero_address_is_no_hold =
      context.source_leg == MediaLeg::Browser && zero_address_is_no_hold(in.view.body());
  if (context.method == Method::Ack) {  // the answer to the offer of the 2xx
    request.command = RelayCommand::Answer;
    request.from_tag = in.essentials.to_tag;
    request.to_tag = in.essentials.from_tag;
  } else {
    request.command = RelayCommand::Offer;
    request.from_tag = in.essentials.from_tag;
  }
  const bool from_access = !context.target.to_access;
  request.interface_from =
      from_access ? config.media.access_interface : config.media.network_interface;
  request.interface_to =
      from_access ? config.media.network_interface : config.media.access_interface;
  const Call* call = calls.get(context.call);
  context.relay = call ? call->relay : relays.choose();
  context.state = ResponseContext::State::AwaitOffer;
  if (!relays.send(context.relay, request, id, now, outbox)) {
    fail_locally(id, 503, "Retry-After: 5\r\n", now, outbox);
  }
}

BufferRef ProxyCore::Parts::body_for(MediaLeg leg, std::string_view description) {
  if (leg == MediaLeg::Plain && config.media.slim) {
    Writer out{MutableBytes(body_scratch)};
    if (sdp::slim_for_plain(description, out) == sdp::SlimResult::Slimmed) {
      counters.slimmed_messages.add();
      return buffers.copy(out.written());
    }
  }
  return buffers.copy(as_bytes(description));
}

void ProxyCore::Parts::relay_completed(const RelaySet::Completion& completion, Instant now,
                                       Outbox& outbox) {
  ResponseContext* context = contexts.find(completion.owner);
  if (!context) {
    if (completion.command == RelayCommand::Delete && completion.answered &&
        completion.reply.result == RelayReply::Result::Error) {
      log.debug("media_delete_refused", {{"reason", completion.reply.reason}});
    }
    return;
  }
  if (context->state == ResponseContext::State::AwaitOffer) {
    return offer_done(completion.owner, completion, now, outbox);
  }
  if (context->parked[0].message) answer_done(completion.owner, completion, now, outbox);
}

void ProxyCore::Parts::offer_done(SlotId id, const RelaySet::Completion& completion, Instant now,
                                  Outbox& outbox) {
  ResponseContext& context = *contexts.find(id);
  const bool ok = completion.answered && completion.reply.result == RelayReply::Result::Ok &&
                  !completion.reply.sdp.empty();
  sip::Essentials essentials;
  const bool parsed =
      sip::parse_message(context.request.bytes(), sip::Framing::Datagram, view).has_value() &&
      sip::validate_request(view, essentials).ok();
  if (!ok || !parsed) {
    log.warning("media_offer_failed",
                {{"call_id", essentials.call_id},
                 {"relay", context.relay},
                 {"reason", completion.answered ? completion.reply.reason : "no answer in time"}});
    return fail_locally(id, 503, "Retry-After: 5\r\n", now, outbox);
  }
  context.body = body_for(context.target_leg, completion.reply.sdp);
  if (!context.body) return fail_locally(id, 503, "Retry-After: 5\r\n", now, outbox);
  forward(id, {view, essentials}, now, outbox);
}

bool ProxyCore::Parts::response_needs_relay(const ResponseContext& context,
                                            const sip::MessageView& response) const {
  return context.media && relays.configured() && carries_descriptions(context.method) &&
         response.status() > 100 && response.status() < 300 && has_sdp(response);
}

// parked[0] holds the response. With an offer in the request its description is the answer, else
// it is an offer of its own (RFC 3261 13.2.1).
void ProxyCore::Parts::send_response_to_relay(SlotId id, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts.find(id);
  sip::Essentials essentials;
  if (!sip::parse_message(context.parked[0].message.bytes(), sip::Framing::Datagram, other_view) ||
      !sip::validate_response(other_view, essentials).ok()) {
    context.parked[0] = {};
    return;
  }
  RelayRequest request;
  request.call_id = essentials.call_id;
  request.leg = context.leg;
  request.sdp = other_view.body();
  request.towards = context.source_leg;
  request.zero_address_is_no_hold =
      context.target_leg == MediaLeg::Browser && zero_address_is_no_hold(other_view.body());
  if (context.has_sdp) {
    request.command = RelayCommand::Answer;
    request.from_tag = essentials.from_tag;
    request.to_tag = essentials.to_tag;
  } else {
    request.command = RelayCommand::Offer;
    request.from_tag = essentials.to_tag;
    const bool from_access = context.target.to_access;
    request.interface_from =
        from_access ? config.media.access_interface : config.media.network_interface;
    request.interface_to =
        from_access ? config.media.network_interface : config.media.access_interface;
    if (Call* call = calls.get(context.call)) call->late_offer = true;
  }
  const Call* call = calls.get(context.call);
  if (!relays.send(call ? call->relay : context.relay, request, id, now, outbox)) {
    answer_done(id, {id, request.command, false, {}}, now, outbox);
  }
}

void ProxyCore::Parts::answer_done(SlotId id, const RelaySet::Completion& completion, Instant now,
                                   Outbox& outbox) {
  ResponseContext& context = *contexts.find(id);
  const ParkedResponse parked = std::exchange(context.parked[0], {});
  const bool ok = completion.answered && completion.reply.result == RelayReply::Result::Ok &&
                  !completion.reply.sdp.empty();
  const BufferRef body = ok ? body_for(context.source_leg, completion.reply.sdp) : BufferRef{};
  if (body) {
    forward_stored(id, parked.message, as_text(body.bytes()), true, now, outbox);
  } else {
    log.warning("media_answer_failed",
                {{"relay", context.relay},
                 {"reason", completion.answered ? completion.reply.reason : "no answer in time"}});
    if (sip::is_success(parked.status) && !context.answered) {
      return answer_without_media(id, now, outbox);
    }
  }
  ResponseContext* still = contexts.find(id);
  if (!still || !still->parked[1].message) return;
  still->parked[0] = std::exchange(still->parked[1], {});
  send_response_to_relay(id, now, outbox);
}

// The far end has answered a call that cannot have media: end it there, refuse it here.
void ProxyCore::Parts::answer_without_media(SlotId id, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts.find(id);
  const SlotId call = std::exchange(context.call, {});
  context.call_new = false;
  const bool initial = context.initial;
  fail_locally(id, 503, {}, now, outbox);
  const Call* entry = initial ? calls.get(call) : nullptr;
  if (!entry) return;
  // A BYE goes to the far end only where that has answered. A user agent of ours that did gets no
  // ACK and hangs up by itself (RFC 3261 13.3.1.4).
  if (entry->access_is_caller) return release_call(call, now, outbox);
  end_call(call, true, now, outbox);
}

void ProxyCore::Parts::delete_media(Call& call, Instant now, Outbox& outbox) {
  if (!call.media) return;
  call.media = false;
  counters.media_sessions.subtract();
  RelayRequest request;
  request.command = RelayCommand::Delete;
  request.call_id = call.call_id();
  request.leg = call.leg;
  request.from_tag = call.from_tag();
  relays.send(call.relay, request, {}, now, outbox);
}

}  // namespace ringway
