#include "gateway/core/media_steps.h"

#include "protocol/base/ascii.h"
#include "protocol/sdp/media_traits.h"
#include "protocol/sdp/slim.h"
#include "protocol/sip/parse.h"

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

MediaLeg leg_of(Transport transport) {
  return is_websocket(transport) ? MediaLeg::Browser : MediaLeg::Plain;
}

bool is_usable(const RelaySet::Completion& completion) {
  return completion.answered && completion.reply.result == RelayReply::Result::Ok &&
         !completion.reply.sdp.empty();
}

std::string_view reason_of(const RelaySet::Completion& completion) {
  return completion.answered ? completion.reply.reason : std::string_view("no answer in time");
}

}  // namespace

// False: without a place for the call nobody would end its media session.
bool MediaSteps::begin_call(SlotId id, ResponseContext& context, const Incoming& in) {
  const bool different = context.source_leg != context.target_leg;
  context.media = different && relays_.configured();
  if (different && !relays_.configured() && !no_relay_logged_) {
    no_relay_logged_ = true;
    core_.log.warning("no_media_relay",
                      {{"meaning",
                        "no rtpengine in the config: SDP passes untouched, a browser and a "
                        "phone will not hear each other"}});
  }
  return calls_.open(id, context, in) || !context.media;
}

void MediaSteps::set_interfaces(RelayRequest& request, bool from_access) const {
  const MediaConfig& media = core_.config.media;
  request.interface_from = from_access ? media.access_interface : media.network_interface;
  request.interface_to = from_access ? media.network_interface : media.access_interface;
}

MediaSteps::Next MediaSteps::prepare(SlotId id, const Incoming& in, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  context.source_leg = leg_of(context.source.transport);
  context.target_leg = leg_of(context.target.transport);
  const bool browser_involved =
      context.source_leg == MediaLeg::Browser || context.target_leg == MediaLeg::Browser;
  context.has_sdp = carries_descriptions(context.method) && has_sdp(in.view);

  if (context.method == Method::Invite && context.initial && !context.call && browser_involved &&
      !begin_call(id, context, in)) {
    return Next::Refuse;
  }
  if (!context.media || !context.has_sdp || !relays_.configured()) return Next::Forward;

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
  set_interfaces(request, !context.target.to_access);
  const Call* call = calls_.get(context.call);
  context.relay = call ? call->relay : relays_.choose();
  context.park(ResponseContext::State::AwaitOffer);
  return relays_.send(context.relay, request, id, now, outbox) ? Next::Wait : Next::Refuse;
}

BufferRef MediaSteps::body_for(MediaLeg leg, std::string_view description) {
  if (leg == MediaLeg::Plain && core_.config.media.slim) {
    Writer out{MutableBytes(body_scratch_)};
    if (sdp::slim_for_plain(description, out) == sdp::SlimResult::Slimmed) {
      core_.counters.slimmed_messages.add();
      return core_.buffers.copy(out.written());
    }
  }
  return core_.buffers.copy(as_bytes(description));
}

MediaSteps::Next MediaSteps::offer_done(ResponseContext& context,
                                        const RelaySet::Completion& completion) {
  if (!is_usable(completion)) {
    core_.log.warning("media_offer_failed",
                      {{"relay", context.relay}, {"reason", reason_of(completion)}});
    return Next::Refuse;
  }
  context.body = body_for(context.target_leg, completion.reply.sdp);
  return context.body ? Next::Forward : Next::Refuse;
}

bool MediaSteps::needs_relay(const ResponseContext& context,
                             const sip::MessageView& response) const {
  return context.media && relays_.configured() && carries_descriptions(context.method) &&
         response.status() > 100 && response.status() < 300 && has_sdp(response);
}

// With an offer in the request its description is the answer, else it is an offer of its own
// (RFC 3261 13.2.1).
bool MediaSteps::send_response(SlotId id, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  sip::Essentials essentials;
  if (!sip::parse_message(context.parked[0].message.bytes(), sip::Framing::Datagram, response_) ||
      !sip::validate_response(response_, essentials).ok()) {
    return false;
  }
  RelayRequest request;
  request.call_id = essentials.call_id;
  request.leg = context.leg;
  request.sdp = response_.body();
  request.towards = context.source_leg;
  request.zero_address_is_no_hold =
      context.target_leg == MediaLeg::Browser && zero_address_is_no_hold(response_.body());
  Call* call = calls_.get(context.call);
  if (context.has_sdp) {
    request.command = RelayCommand::Answer;
    request.from_tag = essentials.from_tag;
    request.to_tag = essentials.to_tag;
  } else {
    request.command = RelayCommand::Offer;
    request.from_tag = essentials.to_tag;
    set_interfaces(request, context.target.to_access);
    if (call) call->late_offer = true;
  }
  return relays_.send(call ? call->relay : context.relay, request, id, now, outbox);
}

BufferRef MediaSteps::answer_done(const ResponseContext& context,
                                  const RelaySet::Completion& completion) {
  BufferRef body;
  if (is_usable(completion)) body = body_for(context.source_leg, completion.reply.sdp);
  if (!body) {
    core_.log.warning("media_answer_failed",
                      {{"relay", context.relay}, {"reason", reason_of(completion)}});
  }
  return body;
}

}  // namespace ringway
