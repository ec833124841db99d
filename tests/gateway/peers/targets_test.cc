#include "gateway/peers/targets.h"

#include <gtest/gtest.h>

#include "tests/gateway/peers/peer_fixture.h"

namespace ringway {
namespace {

using Place = Targets::Place;

class TargetsTest : public PeerFixture {
 protected:
  TargetsTest() : table_(config_, listeners_), targets_(config_, listeners_, table_) {
    config_.admin = {true, *parse_endpoint("203.0.113.1:8080"), {}, {}};
    config_.media.relays = {*parse_endpoint("203.0.113.50:2223")};
    table_.publish(snapshot_, kStart);
  }
  Place place(std::string_view endpoint) {
    return targets_.place_of(*parse_endpoint(endpoint), kStart);
  }
  PeerTable table_;
  Targets targets_;
};

TEST_F(TargetsTest, NextHopsAndMembersAreListed) {
  EXPECT_EQ(place("198.51.100.1:5060"), Place::Listed);
  EXPECT_EQ(place("198.51.100.150:9999"), Place::Listed);
  EXPECT_EQ(place("192.0.2.77:5061"), Place::Listed);
  EXPECT_EQ(place("10.0.0.5:5060"), Place::Listed);
}

TEST_F(TargetsTest, PublicAddressesAreFarEndsOfADialogAtMost) {
  EXPECT_EQ(place("198.51.100.1:6379"), Place::FarEnd);
  EXPECT_EQ(place("203.0.113.99:5060"), Place::FarEnd);
  EXPECT_EQ(place("[2001:db8::9]:5060"), Place::FarEnd);
}

TEST_F(TargetsTest, InnerAddressesAreTargetsOnlyWhereTheyAreListed) {
  for (const char* endpoint :
       {"127.0.0.1:6379", "127.8.8.8:5060", "10.0.0.6:5060", "192.168.1.1:80", "172.16.0.1:5060",
        "169.254.169.254:80", "100.64.0.1:5060", "0.1.2.3:5060", "[::1]:5060", "[fe80::1]:5060",
        "[fc00::1]:5060", "[::ffff:127.0.0.1]:6379", "[64:ff9b::7f00:1]:5060", "[::7f00:1]:5060"}) {
    EXPECT_EQ(place(endpoint), Place::Forbidden) << endpoint;
  }
  EXPECT_EQ(place("10.0.0.5:5080"), Place::FarEnd);  // the server that is listed, another port
}

TEST_F(TargetsTest, OnLoopbackEveryPortIsAnotherProgram) {
  resolve(1, {"127.0.0.1:5080"});
  table_.publish(snapshot_, kStart + 700s);
  EXPECT_EQ(place("127.0.0.1:5080"), Place::Listed);
  EXPECT_EQ(place("127.0.0.1:6379"), Place::Forbidden);
}

TEST_F(TargetsTest, NobodyLivesAtTheseAddresses) {
  for (const char* endpoint :
       {"0.0.0.0:5060", "[::]:5060", "224.0.0.1:5060", "[ff02::1]:5060", "255.255.255.255:5060"}) {
    EXPECT_EQ(place(endpoint), Place::Forbidden) << endpoint;
  }
  EXPECT_EQ(targets_.place_of({*parse_address("203.0.113.9"), 0}, kStart), Place::Forbidden);
}

TEST_F(TargetsTest, OurOwnPortsTheRelaysAndTheAdminPageAreNoTargets) {
  EXPECT_EQ(place("203.0.113.1:5060"), Place::Forbidden);
  EXPECT_EQ(place("203.0.113.1:5070"), Place::Forbidden);
  EXPECT_EQ(place("203.0.113.1:8080"), Place::Forbidden);
  EXPECT_EQ(place("203.0.113.50:2223"), Place::Forbidden);
  EXPECT_EQ(place("203.0.113.50:5060"), Place::FarEnd);
}

TEST_F(TargetsTest, APrefixOfMembersThatCoversUsOpensNoneOfOurPorts) {
  config_.next_hops[0].members = {"203.0.113.0/24", "127.0.0.0/8"};
  PeerTable table(config_, listeners_);
  Targets targets(config_, listeners_, table);
  const auto place_of = [&](std::string_view text) {
    return targets.place_of(*parse_endpoint(text), kStart);
  };
  EXPECT_EQ(place_of("203.0.113.1:8080"), Place::Forbidden);
  EXPECT_EQ(place_of("203.0.113.2:8080"), Place::Listed);
  EXPECT_EQ(place_of("127.0.0.1:7000"), Place::Listed);
}

TEST_F(TargetsTest, AWildcardListenerServesLoopbackAndItsAdvertisedAddress) {
  ListenerInfo wildcard;
  wildcard.local = *parse_endpoint("0.0.0.0:5090");
  wildcard.config.advertise_host = "203.0.113.60";
  listeners_.push_back(wildcard);
  config_.next_hops[0].members = {"127.0.0.0/8"};
  PeerTable table(config_, listeners_);
  Targets targets(config_, listeners_, table);
  EXPECT_EQ(targets.place_of(*parse_endpoint("127.0.0.1:5090"), kStart), Place::Forbidden);
  EXPECT_EQ(targets.place_of(*parse_endpoint("203.0.113.60:5090"), kStart), Place::Forbidden);
}

}  // namespace
}  // namespace ringway
