#include "gateway/routing/next_hop_set.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/config/listener_info.h"

namespace ringway {
namespace {

using Outcome = NextHopSet::Outcome;

constexpr std::uint64_t kSeed = 2782;
constexpr Instant kStart{1000s};

ListenerInfo listener(std::string_view name, Transport transport, Side side,
                      std::string_view local) {
  ListenerInfo info;
  info.config.name = name;
  info.config.transport = transport;
  info.config.side = side;
  info.local = *parse_endpoint(local);
  return info;
}

NextHopConfig next_hop(std::string_view host, std::vector<std::string> domains = {},
                       std::uint16_t priority = 0, std::uint16_t weight = 1) {
  NextHopConfig config;
  config.name = config.host = host;
  config.domains = std::move(domains);
  config.priority = priority;
  config.weight = weight;
  return config;
}

ResolvedTarget resolved(std::string_view endpoint, std::uint16_t priority = 0,
                        std::uint16_t weight = 0, Transport transport = Transport::Udp) {
  return {transport, *parse_endpoint(endpoint), priority, weight};
}

class NextHopSetTest : public ::testing::Test {
 protected:
  NextHopSetTest() {
    listeners_ = {listener("wss-1", Transport::Wss, Side::Access, "192.0.2.1:443"),
                  listener("udp-2", Transport::Udp, Side::Network, "192.0.2.1:5060"),
                  listener("udp-3", Transport::Udp, Side::Network, "192.0.2.1:5070"),
                  listener("tcp-4", Transport::Tcp, Side::Access, "192.0.2.1:5060")};
  }

  // One next hop for each list of targets.
  void configure(std::vector<NextHopConfig> next_hops,
                 std::vector<std::vector<ResolvedTarget>> targets) {
    config_.next_hops = std::move(next_hops);
    auto snapshot = std::make_shared<NextHopSnapshot>();
    for (std::vector<ResolvedTarget>& list : targets) {
      snapshot->next_hops.push_back({Resolution::Outcome::Found, std::move(list)});
    }
    set_.publish(snapshot);
  }

  // The ports of the targets, in order.
  std::vector<int> ports(std::string_view domain, Instant now = kStart) {
    TargetList list;
    last_outcome_ = set_.select(domain, Side::Access, false, now, list);
    std::vector<int> result;
    for (std::size_t i = 0; i < list.count; ++i) result.push_back(list.targets[i].remote.port);
    return result;
  }
  Target target(std::string_view endpoint, Transport transport = Transport::Udp) const {
    Target target;
    target.transport = transport;
    target.remote = *parse_endpoint(endpoint);
    target.next_hop = 0;
    return target;
  }
  bool up(std::string_view endpoint, Instant now) const {
    return set_.is_up(*parse_endpoint(endpoint), Transport::Udp, now);
  }

  Config config_;
  std::vector<ListenerInfo> listeners_;
  std::unique_ptr<Counters> counters_ = std::make_unique<Counters>();
  Log::Queue queue_{256};
  Log log_{0, LogLevel::Info, queue_, *counters_};
  Random random_{kSeed};
  NextHopSet set_{config_, listeners_, *counters_, log_, random_};
  Outcome last_outcome_ = Outcome::NoRoute;
};

using Ports = std::vector<int>;

TEST_F(NextHopSetTest, ADomainGoesToWhoNamesItElseToTheDefault) {
  configure({next_hop("a", {"one.example.org", "Two.example.org"}), next_hop("b")},
            {{resolved("198.51.100.1:1")}, {resolved("198.51.100.1:2")}});
  EXPECT_EQ(ports("one.example.org"), Ports{1});
  EXPECT_EQ(ports("TWO.EXAMPLE.ORG"), Ports{1});
  EXPECT_EQ(ports("three.example.org"), Ports{2});
  TargetList list;
  EXPECT_EQ(set_.select("three.example.org", Side::Access, true, kStart, list), Outcome::NoRoute);
  EXPECT_EQ(set_.select("one.example.org", Side::Access, true, kStart, list), Outcome::Found);
}

TEST_F(NextHopSetTest, WithoutADefaultOtherDomainsHaveNoRoute) {
  configure({next_hop("a", {"one.example.org"})}, {{resolved("198.51.100.1:1")}});
  EXPECT_EQ(ports("two.example.org"), Ports{});
  EXPECT_EQ(last_outcome_, Outcome::NoRoute);
}

TEST_F(NextHopSetTest, LowerPriorityComesFirstWhateverTheOrderOfTheFile) {
  configure(
      {next_hop("a", {}, 20), next_hop("b", {}, 10), next_hop("c", {}, 30)},
      {{resolved("198.51.100.1:1")}, {resolved("198.51.100.1:2")}, {resolved("198.51.100.1:3")}});
  for (int round = 0; round < 20; ++round) EXPECT_EQ(ports("x"), (Ports{2, 1, 3}));
}

TEST_F(NextHopSetTest, SharesOfEqualPriorityFollowTheWeight) {
  configure(
      {next_hop("a", {}, 0, 1), next_hop("b", {}, 0, 3), next_hop("c", {}, 0, 0)},
      {{resolved("198.51.100.1:1")}, {resolved("198.51.100.1:2")}, {resolved("198.51.100.1:3")}});
  std::map<int, int> first;
  for (int round = 0; round < 4'000; ++round) {
    const Ports order = ports("x");
    ASSERT_EQ(order.size(), 3u);
    ++first[order.front()];
    EXPECT_EQ(order.back(), 3) << "weight 0 comes last";
  }
  EXPECT_NEAR(first[1], 1'000, 120) << "seed " << kSeed;
  EXPECT_NEAR(first[2], 3'000, 120);
}

TEST_F(NextHopSetTest, Rfc2782_WeightsAreDrawnForEachRequest) {
  configure({next_hop("a")},
            {{resolved("198.51.100.1:1", 10, 60), resolved("198.51.100.1:2", 10, 30),
              resolved("198.51.100.1:3", 10, 10), resolved("198.51.100.1:4", 20, 1)}});
  std::map<Ports, int> orders;
  for (int round = 0; round < 10'000; ++round) {
    const Ports order = ports("x");
    ASSERT_EQ(order.size(), 4u);
    ASSERT_EQ(order.back(), 4) << "the other priority comes behind";
    ++orders[order];
  }
  // 60 of 100, then 30 of the 40 left.
  EXPECT_NEAR((orders[{1, 2, 3, 4}]), 4'500, 250) << "seed " << kSeed;
  EXPECT_NEAR((orders[{1, 3, 2, 4}]), 1'500, 200);
  EXPECT_NEAR((orders[{2, 1, 3, 4}]), 2'571, 200);
  EXPECT_NEAR((orders[{2, 3, 1, 4}]), 429, 120);
  EXPECT_NEAR((orders[{3, 1, 2, 4}]), 667, 120);
  EXPECT_NEAR((orders[{3, 2, 1, 4}]), 333, 100);
}

TEST_F(NextHopSetTest, EightPlacesAreTriedAtMost) {
  std::vector<ResolvedTarget> many;
  for (std::uint16_t i = 0; i < 40; ++i) {
    many.push_back(resolved("198.51.100.1:" + std::to_string(i + 1), i, 0));
  }
  configure({next_hop("a")}, {many});
  EXPECT_EQ(ports("x"), (Ports{1, 2, 3, 4, 5, 6, 7, 8}));
}

// Who answers probes is found by them when it is back; who never did is tried.
TEST_F(NextHopSetTest, OneThatAnsweredProbesAndIsSilentIsNotTriedButProbed) {
  configure({next_hop("a")}, {{resolved("198.51.100.1:1")}});
  const Target place = target("198.51.100.1:1");
  const auto miss = [&](Instant now) {
    for (int i = 0; i < 3; ++i) set_.probe_sent(place, now);
  };
  miss(kStart);
  EXPECT_EQ(ports("x"), Ports{1}) << "it may be one that answers no OPTIONS";
  EXPECT_EQ(set_.take_probe_wanted(kStart), NextHopSet::kNone);
  set_.probe_answered(place);
  miss(kStart);
  EXPECT_EQ(ports("x"), Ports{});
  EXPECT_EQ(last_outcome_, Outcome::AllDown);
  EXPECT_EQ(set_.take_probe_wanted(kStart), 0);
  EXPECT_EQ(ports("x"), Ports{});
  EXPECT_EQ(set_.take_probe_wanted(kStart), NextHopSet::kNone) << "once a second";
  ports("x", kStart + NextHopSet::kProbeAgain);
  EXPECT_EQ(set_.take_probe_wanted(kStart + NextHopSet::kProbeAgain), 0);
  TargetList list;
  EXPECT_EQ(set_.select_next_hop(0, kStart, list), Outcome::Found) << "what belongs to a dialog";
  set_.probe_refused(place);
  EXPECT_EQ(ports("x"), Ports{1}) << "a call is refused as quickly";
  miss(kStart);
  EXPECT_EQ(ports("x"), Ports{});
  set_.probe_answered(place);
  EXPECT_EQ(ports("x"), Ports{1});
}

TEST_F(NextHopSetTest, TheOutcomeSaysWhatIsMissing) {
  TargetList list;
  config_.next_hops = {next_hop("a")};
  EXPECT_EQ(set_.select("x", Side::Access, false, kStart, list), Outcome::NotResolved)
      << "nothing published yet";
  configure({next_hop("a")}, {{}});
  ports("x");
  EXPECT_EQ(last_outcome_, Outcome::NotResolved);
  configure({next_hop("a")}, {{resolved("198.51.100.1:1", 0, 0, Transport::Tls)}});
  ports("x");
  EXPECT_EQ(last_outcome_, Outcome::NoListener);
  configure({next_hop("a")}, {{resolved("[2001:db8::1]:1")}});
  ports("x");
  EXPECT_EQ(last_outcome_, Outcome::NoListener) << "no IPv6 socket";
  configure({next_hop("a")}, {{resolved("198.51.100.1:1")}});
  set_.hold_off(target("198.51.100.1:1"), kStart + 10s);
  ports("x");
  EXPECT_EQ(ports("x"), Ports{1}) << "the only one is used all the same";
  config_.next_hops[0].from = NextHopFrom::Network;
  ports("x");
  EXPECT_EQ(last_outcome_, Outcome::NotOpen);
}

TEST_F(NextHopSetTest, WhoAskedToBeLeftAloneComesAfterAllOthers) {  // RFC 3261 21.5.4
  configure({next_hop("a", {}, 1), next_hop("b", {}, 2)},
            {{resolved("198.51.100.1:1")}, {resolved("198.51.100.1:2")}});
  set_.hold_off(target("198.51.100.1:1"), kStart + 10s);
  EXPECT_EQ(ports("x"), Ports{2});
  for (int i = 0; i < 2; ++i) set_.failed(target("198.51.100.1:2"), kStart);
  EXPECT_EQ(ports("x"), Ports{2}) << "one that failed may be back";
  set_.hold_off(target("198.51.100.1:2"), kStart + 10s);
  EXPECT_EQ(ports("x"), (Ports{1, 2}));
  EXPECT_EQ(ports("x", kStart + 11s), Ports{1});
}

TEST_F(NextHopSetTest, ADomainOfATrunkIsClosedToTheAccessSide) {
  configure({next_hop("pbx"), next_hop("trunk", {"carrier.example"})},
            {{resolved("198.51.100.1:1")}, {resolved("198.51.100.1:2")}});
  config_.next_hops[1].from = NextHopFrom::Network;
  TargetList list;
  EXPECT_EQ(set_.select("carrier.example", Side::Access, false, kStart, list), Outcome::NotOpen);
  EXPECT_EQ(set_.select("carrier.example", Side::Network, true, kStart, list), Outcome::Found);
  EXPECT_FALSE(set_.is_open_to(1, Side::Access));
  EXPECT_TRUE(set_.is_open_to(1, Side::Network));
  EXPECT_TRUE(set_.is_open_to(0, Side::Access));
  EXPECT_FALSE(set_.is_open_to(NextHopSet::kNone, Side::Access));
}

TEST_F(NextHopSetTest, NextHopsThatServeOneDomainAreAGroup) {
  config_.next_hops = {next_hop("a"),
                       next_hop("b", {"x.example"}),
                       next_hop("c"),
                       next_hop("d", {"y.example"}),
                       next_hop("e", {"y.example", "X.example"}),
                       next_hop("f", {"z.example"})};
  const NextHopSet set(config_, listeners_, *counters_, log_, random_);
  EXPECT_EQ(set.group_of(0), set.group_of(2));
  EXPECT_EQ(set.group_of(1), set.group_of(4));
  EXPECT_EQ(set.group_of(3), set.group_of(4));
  EXPECT_NE(set.group_of(0), set.group_of(1));
  EXPECT_NE(set.group_of(5), set.group_of(1));
  EXPECT_NE(set.group_of(0), 0);
  EXPECT_EQ(set.group_of(NextHopSet::kNone), 0);
}

TEST_F(NextHopSetTest, FailoverPassesToTheNextPriority) {
  configure(
      {next_hop("a", {}, 1), next_hop("b", {}, 2)},
      {{resolved("198.51.100.1:1"), resolved("198.51.100.1:2", 5)}, {resolved("198.51.100.1:3")}});
  EXPECT_EQ(ports("x"), (Ports{1, 2, 3}));
  for (int i = 0; i < 2; ++i) set_.failed(target("198.51.100.1:1"), kStart);
  EXPECT_EQ(ports("x"), (Ports{2, 3}));
  for (int i = 0; i < 2; ++i) set_.failed(target("198.51.100.1:2"), kStart);
  EXPECT_EQ(ports("x"), Ports{3});
}

TEST_F(NextHopSetTest, WhereNoneIsHealthyThoseThatFailedAreTried) {
  configure(
      {next_hop("a", {}, 1), next_hop("b", {}, 2)},
      {{resolved("198.51.100.1:1"), resolved("198.51.100.1:2", 5)}, {resolved("198.51.100.1:3")}});
  for (const char* place : {"198.51.100.1:1", "198.51.100.1:2", "198.51.100.1:3"}) {
    for (int i = 0; i < 2; ++i) set_.failed(target(place), kStart);
  }
  EXPECT_EQ(ports("x"), (Ports{1, 2, 3}));
  set_.hold_off(target("198.51.100.1:1"), kStart + 10s);
  EXPECT_EQ(ports("x"), (Ports{2, 3})) << "Retry-After is honoured all the same";
  TargetList list;
  EXPECT_EQ(set_.select_next_hop(0, kStart, list), Outcome::Found);
  EXPECT_EQ(list.count, 1u);
}

TEST_F(NextHopSetTest, TwoFailuresInARowPutAnAddressAsideForAWhile) {
  configure({next_hop("a")}, {{resolved("198.51.100.1:1")}});
  set_.failed(target("198.51.100.1:1"), kStart);
  EXPECT_TRUE(up("198.51.100.1:1", kStart));
  set_.succeeded(target("198.51.100.1:1"));
  set_.failed(target("198.51.100.1:1"), kStart);
  EXPECT_TRUE(up("198.51.100.1:1", kStart)) << "success between them";
  set_.failed(target("198.51.100.1:1"), kStart);
  EXPECT_FALSE(up("198.51.100.1:1", kStart));
  EXPECT_TRUE(up("198.51.100.1:2", kStart)) << "another port";
  EXPECT_TRUE(set_.is_up(*parse_endpoint("198.51.100.1:1"), Transport::Tcp, kStart));
  EXPECT_FALSE(up("198.51.100.1:1", kStart + 29s));
  EXPECT_TRUE(up("198.51.100.1:1", kStart + 30s)) << "one more try";
  EXPECT_EQ(counters_->next_hop_down.value(), 1u);
  set_.succeeded(target("198.51.100.1:1"));
  EXPECT_TRUE(up("198.51.100.1:1", kStart));
  EXPECT_EQ(counters_->next_hop_down.value(), 0u);
}

TEST_F(NextHopSetTest, TheGaugeOfDownAddressesNeverDrifts) {
  configure({next_hop("a")}, {{resolved("198.51.100.1:1")}});
  const Target place = target("198.51.100.1:1");
  for (int i = 0; i < 10; ++i) set_.failed(place, kStart + i * 40s);
  EXPECT_EQ(counters_->next_hop_down.value(), 1u) << "one address, however often it was tried";
  set_.succeeded(place);
  EXPECT_EQ(counters_->next_hop_down.value(), 0u);
  set_.hold_off(place, kStart + 1000s);
  for (int i = 0; i < 3; ++i) set_.failed(place, kStart + 500s);
  EXPECT_EQ(counters_->next_hop_down.value(), 1u) << "held off and down";
  set_.succeeded(place);
  EXPECT_EQ(counters_->next_hop_down.value(), 0u);
}

TEST_F(NextHopSetTest, HealthIsBoundedAndTheGaugeWithIt) {
  configure({next_hop("a")}, {{resolved("198.51.100.1:1")}});
  for (int port = 1; port <= 1'000; ++port) {
    for (int i = 0; i < 2; ++i) set_.failed(target("198.51.100.1:" + std::to_string(port)), kStart);
  }
  EXPECT_LE(counters_->next_hop_down.value(), 256u);
  EXPECT_FALSE(up("198.51.100.1:1000", kStart)) << "the newest are known";
}

TEST_F(NextHopSetTest, HoldOffEndsWhenRetryAfterSays) {
  configure({next_hop("a")}, {{resolved("198.51.100.1:1")}});
  set_.hold_off(target("198.51.100.1:1"), kStart + 10s);
  set_.hold_off(target("198.51.100.1:1"), kStart + 5s);
  EXPECT_FALSE(up("198.51.100.1:1", kStart + 9s)) << "a shorter one does not shorten it";
  EXPECT_TRUE(up("198.51.100.1:1", kStart + 10s));
}

TEST_F(NextHopSetTest, ProbesWithoutAnswerCountAsFailures) {
  configure({next_hop("a")}, {{resolved("198.51.100.1:1")}});
  const Target place = target("198.51.100.1:1");
  set_.probe_sent(place, kStart);
  set_.probe_sent(place, kStart + 10s);
  EXPECT_TRUE(up("198.51.100.1:1", kStart + 10s));
  set_.probe_sent(place, kStart + 20s);
  EXPECT_FALSE(up("198.51.100.1:1", kStart + 20s));
  set_.succeeded(place);
  EXPECT_TRUE(up("198.51.100.1:1", kStart + 20s));
  set_.probe_sent(place, kStart + 30s);
  set_.succeeded(place);
  set_.probe_sent(place, kStart + 40s);
  EXPECT_TRUE(up("198.51.100.1:1", kStart + 40s));
}

TEST_F(NextHopSetTest, FailuresTowardsUserAgentsAndStrangersCountForNobody) {
  configure({next_hop("a")}, {{resolved("198.51.100.1:1")}});
  Target access = target("198.51.100.1:1"), stranger = access;
  access.to_access = true;
  stranger.next_hop = NextHopSet::kNone;
  for (int i = 0; i < 5; ++i) {
    set_.failed(access, kStart);
    set_.failed(stranger, kStart);
  }
  EXPECT_TRUE(up("198.51.100.1:1", kStart));
}

TEST_F(NextHopSetTest, Rfc3261_18_1_1_RefusedTcpIsRememberedForAWhile) {
  const Endpoint place = *parse_endpoint("198.51.100.1:5060");
  EXPECT_FALSE(set_.is_tcp_refused(place, kStart));
  set_.tcp_refused(place, kStart);
  EXPECT_TRUE(set_.is_tcp_refused(place, kStart + 299s));
  EXPECT_FALSE(set_.is_tcp_refused(place, kStart + 300s));
  EXPECT_FALSE(set_.is_tcp_refused(*parse_endpoint("198.51.100.2:5060"), kStart));
  // Asked again shortly before that ends, and known to work as soon as it answers.
  EXPECT_FALSE(set_.wants_tcp_probe(place, 30s, kStart + 239s));
  EXPECT_TRUE(set_.wants_tcp_probe(place, 30s, kStart + 240s));
  EXPECT_FALSE(set_.wants_tcp_probe(place, 30s, kStart + 300s));
  set_.tcp_works(place);
  EXPECT_FALSE(set_.is_tcp_refused(place, kStart + 1s));
  EXPECT_TRUE(set_.is_up(place, Transport::Udp, kStart));
}

TEST_F(NextHopSetTest, TheListenerIsTheWantedElseTheNetworkSideElseAny) {
  configure({next_hop("a"), next_hop("b")}, {{}, {}});
  config_.next_hops[1].send_from = "udp-3";
  EXPECT_EQ(set_.listener_for(Transport::Udp, Family::V4, 0), 1u);
  EXPECT_EQ(set_.listener_for(Transport::Udp, Family::V4, 1), 2u);
  EXPECT_EQ(set_.listener_for(Transport::Udp, Family::V4, NextHopSet::kNone), 1u);
  EXPECT_EQ(set_.listener_for(Transport::Tcp, Family::V4, 0), 3u) << "an access listener will do";
  EXPECT_EQ(set_.listener_for(Transport::Tcp, Family::V4, 1), kNoListener)
      << "never another than the one asked for";
  EXPECT_EQ(set_.listener_for(Transport::Udp, Family::V6, 0), kNoListener);
  // The TCP twin of a UDP listener goes by its name.
  listeners_.push_back(listener("udp-3-tcp", Transport::Tcp, Side::Network, "192.0.2.1:5070"));
  listeners_.back().config.twin_of = "udp-3";
  EXPECT_EQ(set_.listener_for(Transport::Tcp, Family::V4, 1), 4u);
}

TEST_F(NextHopSetTest, KnowsItsPeersByAddressAndByUri) {
  configure({next_hop("pbx.example.org"), next_hop("sbc.example.org")},
            {{resolved("198.51.100.1:5060")}, {resolved("198.51.100.2:5080")}});
  config_.next_hops[1].port = 5080;
  EXPECT_TRUE(set_.is_next_hop(*parse_endpoint("198.51.100.2:5080")));
  EXPECT_FALSE(set_.is_next_hop(*parse_endpoint("198.51.100.2:5060")));
  EXPECT_EQ(set_.next_hop_of(*parse_endpoint("198.51.100.2:40000")), 1u);
  EXPECT_EQ(set_.next_hop_of(*parse_endpoint("198.51.100.3:5060")), NextHopSet::kNone);
  const auto by_uri = [&](std::string_view text) {
    return set_.find_by_uri(*sip::parse_uri(text));
  };
  EXPECT_EQ(by_uri("sip:x@PBX.example.org"), 0u);
  EXPECT_EQ(by_uri("sip:pbx.example.org:5060"), 0u);
  EXPECT_EQ(by_uri("sip:pbx.example.org:5070"), NextHopSet::kNone);
  EXPECT_EQ(by_uri("sip:sbc.example.org:5080"), 1u);
  EXPECT_EQ(by_uri("sip:sbc.example.org"), NextHopSet::kNone);
}

TEST_F(NextHopSetTest, ProbesGoToEveryAddressHealthyOrNot) {
  configure({next_hop("a")}, {{resolved("198.51.100.1:1"), resolved("198.51.100.1:2"),
                               resolved("[2001:db8::1]:3")}});
  for (int i = 0; i < 2; ++i) set_.failed(target("198.51.100.1:1"), kStart);
  TargetList list;
  set_.select_for_probe(0, list);
  ASSERT_EQ(list.count, 2u) << "only where a listener reaches";
  EXPECT_EQ(list.targets[0].remote.port, 1);
  EXPECT_EQ(list.targets[1].remote.port, 2);
}

}  // namespace
}  // namespace ringway
