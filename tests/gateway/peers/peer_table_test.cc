#include "gateway/peers/peer_table.h"

#include <gtest/gtest.h>

#include "tests/gateway/peers/peer_fixture.h"

namespace ringway {
namespace {

class PeerTableTest : public PeerFixture {
 protected:
  PeerTableTest() : table_(config_, listeners_) { table_.publish(snapshot_, kStart); }
  Peer peer(ListenerIndex listener, std::string_view remote, Instant now = kStart) {
    return table_.peer_of(source(listener, remote), nullptr, false, now);
  }
  PeerTable table_;
};

TEST_F(PeerTableTest, EveryAddressOfANextHopIsThatNextHopWhateverThePort) {
  EXPECT_EQ(peer(kNetwork, "198.51.100.1:5060"), (Peer{PeerKind::NextHop, 0}));
  EXPECT_EQ(peer(kNetwork, "198.51.100.2:40000"), (Peer{PeerKind::NextHop, 0}));
  EXPECT_EQ(peer(kNetwork, "10.0.0.5:5060"), (Peer{PeerKind::NextHop, 1}));
  EXPECT_EQ(peer(kNetwork, "198.51.100.3:5060"), (Peer{PeerKind::Stranger, Peer::kNoNextHop}));
}

TEST_F(PeerTableTest, MembersAreTheirNextHopByPrefixAndByName) {
  EXPECT_EQ(peer(kNetwork, "198.51.100.200:1024"), (Peer{PeerKind::NextHop, 0}));
  EXPECT_EQ(peer(kNetwork, "192.0.2.77:5099"), (Peer{PeerKind::NextHop, 0}));
  EXPECT_EQ(peer(kNetwork, "192.0.2.78:5099").kind, PeerKind::Stranger);
}

TEST_F(PeerTableTest, APrefixOfTrustedIsTrusted) {
  EXPECT_EQ(peer(kNetwork, "198.51.100.70:5060").kind, PeerKind::Trusted);
  EXPECT_EQ(peer(kNetwork, "198.51.100.80:5060").kind, PeerKind::Stranger);
}

TEST_F(PeerTableTest, OnAnAccessListenerAnAddressProvesNothing) {
  for (const char* remote : {"198.51.100.1:5060", "198.51.100.200:5060", "198.51.100.70:5060"}) {
    EXPECT_EQ(peer(kAccess, remote), Peer{}) << remote;
  }
  EXPECT_EQ(table_.peer_of(source(kAccess, "198.51.100.1:5060"), nullptr, true, kStart).kind,
            PeerKind::UserAgent);
}

TEST_F(PeerTableTest, ABindingProvesNothingOnANetworkListener) {
  EXPECT_EQ(table_.peer_of(source(kNetwork, "203.0.113.9:5060"), nullptr, true, kStart).kind,
            PeerKind::Stranger);
}

TEST_F(PeerTableTest, AnAddressCountsTenMinutesAfterItsNameLeftIt) {
  resolve(0, {"198.51.100.2:5060"});
  table_.publish(snapshot_, kStart + 60s);
  EXPECT_EQ(peer(kNetwork, "198.51.100.1:5060", kStart + 61s).kind, PeerKind::NextHop);
  // Published again and again, it is not renewed.
  table_.publish(snapshot_, kStart + 300s);
  table_.publish(snapshot_, kStart + 600s);
  EXPECT_EQ(peer(kNetwork, "198.51.100.1:5060", kStart + 659s).kind, PeerKind::NextHop);
  EXPECT_EQ(peer(kNetwork, "198.51.100.1:5060", kStart + 660s).kind, PeerKind::Stranger);
  EXPECT_EQ(peer(kNetwork, "198.51.100.2:5060", kStart + 9000s).kind, PeerKind::NextHop);
  // It comes back.
  resolve(0, {"198.51.100.1:5060"});
  table_.publish(snapshot_, kStart + 700s);
  EXPECT_EQ(peer(kNetwork, "198.51.100.1:5060", kStart + 9000s).kind, PeerKind::NextHop);
}

TEST_F(PeerTableTest, AStreamThatWeOpenedIsWhatItWasOpenedFor) {
  const auto to_next_hop = PeerTable::opened_for(1);
  const Source from = source(kNetwork, "203.0.113.200:5060");
  EXPECT_EQ(table_.peer_of(from, &to_next_hop, false, kStart), (Peer{PeerKind::NextHop, 1}));
  const auto to_far_end = PeerTable::opened_for(Peer::kNoNextHop);
  EXPECT_EQ(table_.peer_of(from, &to_far_end, false, kStart).kind, PeerKind::FarEnd);
  // Even if it stands at a next hop's address: his own server on that machine.
  EXPECT_EQ(table_.peer_of(source(kNetwork, "198.51.100.1:7777"), &to_far_end, false, kStart).kind,
            PeerKind::FarEnd);
}

TEST_F(PeerTableTest, ACertificateThatNamesANextHopMakesItsStream) {  // RFC 5922 7.2
  const Source from = source(kNetwork, "203.0.113.200:5060");
  struct Case {
    const char* names;
    Peer peer;
  };
  for (const Case& one :
       {Case{"PBX.example.org\n", {PeerKind::NextHop, 0}},
        Case{"other.example\nsbc2.example.org\n", {PeerKind::NextHop, 0}},
        Case{"carrier.example\n", {PeerKind::NextHop, 1}}, Case{"*.example.org\n", {}},
        Case{"pbx.example.org.evil\n", {}}, Case{"", {}}}) {
    const auto flow = table_.accepted_with(one.names);
    EXPECT_EQ(table_.peer_of(from, &flow, false, kStart), one.peer) << one.names;
    EXPECT_EQ(table_.peer_of(source(kAccess, "203.0.113.200:5060"), &flow, false, kStart), Peer{});
  }
}

TEST_F(PeerTableTest, OfTwoNextHopsAtOneAddressThePortDecides) {
  resolve(1, {"198.51.100.1:5080"});
  table_.publish(snapshot_, kStart);
  EXPECT_EQ(peer(kNetwork, "198.51.100.1:5060").next_hop, 0);
  EXPECT_EQ(peer(kNetwork, "198.51.100.1:5080").next_hop, 1);
  EXPECT_EQ(peer(kNetwork, "198.51.100.1:9999").kind, PeerKind::NextHop);
}

TEST_F(PeerTableTest, ANextHopIsFoundByItsNameAndThoseOfItsMembers) {
  EXPECT_EQ(table_.next_hop_named("PBX.example.org"), 0);
  EXPECT_EQ(table_.next_hop_named("sbc2.example.org"), 0);
  EXPECT_EQ(table_.next_hop_named("10.0.0.5"), 1);
  EXPECT_EQ(table_.next_hop_named("sbc3.example.org"), Peer::kNoNextHop);
}

}  // namespace
}  // namespace ringway
