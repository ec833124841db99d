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

MediaLeg leg_of(Transport transport) {
  return is_websocket(transport) ? MediaLeg::Browser : MediaLeg::Plain;
}

// What a side speaks is what its description says, whatever it came over.
MediaLeg leg_of(Transport transport, std::string_view description) {
  const auto traits = sdp::read_traits(description);
  return traits && traits->is_webrtc() ? MediaLeg::Browser : leg_of(transport);
}

}  // namespace

// What both sides of a new call speak, and whether a relay has to stand between.
void MediaSteps::begin(ResponseContext& context, const Incoming& in) {
  Call* call = calls_.get(context.call);
  if (!call || call->media.used) return;
  const MediaLeg source = context.has_sdp ? leg_of(context.source.transport, in.view.body())
                                          : leg_of(context.source.transport);
  const MediaLeg target = leg_of(context.target.transport);
  if (source == target) return;
  if (!relays_.configured()) {
    if (std::exchange(no_relay_logged_, true)) return;
    return core_.log.warning("no_media_relay",
                             {{"meaning",
                               "no rtpengine in the config: SDP passes untouched, a browser and a "
                               "phone will not hear each other"}});
  }
  calls_.use_media(*call, source, target);
  context.relay = call->media.relay;
}

MediaSteps::Next MediaSteps::prepare(SlotId id, const Incoming& in, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  context.has_sdp = carries_descriptions(context.method) && has_sdp(in.view);
  if (context.call_new) {
    begin(context, in);
    context.media = calls_.get(context.call) && calls_.get(context.call)->media.used;
  }
  if (context.late && context.has_sdp && relays_.configured()) return Next::Late;
  Call* call = calls_.get(context.call);
  if (!call || !context.media || !context.has_sdp || !relays_.configured()) return Next::Forward;

  BufferRef description = core_.buffers.copy(as_bytes(in.view.body()));
  if (!description) return Next::Refuse;
  // What is outstanding decides, not the method: an ACK or PRACK may carry the answer (RFC 3261
  // 13.2.1, RFC 3262 5).
  const bool answers = call->media.has_offer_from(other(context.from)) &&
                       (context.method == Method::Ack || context.method == Method::Prack);
  const bool queued = answers ? call->media.answer(context.from, std::move(description), id)
                              : call->media.offer(context.from, std::move(description), id);
  if (!queued) return Next::Refuse;
  context.offer_open = !answers;
  context.park(ResponseContext::State::AwaitOffer);
  calls_.drive_media(context.call, now, outbox);
  return Next::Wait;
}

BufferRef MediaSteps::body_for(MediaLeg leg, Bytes description) {
  if (leg == MediaLeg::Plain && core_.config.media.slim) {
    Writer out{MutableBytes(body_scratch_)};
    if (sdp::slim_for_plain(as_text(description), out) == sdp::SlimResult::Slimmed) {
      core_.counters.slimmed_messages.add();
      return core_.buffers.copy(out.written());
    }
  }
  return core_.buffers.copy(description);
}

MediaSteps::Next MediaSteps::offer_done(ResponseContext& context,
                                        const Calls::MediaResult& result) {
  const Call* call = calls_.get(context.call);
  if (!result.ok || !call) return Next::Refuse;
  const MediaLeg towards = call->media_legs[index_of(other(context.from))];
  context.body = body_for(towards, result.description.bytes());
  return context.body ? Next::Forward : Next::Refuse;
}

bool MediaSteps::needs_relay(const ResponseContext& context,
                             const sip::MessageView& response) const {
  const Call* call = calls_.get(context.call);
  return context.media && call && call->is_live() && relays_.configured() &&
         carries_descriptions(context.method) && response.status() > 100 &&
         response.status() < 300 && has_sdp(response);
}

bool MediaSteps::comes_late(const ResponseContext& context,
                            const sip::MessageView& response) const {
  const Call* call = calls_.get(context.call);
  return context.media && (!call || !call->is_live()) && has_sdp(response);
}

// With an offer in the request its description is the answer, else it is an offer of its own
// (RFC 3261 13.2.1).
bool MediaSteps::send_response(SlotId id, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  Call* call = calls_.get(context.call);
  if (!call || !sip::parse_message(context.parked[0].message.bytes(), sip::Framing::Datagram,
                                   response_)) {
    return false;
  }
  const Party from = other(context.from);
  BufferRef description = core_.buffers.copy(as_bytes(response_.body()));
  if (!description) return false;
  const bool queued = context.has_sdp ? call->media.answer(from, std::move(description), id)
                                      : call->media.offer(from, std::move(description), id);
  if (!queued) return false;
  calls_.drive_media(context.call, now, outbox);
  return true;
}

BufferRef MediaSteps::answer_done(const ResponseContext& context,
                                  const Calls::MediaResult& result) {
  const Call* call = calls_.get(context.call);
  if (!result.ok || !call) return {};
  return body_for(call->media_legs[index_of(context.from)], result.description.bytes());
}

BufferRef MediaSteps::last_answer(const ResponseContext& context) {
  const Call* call = calls_.get(context.call);
  if (!call || !call->media.last_for(context.from)) return {};
  return body_for(call->media_legs[index_of(context.from)],
                  call->media.last_for(context.from).bytes());
}

}  // namespace ringway
