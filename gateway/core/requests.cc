#include "gateway/core/requests.h"

#include <cstring>

#include "gateway/base/subject.h"
#include "protocol/base/ascii.h"
#include "protocol/sip/compact.h"
#include "protocol/sip/header_values.h"
#include "protocol/sip/name_addr.h"
#include "protocol/sip/parse.h"
#include "protocol/transaction/key.h"

namespace ringway {
namespace {

using sip::HeaderName;
using sip::Method;
using State = ResponseContext::State;

constexpr std::size_t kDatagramRequestMax = 1'300;  // RFC 3261 18.1.1
// Descriptions of one call go to the relay one by one; so many may stand before this one.
constexpr int kRelayAnswers = 10;

// What a server says of itself beside kAllow (RFC 3261 11.2).
constexpr std::string_view kAboutUs = "Accept: application/sdp\r\nSupported: path, outbound\r\n";

transaction::RequestIdentity identity_of(const Incoming& in, std::string_view method) {
  const sip::Essentials& essentials = in.essentials;
  return {essentials.via.branch, essentials.via.sent_by, method,
          essentials.call_id,    essentials.from_tag,    essentials.via.text,
          in.view.request_uri(), essentials.cseq.number};
}

bool is_emergency(std::string_view uri) {
  constexpr std::string_view kService = "urn:service:sos";
  return ascii::equal_ignoring_case(uri.substr(0, kService.size()), kService);
}

bool opens_dialog(Method method) {
  return method == Method::Invite || method == Method::Subscribe;
}

// An INVITE, and what follows it under the same branch.
bool makes_call(Method method) {
  return method == Method::Invite || method == Method::Ack || method == Method::Cancel;
}

// Of what a BYE has ended (RFC 5057 5.1): subscriptions of the dialog go on, and a BYE that comes
// late may find a side that has not heard of the end.
bool is_of_session(Method method) {
  return method == Method::Invite || method == Method::Update || method == Method::Prack ||
         method == Method::Info;
}

}  // namespace

Requests::Requests(const Parts& parts)
    : core_(parts.core),
      contexts_(parts.contexts),
      transactions_(parts.transactions),
      next_hops_(parts.next_hops),
      registrations_(parts.registrations),
      calls_(parts.calls),
      media_(parts.media),
      replies_(parts.replies),
      router_(parts.router),
      responses_(parts.responses),
      peers_(parts.peers),
      admission_(parts.admission),
      fraud_(parts.fraud),
      writer_(parts.core, parts.registrations, parts.router, parts.header_rules) {}

// --- 16.3: what is asked before any state is made ----------------------------------------------

std::uint32_t Requests::loop_hash(const Incoming& in) const {
  std::uint64_t hash = keyed_hash(core_.hash_key, in.view.request_uri());
  for (const sip::Header* route = in.view.find(HeaderName::Route); route;
       route = in.view.next(route)) {
    hash = hash * 31 + keyed_hash(core_.hash_key, in.view.text(route->value));
  }
  return static_cast<std::uint32_t>(hash ^ (hash >> 32));
}

// RFC 5393 4.2: a Via of ours whose loop hash is the one that this request has now.
bool Requests::comes_back(const Incoming& in, std::uint32_t hash) const {
  for (const sip::Header* header = in.view.find(HeaderName::Via); header;
       header = in.view.next(header)) {
    const std::string_view text = in.view.text(header->value);
    if (text.find("z9hG4bK-r") == text.npos) continue;
    sip::ListCursor values(text);
    while (const auto value = values.next()) {
      if (value->find("z9hG4bK-r") == value->npos) continue;
      const auto via = sip::parse_via(*value);
      const auto branch = via ? sip::parse_branch(via->branch, core_.branch_key) : std::nullopt;
      if (!branch || branch->loop_hash != hash) continue;
      for (std::size_t i = 0; i < core_.listeners.size(); ++i) {
        if (core_.own.sent_by(static_cast<ListenerIndex>(i)) == via->sent_by) return true;
      }
    }
  }
  return false;
}

// True if the request was answered.
bool Requests::refuse_by_validation(const Source& source, const Peer& peer, const Incoming& in,
                                    Outbox& outbox) {
  const auto& [view_in, essentials] = in;
  const auto refuse = [&](sip::Status status, std::string_view extra) {
    replies_.refuse(view_in, source, status, {}, extra, outbox);
    return true;
  };
  const bool listed = peer.kind == PeerKind::NextHop || peer.kind == PeerKind::Trusted;
  if (asks_about_us(in, core_.own, listed)) {
    std::array<std::uint8_t, 256> memory;
    Writer extra(memory);
    extra.text(kAllow).text(kAboutUs);
    return refuse(draining_ ? 503 : 200, extra.written_text());
  }
  if (view_in.method() == Method::Cancel) return false;  // it goes no further (RFC 3261 16.10)
  if (essentials.max_forwards && *essentials.max_forwards == 0) {
    core_.counters.max_forwards_483.add();
    return refuse(483, {});
  }
  if (const sip::Header* header = view_in.find(HeaderName::ProxyRequire)) {
    // We support no option that a proxy would have to know (RFC 3261 16.3 item 5).
    std::array<std::uint8_t, 1024> memory;
    Writer extra(memory);
    for (; header; header = view_in.next(header)) {
      extra.text("Unsupported: ").text(view_in.text(header->value)).text("\r\n");
    }
    return refuse(420, extra.overflowed() ? std::string_view{} : extra.written_text());
  }
  if (const sip::Header* header = view_in.find(HeaderName::MaxBreadth)) {
    const auto breadth = ascii::parse_number(view_in.text(header->value), 0xffff'ffff);
    if (breadth && *breadth == 0) return refuse(440, {});  // RFC 5393 5.3.3
  }
  if (draining_ && essentials.to_tag.empty() && opens_dialog(view_in.method())) {
    return refuse(503, "Retry-After: 5\r\n");
  }
  return false;
}

// Under overload what begins something new goes first (RFC 6357): those that are refused come back
// at different times. An emergency call (RFC 5031) is never refused.
bool Requests::is_shed(const Source& source, const Incoming& in, Outbox& outbox) {
  const Method method = in.view.method();
  if (!in.essentials.to_tag.empty() || method == Method::Ack || method == Method::Cancel ||
      method == Method::Bye || is_emergency(in.view.request_uri())) {
    return false;
  }
  core_.counters.overload_refused.add();
  constexpr std::uint64_t kRetryMin = 4, kRetrySpread = 12;  // seconds
  std::array<std::uint8_t, 32> memory;
  Writer extra(memory);
  extra.text("Retry-After: ").number(kRetryMin + core_.random.below(kRetrySpread)).text("\r\n");
  replies_.refuse(in.view, source, 503, {}, extra.written_text(), outbox);
  return true;
}

// Over UDP what has to wait comes again by itself.
bool Requests::is_within_budget(const Source& source, const Incoming& in, Instant now,
                                Outbox& outbox) {
  const Budgets::Verdict verdict = admission_.ask(source, in, now);
  if (verdict == Budgets::Verdict::Pass) return true;
  if (source.flow && verdict == Budgets::Verdict::Wait) {
    replies_.refuse(in.view, source, 503, {}, "Retry-After: 2\r\n", outbox);
  } else {
    core_.drop(DropReason::Budget);
  }
  if (source.flow && verdict == Budgets::Verdict::CutOff) outbox.close_flow(source.flow, 1008);
  return false;
}

void Requests::read_route(const Source& source, const Incoming& in, Instant now) {
  Writer text{MutableBytes(route_scratch_)};
  routed_ = preprocess_route(in.view, in.essentials, source, core_.own, core_.mac, core_.epoch,
                             text, core_.today(now));
  is_routed_ = true;
}

// The tokens of ours that it carries, and what its peer may do with it.
std::optional<Right> Requests::admit(const Source& source, const Peer& peer, const Incoming& in,
                                     Instant now, Outbox& outbox) {
  if (!is_routed_) read_route(source, in, now);
  const auto refuse = [&](sip::Status status, std::string_view event, Counter& counter) {
    counter.add();
    core_.log.info(event, {{"call_id", in.essentials.call_id},
                           {"method", in.view.method_text()},
                           {"listener", core_.listener(source.listener).name},
                           {"flow", source.flow.value()}});
    admission_.refused(source, in, status, now);
    replies_.refuse(in.view, source, status, {}, {}, outbox);
    return std::nullopt;
  };
  if (routed_.outdated) return refuse(430, "token_outdated", core_.counters.tokens_refused);
  if (routed_.refused) return refuse(403, "token_refused", core_.counters.tokens_refused);
  const Right right = peers_.right_of(source, peer, in, routed_);
  if (right == Right::Refuse || right == Right::Drop) {
    return refuse(403, "request_forbidden", core_.counters.requests_forbidden);
  }
  return right;
}

// --- 16.2, 17.2.3: transactions ---------------------------------------------------------------

// The shard on which the call of this request lives: a dialog's by the leg of its tokens, one that
// begins by the flow that its Path token names, one of a SIP server without a token by its Call-ID.
// What is sent again, called off or acknowledged goes the same way, because it says the same, over
// whichever connection it comes.
std::optional<ShardIndex> Requests::owner_by_token(const Source& source, const Incoming& in,
                                                   Instant now) {
  if (!in.view.has(HeaderName::Route) && !core_.own.is_own(in.essentials.request_uri)) return {};
  read_route(source, in, now);
  if (routed_.refused || routed_.outdated || routed_.own_flow) return core_.shard;
  if (!routed_.access) return {};
  const FlowToken& token = *routed_.access;
  const bool in_dialog = routed_.in_dialog && routed_.leg != 0;
  const bool begins =
      makes_call(in.view.method()) && token.flow && core_.is_of_this_run(token);
  if (!in_dialog && !begins) return {};
  return static_cast<ShardIndex>(token.shard % core_.shard_count);
}

std::optional<ShardIndex> Requests::owner_by_call_id(const Source& source, const Incoming& in,
                                                     Instant now) {
  if (core_.listener(source.listener).side != Side::Network) return {};
  if (!makes_call(in.view.method())) return {};
  if (peers_.peer_of(source, now).kind == PeerKind::Stranger) return {};
  return static_cast<ShardIndex>(keyed_hash(core_.hash_key, in.essentials.call_id) %
                                 core_.shard_count);
}

bool Requests::hand_over(const Source& source, const Incoming& in, Instant now, Outbox& outbox) {
  if (core_.shard_count < 2) return false;
  auto owner = owner_by_token(source, in, now);
  if (!owner) owner = owner_by_call_id(source, in, now);
  if (!owner || *owner == core_.shard) return false;
  BufferRef copy = core_.buffers.copy(as_bytes(in.view.text()));
  if (!copy) {
    core_.drop(DropReason::NoBuffer);
    return true;
  }
  Output& output = outbox.add(Output::Kind::HandOver);
  output.shard = *owner;
  output.source = peers_.with_peer(source);
  output.buffer = std::move(copy);
  return true;
}

void Requests::receive(const Source& source, const Incoming& in, bool handed_over, Instant now,
                       Outbox& outbox) {
  is_routed_ = false;
  if (!handed_over && hand_over(source, in, now, outbox)) return;
  const sip::MessageView& request = in.view;
  const Method method = request.method();
  const Peer peer = peers_.peer_of(source, now);
  if (peers_.is_dropped(source, peer, request, now)) return;
  core_.counters.requests_by_method[static_cast<std::size_t>(method)].add();
  const auto key =
      transaction::transaction_key(core_.hash_key, identity_of(in, request.method_text()));
  const SlotId known = transactions_.find_server(key);
  if (method == Method::Ack) {
    if (known && !transactions_.ack_received(known, now, outbox).to_user) return;
    return receive_ack(source, peer, in, now, outbox);
  }
  if (known) {
    transactions_.request_repeated(known, now, outbox);
    return;
  }
  if (overloaded_ && is_shed(source, in, outbox)) return;
  if (!is_within_budget(source, in, now, outbox)) return;
  if (refuse_by_validation(source, peer, in, outbox)) return;
  const std::uint32_t hash = loop_hash(in);
  if (comes_back(in, hash)) {
    core_.counters.loops_482.add();
    return replies_.refuse(request, source, 482, {}, {}, outbox);
  }
  const SlotId invite = method == Method::Cancel ? invite_of(source, in) : SlotId{};
  if (method == Method::Cancel && !invite) {
    return replies_.refuse(request, source, 481, {}, {}, outbox);
  }
  const std::optional<Right> right =
      invite ? Right::OwnDialog : admit(source, peer, in, now, outbox);
  if (!right) return;
  if (!fraud_.may_refer(source, in, now)) {
    return replies_.refuse(request, source, 403, {}, {}, outbox);
  }

  TransactionLayer::Outcome outcome;
  const Source reply = replies_.reply_address(source, in.essentials.via);
  const SlotId server = transactions_.open_server(key, method, reply, now, outbox, outcome);
  if (!server) return replies_.refuse(request, source, 503, {}, "Retry-After: 5\r\n", outbox);
  if (outcome.send_100) replies_.trying(server, request, source, outbox);
  if (!invite) limit_answers(server, source, in, now);
  if (invite) return receive_cancel(server, invite, source, in, now, outbox);

  const SlotId id = contexts_.open(source, in);
  if (!id) {
    core_.counters.transactions_refused.add();
    return replies_.respond(server, request, source, 503, "Retry-After: 5\r\n", now, outbox);
  }
  ResponseContext& context = *contexts_.find(id);
  context.server = server;
  context.loop_hash = hash;
  context.right = *right;
  context.peer_next_hop = peer.next_hop;
  transactions_.server(server)->context = id;
  transactions_.server(server)->next_hop = peer.next_hop;
  admission_.began(context, in, now);
  routed_for_ = id;
  route(id, in, now, outbox);
}

// What a stranger learns from our answers, and how much a forged datagram makes us send.
void Requests::limit_answers(SlotId server, const Source& source, const Incoming& in, Instant now) {
  constexpr std::uint8_t kRepeatsToStranger = 2;
  ServerTransaction& transaction = *transactions_.server(server);
  transaction.refuse_from = admission_.refuse_from(source, in, now);
  if (replies_.is_unverified(source)) transaction.repeats_left = kRepeatsToStranger;
}

// An ACK that matches no transaction is the one for a 2xx: it is routed like a request and has no
// transaction of its own (RFC 3261 16.11, 17).
void Requests::receive_ack(const Source& source, const Peer& peer, const Incoming& in, Instant now,
                           Outbox& outbox) {
  if (replies_.is_for_own_response(in)) return;
  if (in.essentials.max_forwards && *in.essentials.max_forwards == 0) {
    return core_.drop(DropReason::AckWithoutTarget);
  }
  const auto right = admit(source, peer, in, now, outbox);
  if (!right) return core_.drop(DropReason::AckWithoutTarget);
  const SlotId id = contexts_.open(source, in);
  if (!id) return core_.drop(DropReason::TableFull);
  ResponseContext& context = *contexts_.find(id);
  context.own = true;
  context.right = *right;
  context.peer_next_hop = peer.next_hop;
  routed_for_ = id;
  route(id, in, now, outbox);
}

// The server transaction of the INVITE that a CANCEL is about (RFC 3261 9.2).
// Empty: there is none, or the CANCEL does not come from where its INVITE came from (RFC 3261 9.2):
// who has merely seen the branch calls off nothing. A SIP server may use another connection, from
// the same address. It is told before a transaction is opened, which would swallow the true one.
SlotId Requests::invite_of(const Source& source, const Incoming& cancel) {
  const SlotId invite = transactions_.find_server(
      transaction::transaction_key(core_.hash_key, identity_of(cancel, "INVITE")));
  if (!invite) return {};
  const Source& from = transactions_.server(invite)->source;
  const bool on_network = core_.listener(source.listener).side == Side::Network;
  if (from.transport == source.transport && from.listener == source.listener &&
      (from.flow == source.flow || on_network) && from.remote.address == source.remote.address) {
    return invite;
  }
  core_.counters.cancel_wrong_source.add();
  return {};
}

// RFC 3261 16.10: the CANCEL is answered 200; what it is about ends with 487 soon. Without an
// INVITE there is nothing to call off: sent on, it would have another branch, and the next hop
// might look at the Call-ID alone.
void Requests::receive_cancel(SlotId server, SlotId invite, const Source& source,
                              const Incoming& in, Instant now, Outbox& outbox) {
  // A full table has made room for this CANCEL with its INVITE, which was answered for good.
  const ServerTransaction* found = transactions_.server(invite);
  if (!found) return replies_.respond(server, in.view, source, 481, {}, now, outbox);
  const SlotId context = found->context;
  replies_.respond(server, in.view, source, 200, {}, now, outbox);
  responses_.cancel(context, &in.view, now, outbox);
}

void Requests::release(Calls::Release release, Instant now, Outbox& outbox) {
  if (release.kind != Calls::Release::Kind::Bye) {
    ResponseContext* context = contexts_.find(release.context);
    if (!context) return;
    context->give_up_targets();
    if (release.kind == Calls::Release::Kind::Cancel) {
      return responses_.cancel(release.context, nullptr, now, outbox);
    }
    responses_.cancel_branches(release.context, now, outbox);
    return responses_.fail(release.context, 480, {}, now, outbox);
  }
  // A BYE of ours comes from the other side, from a listener for WebSockets where there is one.
  Source source;
  source.transport = Transport::Wss;
  for (std::size_t i = 0; i < core_.listeners.size(); ++i) {
    const Transport transport = core_.listeners[i].config.transport;
    if (!is_websocket(transport) || core_.listeners[i].config.removed) continue;
    source.listener = static_cast<ListenerIndex>(i);
    source.transport = transport;
  }
  const SlotId id = contexts_.open_own(Method::Bye, std::move(release.message), source);
  if (!id) return core_.drop(DropReason::TableFull);
  ResponseContext& context = *contexts_.find(id);
  context.right = Right::OwnDialog;
  context.target.next_hop = release.target.next_hop;
  context.far_end = std::move(release.far_end);
  sip::Essentials essentials;
  if (!read_own(context, essentials)) return responses_.end(id, now, outbox);
  const Incoming in{stored_, essentials};
  if (!release.to_access) return route(id, in, now, outbox);
  TargetList list;
  list.add(std::move(release.target));
  contexts_.set_targets(context, list);
  forward(id, in, now, outbox);
}

// A request of our own has no Via yet.
bool Requests::read_own(const ResponseContext& context, sip::Essentials& essentials) {
  if (!sip::parse_message(context.request.bytes(), sip::Framing::Datagram, stored_)) return false;
  const auto uri = sip::parse_uri(stored_.request_uri());
  const auto cseq = sip::parse_cseq(stored_.value(HeaderName::CSeq));
  if (!uri || !cseq) return false;
  essentials.call_id = stored_.value(HeaderName::CallId);
  essentials.max_forwards = 70;
  essentials.request_uri = *uri;
  essentials.cseq = *cseq;
  essentials.to_tag = sip::find_tag(stored_.value(HeaderName::To));
  essentials.from_tag = sip::find_tag(stored_.value(HeaderName::From));
  return true;
}

// --- 16.4, 16.5: where it goes -----------------------------------------------------------------

bool Requests::read_again(const ResponseContext& context, sip::Essentials& essentials) {
  if (context.own && context.method != Method::Ack) return read_own(context, essentials);
  return sip::parse_message(context.request.bytes(), sip::Framing::Datagram, stored_) &&
         sip::validate_request(stored_, essentials).ok();
}

void Requests::route(SlotId id, const Incoming& in, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  context.resume();
  if (std::exchange(routed_for_, id) != id) read_route(context.source, in, now);
  if (context.own && context.method == Method::Bye) leave_next_pass_alone(in);
  if (routed_.refused) {  // made here, or changed while it waited: its tokens are too old by now
    core_.counters.tokens_refused.add();
    responses_.fail(id, 403, {}, now, outbox);
  } else {
    context.media = routed_.media;
    if (routed_.leg != 0) context.leg = routed_.leg;
    calls_.note_request(context, in, routed_, now);
    const bool from_network = core_.listener(context.source.listener).side == Side::Network ||
                              context.peer_next_hop != Peer::kNoNextHop;
    if (context.late && is_of_session(context.method)) {
      responses_.fail(id, 481, {}, now, outbox);
    } else if (begins_call(context) &&
        !calls_.open(id, context, in, context.loop_hash, from_network, now)) {
      responses_.fail(id, 503, "Retry-After: 5\r\n", now, outbox);
    } else if (context.call_new && !fraud_.may_call(context, in, now)) {
      responses_.fail(id, 403, {}, now, outbox);
    } else {
      follow(id, in, router_.route(context, in, routed_, now), now, outbox);
    }
  }
  routed_for_ = {};
}

// A BYE of ours whose call passes us once more: that pass may live on another shard, and hears of
// it as of any other BYE, by its listener.
void Requests::leave_next_pass_alone(const Incoming& in) {
  if (!routed_.in_dialog || !routed_.access) return;
  if (routed_.access->shard % core_.shard_count == core_.shard) return;
  const sip::Header* header = in.view.find(HeaderName::Route);
  sip::ListCursor values(header ? in.view.text(header->value) : std::string_view{});
  const auto first = values.next();
  const auto route = first ? sip::parse_name_addr(*first) : std::unexpected(sip::NameAddrError{});
  if (!route) return;
  routed_ = {};
  routed_.from_token = true;
  routed_.request_uri = in.view.request_uri();
  routed_.next_route = route->uri.text;
}

bool Requests::begins_call(const ResponseContext& context) const {
  return context.method == Method::Invite && context.initial && !context.own && !context.call;
}

void Requests::follow(SlotId id, const Incoming& in, const Router::Decision& decision, Instant now,
                      Outbox& outbox) {
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

// What it describes passes the relay, where the call has one, and it goes on.
void Requests::offer_and_forward(SlotId id, const Incoming& in, Instant now, Outbox& outbox) {
  const MediaSteps::Next next = media_.prepare(id, in, now, outbox);
  switch (next) {
    case MediaSteps::Next::Forward:
      return forward(id, in, now, outbox);
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

void Requests::refuse_media(SlotId id, MediaSteps::Next why, Instant now, Outbox& outbox) {
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
      static constexpr std::array<std::string_view, 4> kWaits = {  // within 0 to 10 s
          "Retry-After: 0\r\n", "Retry-After: 3\r\n", "Retry-After: 7\r\n",
          "Retry-After: 10\r\n"};
      return responses_.fail(id, 500, kWaits[core_.random.next() % kWaits.size()], now, outbox);
    }
    case MediaSteps::Next::Forward:
    case MediaSteps::Next::Wait:
    case MediaSteps::Next::NoRelay:
      return responses_.fail(id, 503, "Retry-After: 5\r\n", now, outbox);
  }
}

void Requests::await_name(SlotId id, const Router::Decision& decision, Instant now,
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

void Requests::await_user_agent(SlotId id, const Router::Decision& decision) {
  ResponseContext& context = *contexts_.find(id);
  registrations_.wait(decision.user_agent, id, decision.until);
  context.park(State::AwaitUserAgent);
  context.user_agent = decision.user_agent;
  core_.counters.waits_started.add();
  core_.log.info("request_waits", {{"method", sip::to_text(context.method)},
                                   {"reason", "the user agent's connection is gone"}});
  contexts_.arm(id, ContextTimer::Return, decision.until);
}

void Requests::resume(SlotId id, Instant now, Outbox& outbox) {
  ResponseContext* context = contexts_.find(id);
  if (!context || !context->is_waiting_for(State::AwaitUserAgent)) return;
  contexts_.disarm(*context);
  context->grace_used = true;
  context->resume();
  core_.counters.waits_delivered.add();
  sip::Essentials essentials;
  if (!read_again(*context, essentials)) return responses_.fail(id, 500, {}, now, outbox);
  route(id, {stored_, essentials}, now, outbox);
}

void Requests::resolved(SlotId id, const Resolution& resolution, Instant now, Outbox& outbox) {
  ResponseContext* context = contexts_.find(id);
  if (!context || !context->is_waiting_for(State::AwaitName)) return;
  contexts_.disarm(*context);
  context->resume();
  sip::Essentials essentials;
  if (!read_again(*context, essentials)) return responses_.fail(id, 500, {}, now, outbox);
  const Incoming in{stored_, essentials};
  const std::string_view name = as_text(context->name.bytes());
  follow(id, in, router_.resolved(*context, in, resolution, name, now), now, outbox);
}

void Requests::offer_done(SlotId id, const Calls::MediaResult& result, Instant now,
                          Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  contexts_.disarm(context);
  context.resume();
  sip::Essentials essentials;
  if (!read_again(context, essentials)) return responses_.fail(id, 500, {}, now, outbox);
  const MediaSteps::Next next = media_.offer_done(context, stored_, result);
  if (next != MediaSteps::Next::Forward) return refuse_media(id, next, now, outbox);
  forward(id, {stored_, essentials}, now, outbox);
}

// --- 16.6: the copy, and its client transaction ------------------------------------------------

// The next pass of a call is known by the port that it comes from.
bool Requests::is_to_ourselves(const Target& target) const {
  const Endpoint& local = core_.listeners[target.listener].local;
  return target.remote.port == local.port &&
         (target.remote.address == local.address ||
          (local.address.is_any() && target.remote.address.is_loopback()));
}

// RFC 3261 18.1.1: a request above 1,300 bytes leaves UDP, unless compact names bring it below.
void Requests::fit_datagram(Target& target, BufferRef& message, Instant now) {
  if (target.transport != Transport::Udp || target.to_access ||
      message.size() <= kDatagramRequestMax || is_to_ourselves(target)) {
    return;
  }
  if (!make_compact(message)) switch_to_tcp(target, message, now);
}

// True: message is one of at most 1,300 bytes now. Else it is what it was.
bool Requests::make_compact(BufferRef& message) {
  BufferRef other = core_.buffers.take(message.size());
  if (!other) return false;
  Writer out(other.space());
  if (!sip::write_compact(as_text(message.bytes()), out) || out.size() > kDatagramRequestMax) {
    return false;
  }
  other.set_size(out.size());
  message = std::move(other);
  return true;
}

// Its Via says so. Our Record-Route stays as it is: only the size of this one message asks for TCP.
bool Requests::switch_to_tcp(Target& target, BufferRef& message, Instant now) {
  if (next_hops_.is_tcp_refused(target.remote, now)) return false;
  const ListenerIndex twin =
      next_hops_.listener_for(Transport::Tcp, target.remote.family(), target.next_hop);
  if (twin == kNoListener) return false;
  const std::string_view text = as_text(message.bytes());
  constexpr std::string_view kByUdp = "Via: SIP/2.0/UDP ";
  const std::size_t via = text.find(kByUdp);
  const std::string_view by_udp = core_.own.sent_by(target.listener);
  if (via == text.npos || !text.substr(via + kByUdp.size()).starts_with(by_udp)) return false;
  const std::string_view by_tcp = core_.own.sent_by(twin);
  if (by_tcp == by_udp) {
    std::memcpy(message.space().data() + via + 13, "TCP", 3);
  } else {
    BufferRef other = core_.buffers.take(message.size() + by_tcp.size());
    if (!other) return false;
    Writer out(other.space());
    out.text(text.substr(0, via)).text("Via: SIP/2.0/TCP ").text(by_tcp);
    out.text(text.substr(via + kByUdp.size() + by_udp.size()));
    if (out.overflowed()) return false;
    other.set_size(out.size());
    message = std::move(other);
  }
  target.transport = Transport::Tcp;
  target.listener = twin;
  target.tcp_for_size = true;
  core_.counters.switched_to_tcp.add();
  return true;
}

void Requests::forward(SlotId id, const Incoming& in, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  if (std::exchange(routed_for_, {}) != id) {  // it has parked in between, or is tried once more
    read_route(context.source, in, now);
  }
  Target target = context.target;
  std::array<std::uint8_t, sip::kBranchBytes + 8> memory;
  Writer branch(memory);
  const RequestWriter::Job job{context,
                               in,
                               routed_,
                               target,
                               {},
                               core_.listener(context.source.listener).side,
                               contexts_.has_another_target(context),
                               now};
  if (context.method == Method::Ack) return forward_ack(id, job, now, outbox);

  const SlotId client = transactions_.reserve_client(context.method, target, context.loop_hash);
  BufferRef message;
  if (client) {
    sip::write_branch(transactions_.branch_of(client), core_.branch_key, branch);
    RequestWriter::Job with_branch = job;
    with_branch.branch = branch.written_text();
    message = writer_.write(with_branch);
    if (!message) transactions_.release_client(client);
  }
  if (!message) return responses_.fail(id, 503, "Retry-After: 5\r\n", now, outbox);
  fit_datagram(target, message, now);
  start_client(id, client, std::move(message), target, now, outbox);
}

// No transaction: a branch that names no slot.
void Requests::forward_ack(SlotId id, RequestWriter::Job job, Instant now, Outbox& outbox) {
  std::array<std::uint8_t, sip::kBranchBytes + 8> memory;
  Writer branch(memory);
  // The same for a repetition of the ACK (RFC 3261 16.11).
  const std::uint64_t hash = keyed_hash(core_.branch_key, job.in.essentials.via.text);
  sip::write_branch({core_.shard, 0xff'ffff, static_cast<std::uint32_t>(hash),
                     static_cast<std::uint32_t>(hash >> 32)},
                    core_.branch_key, branch);
  job.branch = branch.written_text();
  if (BufferRef message = writer_.write(job)) {
    Target target = job.target;
    fit_datagram(target, message, now);
    TransactionLayer::send_to(target, core_.config, std::move(message), 0, outbox);
  } else {
    core_.drop(DropReason::NoBuffer);
  }
  responses_.end(id, now, outbox);
}

void Requests::start_client(SlotId id, SlotId client, BufferRef message, const Target& target,
                            Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  ClientTransaction& transaction = *transactions_.client(client);
  transaction.target = target;
  transaction.context = id;
  transaction.branch_index = context.forwarded(client);
  contexts_.sent_down(id, target);
  if (contexts_.has_another_target(context)) {
    contexts_.arm(id, ContextTimer::FirstAnswer, now + core_.config.timers.first_answer);
  } else if (context.method == Method::Invite) {
    contexts_.arm(id, ContextTimer::TimerC, now + core_.config.timers.timer_c);
  }
  const auto outcome = transactions_.start_client(client, std::move(message), now, outbox);
  if (outcome.terminated || outcome.transport_error) {
    responses_.client_outcome(client, outcome, 503, now, outbox);
  }
}

void Requests::retry(const Responses::Retry& retry, Instant now, Outbox& outbox) {
  ResponseContext* context = contexts_.find(retry.context);
  if (!context) return;
  sip::Essentials essentials;
  const bool may_go = !context->is_answered() && !context->is_cancelled() && context->may_fork() &&
                      (!retry.next_target || contexts_.has_another_target(*context)) &&
                      read_again(*context, essentials);
  if (!may_go) return responses_.retry_failed(retry, now, outbox);
  if (retry.next_target) {
    contexts_.take_next_target(*context);
    calls_.set_callee(*context);
    core_.counters.failovers.add();
  }
  const Incoming in{stored_, essentials};
  if (retry.other_profile) return offer_and_forward(retry.context, in, now, outbox);
  forward(retry.context, in, now, outbox);
}

// --- A flow that died --------------------------------------------------------------------------

// The user agent is back on another flow: what it has not answered goes there, under the same
// branch, so that it knows it again where the first one came through after all.
void Requests::send_again(SlotId id, const Target& target, Outbox& outbox) {
  ResponseContext* context = contexts_.find(id);
  if (!context || context->is_answered()) return;
  context->awaits_return = false;
  for (std::uint8_t i = 0; i < context->branch_count(); ++i) {
    const ClientBranch& branch = context->branch(i);
    ClientTransaction* client = transactions_.client(branch.client);
    if (!client || branch.final_status != 0 || client->target.user_agent != target.user_agent ||
        !client->request) {
      continue;
    }
    client->target.aim_at(target);
    context->target.flow = target.flow;
    core_.counters.sent_again.add();
    TransactionLayer::send_to(client->target, core_.config, client->request,
                              subject_value(Subject::ClientSend, branch.client), outbox);
    contexts_.sent_down(id, client->target);
  }
}

}  // namespace ringway
