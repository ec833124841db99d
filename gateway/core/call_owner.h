#pragma once

#include <optional>

#include "gateway/base/outbox.h"
#include "gateway/core/peer_check.h"
#include "gateway/core/route_reader.h"
#include "gateway/core/services.h"

namespace ringway {

// On which shard the call of a request lives. What is sent again, called off or acknowledged goes
// the same way as the first one, because it says the same, over whichever connection it comes.
class CallOwner {
 public:
  // All outlive this object.
  CallOwner(Services& core, PeerCheck& peers, RouteReader& routes)
      : core_(core), peers_(peers), routes_(routes) {}

  // True: the request is on its way to its call's shard, or was dropped for want of a buffer.
  [[nodiscard]] bool hand_over(const Source& source, const Incoming& in, Instant now,
                               Outbox& outbox);

  // A CANCEL or an ACK that has no token of ours, and matches no transaction here. Some servers
  // leave the Route of its INVITE out (RFC 3261 9.1, 17.1.1.3), and a user agent may have come back
  // over a flow of another shard; it is still known by its branch (9.2). True: it is on its way to
  // the next shard, or was dropped for want of a buffer. False: each shard has looked, or a
  // stranger sent it. A phone on UDP whose NAT has given it another port is a stranger there, and
  // is looked for all the same, kSearchesASecond of them: a datagram costs each shard a message.
  [[nodiscard]] bool search_on(const Source& source, const Incoming& in, bool handed_over,
                               Instant now, Outbox& outbox);

  static constexpr std::uint32_t kSearchesASecond = 200;  // that strangers cause, on each shard

 private:
  bool may_search_for_stranger(Instant now);
  std::optional<ShardIndex> by_token(const Source& source, const Incoming& in, Instant now);
  std::optional<ShardIndex> by_call_id(const Source& source, const Incoming& in, Instant now);
  ShardIndex shard_of_call_id(const Incoming& in) const;
  void send_to(ShardIndex shard, const Source& source, const Incoming& in, Outbox& outbox);

  Services& core_;
  PeerCheck& peers_;
  RouteReader& routes_;
  Instant second_{};            // since when searches_left_ counts
  std::uint32_t searches_left_ = 0;
};

}  // namespace ringway
