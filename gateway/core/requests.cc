#include "gateway/core/requests.h"

#include <optional>

#include "protocol/transaction/key.h"

namespace ringway {
namespace {

using sip::Method;

transaction::RequestIdentity identity_of(const Incoming& in, std::string_view method) {
  const sip::Essentials& essentials = in.essentials;
  return {essentials.via.branch, essentials.via.sent_by, method,
          essentials.call_id,    essentials.from_tag,    essentials.via.text,
          in.view.request_uri(), essentials.cseq.number};
}

}  // namespace

Requests::Requests(const Parts& parts)
    : core_(parts.core),
      contexts_(parts.contexts),
      transactions_(parts.transactions),
      peers_(parts.peers),
      admission_(parts.admission),
      fraud_(parts.fraud),
      replies_(parts.replies),
      routes_(parts.routes),
      owner_(parts.owner),
      checks_(parts.checks),
      steps_(parts.steps),
      results_(parts.results) {}

void Requests::receive(const Source& source, const Incoming& in, bool handed_over, Instant now,
                       Outbox& outbox) {
  routes_.begin();
  if (!handed_over && owner_.hand_over(source, in, now, outbox)) return;
  const sip::MessageView& request = in.view;
  const Method method = request.method();
  const Peer peer = peers_.peer_of(source, now);
  if (peers_.is_dropped(source, peer, request, now)) return;
  const auto key =
      transaction::transaction_key(core_.hash_key, identity_of(in, request.method_text()));
  const SlotId known = transactions_.find_server(key);
  const bool is_lost =
      !known && (method == Method::Ack || (method == Method::Cancel && !find_invite(in)));
  if (is_lost && owner_.search_on(source, in, handed_over, now, outbox)) return;
  core_.counters.requests_by_method[static_cast<std::size_t>(method)].add();
  if (method == Method::Ack) {
    if (known && !transactions_.ack_received(known, now, outbox).to_user) return;
    return receive_ack(source, peer, in, now, outbox);
  }
  if (known) {
    transactions_.request_repeated(known, now, outbox);
    return;
  }
  receive_new(source, peer, in, key, now, outbox);
}

void Requests::receive_new(const Source& source, const Peer& peer, const Incoming& in,
                           const transaction::TransactionKey& key, Instant now, Outbox& outbox) {
  const sip::MessageView& request = in.view;
  const Method method = request.method();
  const auto loop_hash = checks_.passes(source, peer, in, now, outbox);
  if (!loop_hash) return;
  const SlotId invite = method == Method::Cancel ? invite_of(source, in) : SlotId{};
  if (method == Method::Cancel && !invite) {
    return replies_.refuse(request, source, 481, {}, {}, outbox);
  }
  const std::optional<Right> right =
      invite ? Right::OwnDialog : checks_.admit(source, peer, in, now, outbox);
  if (!right) return;
  if (method == Method::Refer &&
      !fraud_.may_refer(source, in, routes_.read_once(source, in, now), now)) {
    return replies_.refuse(request, source, 403, {}, {}, outbox);
  }

  TransactionLayer::Outcome outcome;
  const Source reply = replies_.reply_address(source, in.essentials.via);
  const SlotId server = transactions_.open_server(key, method, reply, now, outbox, outcome);
  if (!server) return replies_.refuse(request, source, 503, {}, "Retry-After: 5\r\n", outbox);
  if (outcome.send_100) replies_.trying(server, request, source, outbox);
  if (invite) return receive_cancel(server, invite, source, in, now, outbox);
  limit_answers(server, source, in, now);
  open(server, source, peer, in, *right, *loop_hash, now, outbox);
}

void Requests::open(SlotId server, const Source& source, const Peer& peer, const Incoming& in,
                    Right right, std::uint32_t loop_hash, Instant now, Outbox& outbox) {
  const SlotId id = contexts_.open(source, in);
  if (!id) {
    core_.counters.transactions_refused.add();
    return replies_.respond(server, in.view, source, 503, "Retry-After: 5\r\n", now, outbox);
  }
  ResponseContext& context = *contexts_.find(id);
  context.server = server;
  context.loop_hash = loop_hash;
  context.right = right;
  context.peer_next_hop = peer.next_hop;
  transactions_.server(server)->context = id;
  transactions_.server(server)->next_hop = peer.next_hop;
  admission_.began(context, in, now);
  routes_.belongs_to(id);
  steps_.route(id, in, now, outbox);
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
  const auto right = checks_.admit(source, peer, in, now, outbox);
  if (!right) return core_.drop(DropReason::AckWithoutTarget);
  const SlotId id = contexts_.open(source, in);
  if (!id) return core_.drop(DropReason::TableFull);
  ResponseContext& context = *contexts_.find(id);
  context.own = true;
  context.right = *right;
  context.peer_next_hop = peer.next_hop;
  routes_.belongs_to(id);
  steps_.route(id, in, now, outbox);
}

// The server transaction of the INVITE that a CANCEL names (RFC 3261 9.2). Empty: there is none.
SlotId Requests::find_invite(const Incoming& cancel) {
  return transactions_.find_server(
      transaction::transaction_key(core_.hash_key, identity_of(cancel, "INVITE")));
}

// The server transaction of the INVITE that a CANCEL calls off (RFC 3261 9.2). Empty: there is
// none, or the CANCEL does not come from where its INVITE came from: who has merely seen the branch
// calls off nothing. A SIP server may use another connection, from the same address. It is told
// before a transaction is opened, which would swallow the true one.
SlotId Requests::invite_of(const Source& source, const Incoming& cancel) {
  const SlotId invite = find_invite(cancel);
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
  results_.cancel(context, &in.view, now, outbox);
}

}  // namespace ringway
