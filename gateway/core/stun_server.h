#pragma once

#include "gateway/admission/stun_budget.h"
#include "gateway/base/outbox.h"
#include "gateway/core/peer_check.h"
#include "gateway/core/services.h"

namespace ringway {

// Answers STUN Binding requests on UDP listeners: the keepalive of RFC 5626 4.4.2.
//
//   known peer                a user agent from the address and port that it has registered from,
//                             a next hop, a trusted server: within its budget
//   stranger, access side     the same, and only what is no longer than its request: whoever forges
//                             a sender gains no byte
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
