#include "gateway/core/media_steps.h"

#include <utility>

#include "gateway/base/prefix.h"
#include "protocol/sdp/connections.h"
#include "protocol/sdp/for_browser.h"
#include "protocol/sdp/media_traits.h"
#include "protocol/sdp/slim.h"
#include "protocol/sip/parse.h"
#include "protocol/sip/session_description.h"

namespace ringway {
namespace {

using sdp::Action;
using sip::Method;
using Kind = sip::SessionDescription::Kind;

constexpr std::uint8_t kRefusesAll = 0xff;  // in place of a profile, in an announcement

bool has_sdp(const sip::MessageView& message) {
  return sip::find_session_description(message).kind != Kind::None;
}

// It answers what the other side has offered. A repeated one is what it was the first time.
bool answers(const ResponseContext& context, Action action) {
  return action == Action::Repeat ? context.has_sdp : action != Action::Offer;
}

// A guess, until its description says it.
MediaLeg leg_of(Transport transport) {
  return is_websocket(transport) ? MediaLeg::Browser : MediaLeg::Plain;
}

bool is_private_address(std::string_view text) {
  const auto address = parse_address(text);
  return address && is_private(*address);
}

bool has_too_many_media(std::string_view description) {
  const auto body = sdp::Body::parse(description);
  return !body && body.error() == sdp::BodyError::TooManyMedia;
}

}  // namespace

MediaProfile MediaSteps::profile_of(const Target& target) const {
  if (target.to_access) return core_.listener(target.listener).media_profile;
  const auto& next_hops = core_.config.next_hops;
  return target.next_hop < next_hops.size() ? next_hops[target.next_hop].media_profile
                                            : MediaProfile::Auto;
}

// A user agent, or the address of record at a next hop.
std::uint64_t MediaSteps::destination_of(const Target& target, std::string_view uri) const {
  if (target.to_access && target.user_agent != 0) return target.user_agent;
  const std::string_view aor = uri.substr(0, uri.find(';'));
  return keyed_hash(core_.hash_key, aor) * 31 + target.next_hop + 1;
}

MediaLeg MediaSteps::leg_towards(const Target& target, MediaLeg source, std::uint64_t destination,
                                 Instant now) const {
  switch (profile_of(target)) {
    case MediaProfile::Rtp:
      return MediaLeg::Plain;
    case MediaProfile::Srtp:
      return MediaLeg::Sdes;
    case MediaProfile::Webrtc:
      return MediaLeg::Browser;
    case MediaProfile::Auto:
      break;
  }
  if (const auto known = profiles_.find(destination, now)) return *known;
  if (is_websocket(target.transport)) return MediaLeg::Browser;
  return source == MediaLeg::Browser ? MediaLeg::Plain : source;
}

// What both sides of a new call speak, and whether a relay has to stand between: where they differ.
// False: it cannot be had.
bool MediaSteps::begin(ResponseContext& context, const Incoming& in, std::string_view description,
                       Instant now, Outbox& outbox) {
  Call* call = calls_.get(context.call);
  if (!call || call->media.used) return true;
  const auto described = leg_of(description);
  const MediaLeg source = described.value_or(leg_of(context.source.transport));
  if (described) {
    learn_profile(call->party(Party::Caller).target.user_agent, described, now, outbox);
  }
  call->destination = destination_of(context.target, in.view.request_uri());
  const MediaLeg target = leg_towards(context.target, source, call->destination, now);
  call->media_legs = {source, target};
  if (source == target) return true;
  if (!relays_.configured()) {
    if (std::exchange(no_relay_logged_, true)) return true;
    core_.log.warning("no_media_relay",
                      {{"meaning",
                        "no rtpengine in the config: SDP passes untouched, a browser and a "
                        "phone will not hear each other"}});
    return true;
  }
  if (!calls_.use_media(*call, source, target, now)) return false;
  call->media_leg_known = {described.has_value(), false};
  context.relay = call->media.relay;
  return true;
}

// All shards know it; nullopt: it has refused all.
void MediaSteps::learn_profile(std::uint64_t destination, std::optional<MediaLeg> speaks,
                               Instant now, Outbox& outbox) {
  const bool is_news =
      speaks ? profiles_.works(destination, *speaks, now) : profiles_.refuses(destination, now);
  if (!is_news || core_.shard_count < 2) return;
  Output::Announcement& news = outbox.add(Output::Kind::Announce).announcement;
  news.kind = Output::Announcement::Kind::MediaProfile;
  news.user_agent = destination;
  news.profile = speaks ? static_cast<std::uint8_t>(*speaks) : kRefusesAll;
}

void MediaSteps::announced(const Output::Announcement& news, Instant now) {
  if (news.profile == kRefusesAll) {
    profiles_.refuses(news.user_agent, now);
  } else {
    profiles_.works(news.user_agent, static_cast<MediaLeg>(news.profile), now);
  }
}

bool MediaSteps::try_other_profile(ResponseContext& context, Instant now, Outbox& outbox) {
  Call* call = calls_.get(context.call);
  if (!call || !context.call_new || !context.has_sdp || !call->is_live() || !relays_.configured() ||
      profile_of(context.target) != MediaProfile::Auto) {
    return false;
  }
  if (std::exchange(call->other_profile_tried, true)) {
    learn_profile(call->destination, std::nullopt, now, outbox);
    return false;
  }
  if (profiles_.has_refused(call->destination, now)) return false;
  MediaLeg& target = call->media_legs[index_of(Party::Callee)];
  const MediaLeg next = target == MediaLeg::Plain || target == MediaLeg::PlainFeedback
                            ? MediaLeg::Sdes
                            : MediaLeg::Plain;
  if (!call->media.used &&
      !calls_.use_media(*call, call->media_legs[index_of(Party::Caller)], next, now)) {
    return false;
  }
  target = next;
  call->media_leg_known = {true, false};
  context.media = true;
  context.relay = call->media.relay;
  context.media_legs = call->media_legs;
  context.body = {};
  core_.log.info("media_profile_changed",
                 {{"call_id", call->call_id()}, {"profile", ringway::profile_of(next)}});
  return true;
}

bool MediaSteps::took_retry_for_copy(const ResponseContext& context, Instant now,
                                     Outbox& outbox) {
  const Call* call = context.initial ? calls_.get(context.call) : nullptr;
  if (!call || !call->other_profile_tried) return false;
  learn_profile(call->destination, call->media_legs[index_of(Party::Callee)], now, outbox);
  return true;
}

MediaSteps::Next MediaSteps::prepare(SlotId id, const Incoming& in, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  sip::SessionDescription found;
  if (carries_descriptions(context.method)) found = sip::find_session_description(in.view);
  context.has_sdp = found.kind != Kind::None;
  // An ACK cannot be refused, and a PRACK's offer cannot either (RFC 3262 5).
  const bool may_refuse = context.method == Method::Invite || context.method == Method::Update;
  if (may_refuse && has_too_many_media(found.text)) return Next::NotAcceptable;
  if (context.call_new) {
    const bool readable = found.kind == Kind::Readable;
    if (!begin(context, in, readable ? found.text : std::string_view{}, now, outbox)) {
      return Next::NoRelay;
    }
    if (const Call* call = calls_.get(context.call)) {
      context.media = call->media.used;
      context.media_legs = call->media_legs;
    }
  }
  if (context.late && context.has_sdp && relays_.configured()) {
    if (context.method != Method::Ack) return Next::Late;
    context.body = core_.buffers.copy({});  // its callee waits for it all the same
  }
  Call* call = calls_.get(context.call);
  if (!call || !context.media || !relays_.configured()) return Next::Forward;
  if (found.kind == Kind::Encoded) {
    return context.method == Method::Ack ? acknowledge(context, in.view) : Next::Encoded;
  }
  if (context.call_new && context.has_sdp &&
      !calls_.take_guest_place(*call, context.source)) {
    return Next::NoRelay;
  }
  return pass_request(id, in, found.text, now, outbox);
}

MediaSteps::Next MediaSteps::pass_request(SlotId id, const Incoming& in, std::string_view text,
                                          Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  context.action = negotiation_.request_passes(context, in, context.has_sdp);
  switch (context.action) {
    case Action::Offer:
    case Action::Answer:
    case Action::Preview: {
      const Next next = tell_relay(id, text, now, outbox);
      const bool is_ack = context.method == Method::Ack;
      return is_ack && next == Next::NoRelay ? acknowledge(context, in.view) : next;
    }
    case Action::Repeat:
      if (repeat_ack(context, in)) return Next::Forward;
      return tell_relay(id, text, now, outbox);  // asked again it changes nothing
    case Action::Glare:
      return Next::Glare;
    case Action::Busy:
      return Next::Busy;
    case Action::Misplaced:
      if (text.size() == in.view.body().size()) context.body = core_.buffers.copy({});
      return Next::Forward;
    case Action::Return:  // an ACK without the answer that it owes
      calls_.offer_void(context, now, outbox);
      return Next::Forward;
    case Action::None:
    case Action::Settle:
      return Next::Forward;
  }
  std::unreachable();
}

// What its receiver has heard before, where that is known by now.
bool MediaSteps::repeat_ack(ResponseContext& context, const Incoming& in) {
  const Call& call = *calls_.get(context.call);
  const Party to = other(context.from);
  if (context.method != Method::Ack || call.media.is_busy() || !call.media.last_for(to)) {
    return false;
  }
  context.body = body_for(call, to, true, in.view, as_text(call.media.last_for(to).bytes()));
  return static_cast<bool>(context.body);
}

// An ACK whose answer the relay has not taken: its receiver waits for it all the same (RFC 3261
// 13.3.1.4), and gets what it has heard last, or nothing.
MediaSteps::Next MediaSteps::acknowledge(ResponseContext& context, const sip::MessageView& ack) {
  const Call* call = calls_.get(context.call);
  const Party to = other(context.from);
  if (call && call->media.last_for(to)) {
    context.body = body_for(*call, to, true, ack, as_text(call->media.last_for(to).bytes()));
  } else {
    context.body = core_.buffers.copy({});
  }
  return context.body ? Next::Forward : Next::NoRelay;
}

MediaSteps::Next MediaSteps::tell_relay(SlotId id, std::string_view text, Instant now,
                                        Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  Call& call = *calls_.get(context.call);
  // An ACK that comes again carries what was an answer.
  const bool is_answer = context.action == Action::Answer ||
                         (context.action == Action::Repeat && context.method == Method::Ack);
  if (!is_answer) calls_.learn_media_leg(call, context.from, text);
  BufferRef description = copy_for_relay(text);
  if (!description) return Next::NoRelay;
  const bool queued = is_answer ? call.media.answer(context.from, std::move(description), id)
                                : call.media.offer(context.from, std::move(description), id);
  if (!queued) return Next::NoRelay;
  context.park(ResponseContext::State::AwaitOffer);
  calls_.drive_media(context.call, now, outbox);
  return Next::Wait;
}

BufferRef MediaSteps::copy_for_relay(std::string_view description) {
  Writer out{MutableBytes(description_scratch_)};
  const auto result = sdp::write_media_connections(description, out);
  return core_.buffers.copy(result == sdp::SlimResult::Slimmed ? out.written()
                                                               : as_bytes(description));
}

// The body of message with description in place of its own; what else is in it stays byte for byte
// (RFC 5621).
BufferRef MediaSteps::body_for(const Call& call, Party to, bool answers,
                               const sip::MessageView& message, std::string_view description) {
  const MediaConfig& media = core_.config.media;
  Writer made{MutableBytes(description_scratch_)};
  auto result = sdp::SlimResult::NotSdp;
  if (call.media_legs[index_of(to)] == MediaLeg::Browser) {
    sdp::BrowserRules rules;
    const BufferRef& offer = call.media.offered_by(to);
    rules.bundle = !answers || offer;
    if (answers && offer) rules.offer = as_text(offer.bytes());
    if (!media.private_candidates) rules.is_private = is_private_address;
    result = sdp::write_for_browser(description, rules, made);
  } else if (media.slim && call.media_legs[index_of(to)] != MediaLeg::Dtls) {
    result = sdp::slim_for_plain(description, made);
    if (result == sdp::SlimResult::Slimmed) core_.counters.slimmed_messages.add();
  }
  if (result == sdp::SlimResult::Slimmed) description = made.written_text();

  const sip::SessionDescription place = sip::find_session_description(message);
  if (place.kind != Kind::Readable || place.text.size() == message.body().size()) {
    return core_.buffers.copy(as_bytes(description));
  }
  // The line end before a boundary belongs to that: one that was missing is missing again.
  if (!place.text.ends_with('\n') && description.ends_with("\r\n")) description.remove_suffix(2);
  const std::string_view whole = message.body();
  const auto begin = static_cast<std::size_t>(place.text.data() - whole.data());
  Writer out{MutableBytes(body_scratch_)};
  out.text(whole.substr(0, begin)).text(description);
  out.text(whole.substr(begin + place.text.size()));
  return out.overflowed() ? BufferRef{} : core_.buffers.copy(out.written());
}

MediaSteps::Next MediaSteps::offer_done(ResponseContext& context, const sip::MessageView& request,
                                        const Calls::MediaResult& result) {
  const Call* call = calls_.get(context.call);
  if ((!result.ok || !call) && context.method == Method::Ack) return acknowledge(context, request);
  // A description that the relay could not read is nobody's to use (RFC 3261 21.4.26).
  if (!result.ok || !call) return result.refused ? Next::NotAcceptable : Next::NoRelay;
  context.relay = call->media.relay;  // it may be another one than was asked first
  context.body =
      body_for(*call, other(context.from), result.command == MediaCommand::Answer, request,
               as_text(result.description.bytes()));
  return context.body ? Next::Forward : Next::NoRelay;
}

Action MediaSteps::response_passes(ResponseContext& context, SlotId dialog,
                                   const sip::MessageView& response) {
  const Call* call = calls_.get(context.call);
  if (!context.media || !call || !call->is_live() || !relays_.configured()) return Action::None;
  return negotiation_.response_passes(context, dialog, response, has_sdp(response));
}

bool MediaSteps::needs_relay(const ResponseContext& context, Action action) const {
  if (action == Action::Repeat) {
    const Call* call = calls_.get(context.call);
    return call && call->is_live() && !call->media.last_for(context.from);
  }
  return action == Action::Offer || action == Action::Answer || action == Action::Preview;
}

std::optional<std::string_view> MediaSteps::body_without_relay(const ResponseContext& context,
                                                               Action action,
                                                               const sip::MessageView& response,
                                                               Instant now, Outbox& outbox) {
  switch (action) {
    case Action::Repeat:
      body_ = last_answer(context, response);
      if (body_) return as_text(body_.bytes());
      return std::nullopt;
    case Action::Misplaced: {
      const auto found = sip::find_session_description(response);
      if (found.text.size() == response.body().size()) return std::string_view{};
      return std::nullopt;
    }
    case Action::Return:
      calls_.offer_void(context, now, outbox);
      return std::nullopt;
    case Action::Settle:
      calls_.settle(context);
      return std::nullopt;
    case Action::None:
    case Action::Offer:
    case Action::Answer:
    case Action::Preview:
    case Action::Glare:
    case Action::Busy:
      return std::nullopt;
  }
  std::unreachable();
}

void MediaSteps::request_failed(ResponseContext& context, Instant now, Outbox& outbox) {
  if (negotiation_.request_failed(context)) calls_.offer_void(context, now, outbox);
}

bool MediaSteps::comes_late(const ResponseContext& context,
                            const sip::MessageView& response) const {
  const Call* call = calls_.get(context.call);
  return context.media && (!call || !call->is_live()) && has_sdp(response);
}

bool MediaSteps::send_response(SlotId id, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  Call* call = calls_.get(context.call);
  const Action action = context.parked[0].action;
  if (!call || !sip::parse_message(context.parked[0].message.bytes(), sip::Framing::Datagram,
                                   response_)) {
    return false;
  }
  const Party from = other(context.from);
  const sip::SessionDescription found = sip::find_session_description(response_);
  if (found.kind != Kind::Readable) return false;
  const bool is_answer = answers(context, action);
  if (!is_answer) calls_.learn_media_leg(*call, from, found.text);
  BufferRef description = copy_for_relay(found.text);
  if (!description) return false;
  const bool queued =
      is_answer ? call->media.answer(from, std::move(description), id, action == Action::Preview)
                : call->media.offer(from, std::move(description), id);
  if (!queued) return false;
  calls_.drive_media(context.call, now, outbox);
  return true;
}

BufferRef MediaSteps::answer_done(const ResponseContext& context, const ParkedResponse& parked,
                                  const Calls::MediaResult& result, Instant now, Outbox& outbox) {
  const Call* call = calls_.get(context.call);
  if (!result.ok || !call ||
      !sip::parse_message(parked.message.bytes(), sip::Framing::Datagram, response_)) {
    return {};
  }
  if (call->other_profile_tried && context.initial) {
    learn_profile(call->destination, call->media_legs[index_of(Party::Callee)], now, outbox);
  }
  return body_for(*call, context.from, answers(context, parked.action), response_,
                  as_text(result.description.bytes()));
}

BufferRef MediaSteps::last_answer(const ResponseContext& context,
                                  const sip::MessageView& response) {
  const Call* call = calls_.get(context.call);
  if (!call || !call->media.last_for(context.from)) return {};
  return body_for(*call, context.from, context.has_sdp, response,
                  as_text(call->media.last_for(context.from).bytes()));
}

BufferRef MediaSteps::last_answer(const ResponseContext& context, const BufferRef& response) {
  if (!sip::parse_message(response.bytes(), sip::Framing::Datagram, response_)) return {};
  return last_answer(context, response_);
}

}  // namespace ringway
