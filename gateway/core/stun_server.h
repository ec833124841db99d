#pragma once

#include "gateway/admission/stun_budget.h"
#include "gateway/base/outbox.h"
#include "gateway/core/peer_check.h"
#include "gateway/core/services.h"

namespace ringway {

// Answers STUN Binding requests on UDP listeners: the keepalive of RFC 5626 4.4.2, which each of
// them owes (RFC 5626 8). The shortest answer has 12 bytes more than the shortest request, over
// IPv6 24: the budget of strangers bounds what a forged sender can be sent.
//
//   known peer                a user agent from the address and port that it has registered from,
//                             a next hop, a trusted server: within a budget of its own
//   stranger, access side     within the budget of its source
//   stranger, network side    nothing
//
// Whoever gets no answer is counted among the drops, by reason.
class StunServer {
 public:
  // Both outlive this object.
  StunServer(Services& core, PeerCheck& peers)
      : core_(core), peers_(peers), budget_(core.hash_key) {}

  // request: a datagram that is STUN (stun::is_stun), borrowed for the call.
  void receive(const Source& source, Bytes request, Instant now, Outbox& outbox);

 private:
  Services& core_;
  PeerCheck& peers_;
  StunBudget budget_;
};

}  // namespace ringway
