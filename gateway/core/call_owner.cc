#include "gateway/core/call_owner.h"

#include <utility>

namespace ringway {
namespace {

using sip::HeaderName;
using sip::Method;

// An INVITE, and what follows it under the same branch.
bool makes_call(Method method) {
  return method == Method::Invite || method == Method::Ack || method == Method::Cancel;
}

}  // namespace

// That of a dialog by the leg of its tokens, one that begins by the flow that its Path token names.
std::optional<ShardIndex> CallOwner::by_token(const Source& source, const Incoming& in,
                                              Instant now) {
  if (!in.view.has(HeaderName::Route) && !core_.own.is_own(in.essentials.request_uri)) return {};
  const RoutePreprocess& route = routes_.read_once(source, in, now);
  if (route.refused || route.outdated || route.own_flow) return core_.shard;
  if (!route.access) return {};
  const FlowToken& token = *route.access;
  const bool in_dialog = route.in_dialog && route.leg != 0;
  const bool begins = makes_call(in.view.method()) && token.flow && core_.is_of_this_run(token);
  if (!in_dialog && !begins) return {};
  return static_cast<ShardIndex>(token.shard % core_.shard_count);
}

// That of a SIP server without a token by its Call-ID.
std::optional<ShardIndex> CallOwner::by_call_id(const Source& source, const Incoming& in,
                                                Instant now) {
  if (core_.listener(source.listener).side != Side::Network) return {};
  if (!makes_call(in.view.method())) return {};
  if (peers_.peer_of(source, now).kind == PeerKind::Stranger) return {};
  return shard_of_call_id(in);
}

ShardIndex CallOwner::shard_of_call_id(const Incoming& in) const {
  return static_cast<ShardIndex>(keyed_hash(core_.hash_key, in.essentials.call_id) %
                                 core_.shard_count);
}

bool CallOwner::hand_over(const Source& source, const Incoming& in, Instant now, Outbox& outbox) {
  if (core_.shard_count < 2) return false;
  auto owner = by_token(source, in, now);
  if (!owner) owner = by_call_id(source, in, now);
  if (!owner || *owner == core_.shard) return false;
  send_to(*owner, source, in, outbox);
  return true;
}

bool CallOwner::may_search_for_stranger(Instant now) {
  if (now - second_ >= 1s) {
    second_ = now;
    searches_left_ = kSearchesASecond;
  }
  if (searches_left_ == 0) {
    core_.drop(DropReason::Budget);
    return false;
  }
  --searches_left_;
  return true;
}

// From the shard of the Call-ID once around, so that the way here tells how far it has come.
bool CallOwner::search_on(const Source& source, const Incoming& in, bool handed_over, Instant now,
                          Outbox& outbox) {
  if (core_.shard_count < 2 || by_token(source, in, now)) return false;
  const ShardIndex first = shard_of_call_id(in);
  auto next = static_cast<ShardIndex>((core_.shard + 1) % core_.shard_count);
  if (handed_over) {
    if (next == first) return false;
  } else {
    const bool may_have_moved = source.transport == Transport::Udp &&
                                core_.listener(source.listener).side == Side::Access;
    if (peers_.peer_of(source, now).kind == PeerKind::Stranger &&
        (!may_have_moved || !may_search_for_stranger(now))) {
      return false;
    }
    if (core_.shard != first) next = first;
  }
  send_to(next, source, in, outbox);
  return true;
}

void CallOwner::send_to(ShardIndex shard, const Source& source, const Incoming& in,
                        Outbox& outbox) {
  BufferRef copy = core_.buffers.copy(as_bytes(in.view.text()));
  if (!copy) return core_.drop(DropReason::NoBuffer);
  Output& output = outbox.add(Output::Kind::HandOver);
  output.shard = shard;
  output.source = peers_.with_peer(source);
  output.buffer = std::move(copy);
}

}  // namespace ringway
