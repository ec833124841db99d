#include "gateway/peers/rights.h"

#include <array>
#include <cstddef>

namespace ringway {
namespace {

// A column of the table: a peer, where need be by its side and that listener's admission.
enum Column : std::size_t {
  StrangerRegistered,  // access side, admission = "registered"
  StrangerOpen,        // access side, admission = "open"
  UserAgent,
  Trusted,
  NextHop,
  FarEnd,
  StrangerNetwork,
  kColumns,
};
using Row = std::array<Right, kColumns>;
using enum Right;

// clang-format off
constexpr std::array<Row, 4> kRights{{
  //           stranger, access side     user agent   trusted        next hop   far end    stranger,
  //           registered   open                                                           network
  /* to us */ {Answer,      Answer,      Answer,      Answer,        Answer,    Answer,    Drop},
  /* REGISTER*/{AccessHops, AccessHops,  AccessHops,  Refuse,        Refuse,    Refuse,    Drop},
  /* new */   {Refuse,      AccessHops,  AccessHops,  NetworkHops,   Anywhere,  Refuse,    Drop},
  /* dialog */{OwnDialog,   OwnDialog,   OwnDialog,   OwnDialog,     OwnDialog, OwnDialog, Drop},
}};
// clang-format on

Column column_of(PeerKind peer, Side side, Admission admission) {
  switch (peer) {
    case PeerKind::NextHop:
      return NextHop;
    case PeerKind::Trusted:
      return Trusted;
    case PeerKind::FarEnd:
      return FarEnd;
    case PeerKind::UserAgent:
      return UserAgent;
    case PeerKind::Stranger:
      break;
  }
  if (side == Side::Network) return StrangerNetwork;
  return admission == Admission::Open ? StrangerOpen : StrangerRegistered;
}

}  // namespace

Right right_of(PeerKind peer, Side side, Admission admission, RequestClass request) {
  return kRights[static_cast<std::size_t>(request)][column_of(peer, side, admission)];
}

FlowTokenUse flow_token_use(PeerKind peer, Side side) {
  switch (peer) {
    case PeerKind::NextHop:
    case PeerKind::Trusted:
      return FlowTokenUse::AsTarget;
    case PeerKind::UserAgent:
      return FlowTokenUse::OwnFlow;
    case PeerKind::Stranger:
      // A page that registers preloads the Path before it is known (RFC 5626 5.3).
      return side == Side::Access ? FlowTokenUse::OwnFlow : FlowTokenUse::Refused;
    case PeerKind::FarEnd:
      break;
  }
  return FlowTokenUse::Refused;
}

}  // namespace ringway
