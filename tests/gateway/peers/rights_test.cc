#include "gateway/peers/rights.h"

#include <gtest/gtest.h>

namespace ringway {
namespace {

struct Case {
  const char* name;
  PeerKind peer;
  Side side;
  Admission admission;
  Right to_us, reg, fresh, in_dialog;
};

constexpr auto kRegistered = Admission::Registered;
constexpr auto kOpen = Admission::Open;

constexpr Case kCases[] = {
    {"a stranger on the access side registers and no more", PeerKind::Stranger, Side::Access,
     kRegistered, Right::Answer, Right::AccessHops, Right::Refuse, Right::OwnDialog},
    {"a guest may call where the listener is open", PeerKind::Stranger, Side::Access, kOpen,
     Right::Answer, Right::AccessHops, Right::AccessHops, Right::OwnDialog},
    {"a user agent calls through the next hops of its side", PeerKind::UserAgent, Side::Access,
     kRegistered, Right::Answer, Right::AccessHops, Right::AccessHops, Right::OwnDialog},
    {"a trusted server reaches next hops and user agents", PeerKind::Trusted, Side::Network, kRegistered,
     Right::Answer, Right::Refuse, Right::NetworkHops, Right::OwnDialog},
    {"a next hop says where", PeerKind::NextHop, Side::Network, kRegistered, Right::Answer,
     Right::Refuse, Right::Anywhere, Right::OwnDialog},
    {"a far end has its dialog", PeerKind::FarEnd, Side::Network, kRegistered, Right::Answer,
     Right::Refuse, Right::Refuse, Right::OwnDialog},
    {"a stranger on the network side hears nothing", PeerKind::Stranger, Side::Network, kRegistered,
     Right::Drop, Right::Drop, Right::Drop, Right::Drop},
    {"admission opens nothing on the network side", PeerKind::Stranger, Side::Network, kOpen,
     Right::Drop, Right::Drop, Right::Drop, Right::Drop},
};

TEST(Rights, TheTableOfPeersAndRequests) {
  for (const Case& one : kCases) {
    const auto right = [&](RequestClass request) {
      return right_of(one.peer, one.side, one.admission, request);
    };
    EXPECT_EQ(right(RequestClass::ToUs), one.to_us) << one.name;
    EXPECT_EQ(right(RequestClass::Register), one.reg) << one.name;
    EXPECT_EQ(right(RequestClass::New), one.fresh) << one.name;
    EXPECT_EQ(right(RequestClass::InDialog), one.in_dialog) << one.name;
  }
}

TEST(Rights, FlowTokensAreTargetsForTheNetworkSideOnly) {  // RFC 5626 5.3
  EXPECT_EQ(flow_token_use(PeerKind::NextHop, Side::Network), FlowTokenUse::AsTarget);
  EXPECT_EQ(flow_token_use(PeerKind::Trusted, Side::Network), FlowTokenUse::AsTarget);
  EXPECT_EQ(flow_token_use(PeerKind::UserAgent, Side::Access), FlowTokenUse::OwnFlow);
  EXPECT_EQ(flow_token_use(PeerKind::Stranger, Side::Access), FlowTokenUse::OwnFlow);
  EXPECT_EQ(flow_token_use(PeerKind::Stranger, Side::Network), FlowTokenUse::Refused);
  EXPECT_EQ(flow_token_use(PeerKind::FarEnd, Side::Network), FlowTokenUse::Refused);
}

}  // namespace
}  // namespace ringway
