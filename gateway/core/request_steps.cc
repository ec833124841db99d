#include "gateway/core/request_steps.h"

#include <array>

#include "gateway/base/subject.h"
#include "gateway/core/kept_request.h"
#include "protocol/sip/header_values.h"
#include "protocol/sip/name_addr.h"

namespace ringway {
namespace {

using sip::HeaderName;
using sip::Method;
using State = ResponseContext::State;

// Descriptions of one call go to the relay one by one; so many may stand before this one.
constexpr int kRelayAnswers = 10;

// Of what a BYE has ended (RFC 5057 5.1): subscriptions of the dialog go on, and a BYE that comes
// late may find a side that has not heard of the end.
bool is_of_session(Method method) {
  return method == Method::Invite || method == Method::Update || method == Method::Prack ||
         method == Method::Info;
}

}  // namespace

RequestSteps::RequestSteps(const Parts& parts)
    : core_(parts.core),
      contexts_(parts.contexts),
      registrations_(parts.registrations),
      calls_(parts.calls),
      fraud_(parts.fraud),
      media_(parts.media),
      dtmf_(parts.dtmf),
      router_(parts.router),
      routes_(parts.routes),
      results_(parts.results),
      responses_(parts.responses),
      sender_(parts.sender) {}

void RequestSteps::route(SlotId id, const Incoming& in, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  context.resume();
  RoutePreprocess& route = routes_.of(id, context.source, in, now);
  if (context.own && context.method == Method::Bye) leave_next_pass_alone(route, in);
  if (route.refused) {  // made here, or changed while it waited: its tokens are too old by now
    core_.counters.tokens_refused.add();
    responses_.fail(id, 403, {}, now, outbox);
  } else {
    context.media = route.media;
    if (route.leg != 0) context.leg = route.leg;
    calls_.note_request(context, in, route, now);
    if (!fraud_.may_go_on(context, in, route, now)) {
      responses_.fail(id, 403, {}, now, outbox);
    } else if (open_call(id, in, route, now, outbox)) {
      follow(id, in, router_.route(context, in, route, now), now, outbox);
    }
  }
  routes_.forget();
}

// An INVITE that begins a call has it from here on. False: it was refused.
bool RequestSteps::open_call(SlotId id, const Incoming& in, const RoutePreprocess& route,
                             Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  const bool from_network = core_.listener(context.source.listener).side == Side::Network ||
                            context.peer_next_hop != Peer::kNoNextHop;
  if (context.late && is_of_session(context.method)) {
    responses_.fail(id, 481, {}, now, outbox);
  } else if (begins_call(context) &&
             !calls_.open(id, context, in, context.loop_hash, from_network, now)) {
    responses_.fail(id, 503, "Retry-After: 5\r\n", now, outbox);
  } else if (context.call_new && !fraud_.may_call(context, in, route, now)) {
    responses_.fail(id, 403, {}, now, outbox);
  } else {
    return true;
  }
  return false;
}

// A BYE of ours whose call passes us once more: that pass may live on another shard, and hears of
// it as of any other BYE, by its listener.
void RequestSteps::leave_next_pass_alone(RoutePreprocess& route, const Incoming& in) const {
  if (!route.in_dialog || !route.access) return;
  if (route.access->shard % core_.shard_count == core_.shard) return;
  const sip::Header* header = in.view.find(HeaderName::Route);
  sip::ListCursor values(header ? in.view.text(header->value) : std::string_view{});
  const auto first = values.next();
  const auto value = first ? sip::parse_name_addr(*first) : std::unexpected(sip::NameAddrError{});
  if (!value) return;
  route = {};
  route.from_token = true;
  route.request_uri = in.view.request_uri();
  route.next_route = value->uri.text;
}

bool RequestSteps::begins_call(const ResponseContext& context) const {
  return context.method == Method::Invite && context.initial && !context.own && !context.call;
}

void RequestSteps::follow(SlotId id, const Incoming& in, const Router::Decision& decision,
                          Instant now, Outbox& outbox) {
  switch (decision.kind) {
    case Router::Decision::Kind::Refuse:
      return responses_.fail(id, decision.status, decision.extra, now, outbox);
    case Router::Decision::Kind::AwaitName:
      return await_name(id, decision, now, outbox);
    case Router::Decision::Kind::AwaitUserAgent:
      await_user_agent(id, decision);
      return;
    case Router::Decision::Kind::Targets:
      break;
  }
  ResponseContext& context = *contexts_.find(id);
  contexts_.set_targets(context, router_.targets());
  calls_.correct_target(context, context.target);
  calls_.set_callee(context);
  offer_and_forward(id, in, now, outbox);
}

void RequestSteps::await_name(SlotId id, const Router::Decision& decision, Instant now,
                              Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  context.name = core_.buffers.copy(as_bytes(decision.name));
  if (!context.name) return responses_.fail(id, 503, "Retry-After: 5\r\n", now, outbox);
  context.park(State::AwaitName);
  context.target.next_hop = decision.next_hop;
  Output& output = outbox.add(Output::Kind::Resolve);
  output.name = as_text(context.name.bytes());
  output.port = decision.port;
  output.transport = decision.transport;
  output.transport_given = decision.transport_given;
  output.secure = decision.secure;
  output.ticket = subject_value(Subject::Context, id);
  contexts_.arm(id, ContextTimer::Name, now + 3s);
}

void RequestSteps::await_user_agent(SlotId id, const Router::Decision& decision) {
  ResponseContext& context = *contexts_.find(id);
  registrations_.wait(decision.user_agent, id, decision.until);
  context.park(State::AwaitUserAgent);
  context.user_agent = decision.user_agent;
  core_.counters.waits_started.add();
  core_.log.info("request_waits", {{"method", sip::to_text(context.method)},
                                   {"reason", "the user agent's connection is gone"}});
  contexts_.arm(id, ContextTimer::Return, decision.until);
}

// What it describes passes the relay, where the call has one, and it goes on.
void RequestSteps::offer_and_forward(SlotId id, const Incoming& in, Instant now, Outbox& outbox) {
  switch (dtmf_.take(id, in, now, outbox)) {
    case DtmfSteps::Next::Pass:
      break;
    case DtmfSteps::Next::Wait:
      return;
    case DtmfSteps::Next::Malformed:
      return responses_.fail(id, 400, {}, now, outbox);
    case DtmfSteps::Next::TooMany:
      return responses_.fail(id, 500, "Retry-After: 3\r\n", now, outbox);
  }
  const MediaSteps::Next next = media_.prepare(id, in, now, outbox);
  switch (next) {
    case MediaSteps::Next::Forward:
      return sender_.forward(id, in, now, outbox);
    case MediaSteps::Next::Wait:
      // The call may end meanwhile, and its media session forgets what waits.
      return contexts_.arm(id, ContextTimer::Relay,
                           now + kRelayAnswers * core_.config.media.request_timeout);
    case MediaSteps::Next::NoRelay:
    case MediaSteps::Next::NotAcceptable:
    case MediaSteps::Next::Encoded:
    case MediaSteps::Next::Late:
    case MediaSteps::Next::Glare:
    case MediaSteps::Next::Busy:
      return refuse_media(id, next, now, outbox);
  }
}

void RequestSteps::refuse_media(SlotId id, MediaSteps::Next why, Instant now, Outbox& outbox) {
  switch (why) {
    case MediaSteps::Next::Late:
      return responses_.fail(id, 481, {}, now, outbox);
    case MediaSteps::Next::NotAcceptable:
      return responses_.fail(id, 488, {}, now, outbox);
    case MediaSteps::Next::Encoded:
      return responses_.fail(id, 415, "Accept-Encoding: identity\r\n", now, outbox);
    case MediaSteps::Next::Glare:
      return responses_.fail(id, 491, {}, now, outbox);
    case MediaSteps::Next::Busy: {
      // within 0 to 10 s
      static constexpr std::array<std::string_view, 4> kWaits = {
          "Retry-After: 0\r\n", "Retry-After: 3\r\n", "Retry-After: 7\r\n", "Retry-After: 10\r\n"};
      return responses_.fail(id, 500, kWaits[core_.random.next() % kWaits.size()], now, outbox);
    }
    case MediaSteps::Next::Forward:
    case MediaSteps::Next::Wait:
    case MediaSteps::Next::NoRelay:
      return responses_.fail(id, 503, "Retry-After: 5\r\n", now, outbox);
  }
}

// --- What has parked ---------------------------------------------------------------------------

void RequestSteps::resume(SlotId id, Instant now, Outbox& outbox) {
  ResponseContext* context = contexts_.find(id);
  if (!context || !context->is_waiting_for(State::AwaitUserAgent)) return;
  contexts_.disarm(*context);
  context->grace_used = true;
  context->resume();
  core_.counters.waits_delivered.add();
  sip::Essentials essentials;
  if (!read_kept(*context, kept_, essentials)) return responses_.fail(id, 500, {}, now, outbox);
  route(id, {kept_, essentials}, now, outbox);
}

void RequestSteps::resolved(SlotId id, const Resolution& resolution, Instant now, Outbox& outbox) {
  ResponseContext* context = contexts_.find(id);
  if (!context || !context->is_waiting_for(State::AwaitName)) return;
  contexts_.disarm(*context);
  context->resume();
  sip::Essentials essentials;
  if (!read_kept(*context, kept_, essentials)) return responses_.fail(id, 500, {}, now, outbox);
  const Incoming in{kept_, essentials};
  const std::string_view name = as_text(context->name.bytes());
  follow(id, in, router_.resolved(*context, in, resolution, name, now), now, outbox);
}

void RequestSteps::offer_done(SlotId id, const Calls::MediaResult& result, Instant now,
                              Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  contexts_.disarm(context);
  context.resume();
  sip::Essentials essentials;
  if (!read_kept(context, kept_, essentials)) return responses_.fail(id, 500, {}, now, outbox);
  const MediaSteps::Next next = media_.offer_done(context, kept_, result);
  if (next != MediaSteps::Next::Forward) return refuse_media(id, next, now, outbox);
  sender_.forward(id, {kept_, essentials}, now, outbox);
}

void RequestSteps::digit_done(SlotId id, bool played, Instant now, Outbox& outbox) {
  ResponseContext* context = contexts_.find(id);
  if (!context || !context->is_waiting_for(State::AwaitDigit)) return;
  context->resume();
  if (dtmf_.is_played(*context, played)) return responses_.accept(id, now, outbox);
  sip::Essentials essentials;
  if (!read_kept(*context, kept_, essentials)) return responses_.fail(id, 500, {}, now, outbox);
  sender_.forward(id, {kept_, essentials}, now, outbox);
}

void RequestSteps::retry(const BranchResults::Retry& retry, Instant now, Outbox& outbox) {
  ResponseContext* context = contexts_.find(retry.context);
  if (!context) return;
  sip::Essentials essentials;
  const bool may_go = !context->is_answered() && !context->is_cancelled() && context->may_fork() &&
                      (!retry.next_target || contexts_.has_another_target(*context)) &&
                      read_kept(*context, kept_, essentials);
  if (!may_go) return results_.retry_failed(retry, now, outbox);
  if (retry.next_target) {
    contexts_.take_next_target(*context);
    calls_.set_callee(*context);
    core_.counters.failovers.add();
  }
  const Incoming in{kept_, essentials};
  if (retry.other_profile) return offer_and_forward(retry.context, in, now, outbox);
  sender_.forward(retry.context, in, now, outbox);
}

}  // namespace ringway
