#pragma once

#include <cstdint>

#include "gateway/base/transport.h"
#include "gateway/config/config.h"
#include "gateway/peers/peer.h"

namespace ringway {

// What a request wants.
enum class RequestClass : std::uint8_t {
  ToUs,      // OPTIONS that names us and no user
  Register,  // REGISTER
  New,       // no To tag: INVITE, MESSAGE, SUBSCRIBE, OPTIONS ...
  InDialog,  // a To tag; ACK; CANCEL
};

// What is done with it.
enum class Right : std::uint8_t {
  Drop,          // nothing is answered; counted
  Refuse,        // 403
  Answer,        // by ourselves
  AccessHops,    // to a next hop that is open to the access side
  NetworkHops,   // to one that is open to the network side, or down the flow of a Path token
  OwnDialog,     // to the other end of the dialog whose tokens it carries
  Anywhere,      // wherever its Route set or Request-URI leads, under the rules of targets
};
Right right_of(PeerKind peer, Side side, Admission admission, RequestClass request);

// What Path tokens and Contact aliases are worth in a request of that peer outside a dialog.
enum class FlowTokenUse : std::uint8_t {
  Refused,  // 403
  // One that names the sender's own flow is taken off and the request goes the normal way
  // ("outgoing", RFC 5626 5.3); any other is refused.
  OwnFlow,
  AsTarget,
};
FlowTokenUse flow_token_use(PeerKind peer, Side side);

}  // namespace ringway
