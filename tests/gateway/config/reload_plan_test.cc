#include "gateway/config/reload_plan.h"

#include "gateway/config/tcp_twins.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace ringway {
namespace {

NextHopConfig next_hop(const std::string& name, const std::string& host) {
  NextHopConfig config;
  config.name = name;
  config.host = host;
  return config;
}

Config running() {
  Config config;
  ListenConfig listen;
  listen.name = "browsers";
  config.listen = {listen};
  config.next_hops = {next_hop("a", "192.0.2.1"), next_hop("b", "192.0.2.2")};
  return config;
}

bool names(const std::vector<std::string>& lines, std::string_view start) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return line.starts_with(start); });
}

TEST(ReloadPlan, NothingDiffers) {
  const ReloadPlan plan = plan_reload(running(), running());
  EXPECT_TRUE(plan.applied.empty());
  EXPECT_TRUE(plan.restart.empty());
  EXPECT_EQ(plan.next, running());
}

TEST(ReloadPlan, NextHopsKeepTheirPlaces) {
  Config wanted = running();
  wanted.next_hops = {next_hop("c", "192.0.2.3"), next_hop("b", "192.0.2.22")};
  const ReloadPlan plan = plan_reload(running(), wanted);
  ASSERT_EQ(plan.next.next_hops.size(), 3u);
  EXPECT_TRUE(plan.next.next_hops[0].removed);
  EXPECT_EQ(plan.next.next_hops[1].host, "192.0.2.22");
  EXPECT_EQ(plan.next.next_hops[2].name, "c");
  EXPECT_TRUE(names(plan.applied, "next_hop a: removed"));
  EXPECT_TRUE(names(plan.applied, "next_hop b: changed"));
  EXPECT_TRUE(names(plan.applied, "next_hop c: added"));
  EXPECT_TRUE(plan.restart.empty());

  // What comes back finds its place again.
  const ReloadPlan back = plan_reload(plan.next, running());
  ASSERT_EQ(back.next.next_hops.size(), 3u);
  EXPECT_FALSE(back.next.next_hops[0].removed);
  EXPECT_TRUE(back.next.next_hops[2].removed);
}

TEST(ReloadPlan, ANewNameForTheSameAddressIsTheSameNextHop) {
  Config wanted = running();
  wanted.next_hops[0].name = "first";
  const ReloadPlan plan = plan_reload(running(), wanted);
  ASSERT_EQ(plan.next.next_hops.size(), 2u);
  EXPECT_EQ(plan.next.next_hops[0].name, "first");
  EXPECT_FALSE(plan.next.next_hops[0].removed);
}

TEST(ReloadPlan, WhatHasItsSizeForLifeIsKeptAndNamed) {
  Config wanted = running();
  wanted.shards = 3;
  wanted.limits.flows = 7;
  wanted.limits.flows_per_source = 5;
  wanted.timers.grace = 3s;
  wanted.admin.enabled = true;
  const ReloadPlan plan = plan_reload(running(), wanted);
  EXPECT_EQ(plan.next.shards, 0);
  EXPECT_EQ(plan.next.limits.flows, running().limits.flows);
  EXPECT_EQ(plan.next.limits.flows_per_source, 5u);
  EXPECT_EQ(plan.next.timers.grace, 3s);
  EXPECT_TRUE(names(plan.restart, "shards: stays 0 until a restart, then 3"));
  EXPECT_TRUE(names(plan.restart, "limits.flows: "));
  EXPECT_TRUE(names(plan.restart, "admin.enabled: "));
  EXPECT_EQ(plan.restart.size(), 3u);
  EXPECT_TRUE(names(plan.applied, "timers: "));
  EXPECT_TRUE(names(plan.applied, "limits: "));
}

TEST(ReloadPlan, AListenerKeepsItsPlaceAndTakesTheRest) {
  Config before = running();
  before.listen[0].transport = Transport::Wss;
  Config wanted = before;
  wanted.listen[0].origins = {"https://phone.test"};
  ReloadPlan plan = plan_reload(before, wanted);
  EXPECT_EQ(plan.next.listen[0].origins, wanted.listen[0].origins);
  EXPECT_TRUE(names(plan.applied, "listen browsers: changed"));
}

ListenConfig listener(const std::string& name, Transport transport, const char* address) {
  ListenConfig config;
  config.name = name;
  config.transport = transport;
  config.address = *parse_endpoint(address);
  return config;
}

Config with(std::vector<ListenConfig> listeners) {
  Config config = running();
  config.listen = std::move(listeners);
  add_tcp_twins(config);
  return config;
}

TEST(ReloadPlan, NewListenersComeBehindAllOthersWithTheirTwins) {
  const Config before = with({listener("a", Transport::Udp, "192.0.2.1:5060")});
  const Config wanted = with({listener("b", Transport::Udp, "192.0.2.1:5070"),
                              listener("a", Transport::Udp, "192.0.2.1:5060")});
  const ReloadPlan plan = plan_reload(before, wanted);
  ASSERT_EQ(plan.next.listen.size(), 4u);
  EXPECT_EQ(plan.next.listen[0].name, "a");
  EXPECT_EQ(plan.next.listen[1].name, "a-tcp");
  EXPECT_EQ(plan.next.listen[2].name, "b");
  EXPECT_EQ(plan.next.listen[3].twin_of, "b");
  EXPECT_EQ(plan.applied, std::vector<std::string>{"listen b: added, udp 192.0.2.1:5070"});
  EXPECT_TRUE(plan.restart.empty());
}

TEST(ReloadPlan, ARemovedListenerLeavesItsPlaceAndFindsItAgain) {
  const ListenConfig a = listener("a", Transport::Udp, "192.0.2.1:5060");
  const ListenConfig b = listener("b", Transport::Tcp, "192.0.2.1:5070");
  const ReloadPlan plan = plan_reload(with({a, b}), with({b}));
  ASSERT_EQ(plan.next.listen.size(), 3u);
  EXPECT_TRUE(plan.next.listen[0].removed);
  EXPECT_FALSE(plan.next.listen[1].removed);
  EXPECT_TRUE(plan.next.listen[2].removed);
  EXPECT_EQ(plan.applied, std::vector<std::string>{"listen a: removed"});
  const ReloadPlan back = plan_reload(plan.next, with({b, a}));
  EXPECT_EQ(back.next.listen, with({a, b}).listen);
}

TEST(ReloadPlan, AnotherAddressOrOtherNamesAreAnotherPlace) {
  const ListenConfig a = listener("a", Transport::Tcp, "192.0.2.1:5060");
  for (const auto change : {+[](ListenConfig& one) { one.address.port = 5070; },
                            +[](ListenConfig& one) { one.advertise_host = "edge.test"; },
                            +[](ListenConfig& one) { one.side = Side::Network; },
                            +[](ListenConfig& one) { one.transport = Transport::Ws; }}) {
    ListenConfig changed = a;
    change(changed);
    const ReloadPlan plan = plan_reload(with({a}), with({changed}));
    ASSERT_EQ(plan.next.listen.size(), 2u);
    EXPECT_TRUE(plan.next.listen[0].removed);
    EXPECT_EQ(plan.next.listen[1], changed);
    ASSERT_EQ(plan.applied.size(), 1u);
    EXPECT_TRUE(names(plan.applied, "listen a: changed") || names(plan.applied, "listen a: moved"));
    // And back: no place is used up.
    EXPECT_EQ(plan_reload(plan.next, with({a})).next.listen.size(), 2u);
  }
}

TEST(ReloadPlan, ANewNameForAListenerIsNoNewListener) {
  const ReloadPlan plan = plan_reload(with({listener("a", Transport::Udp, "192.0.2.1:5060")}),
                                      with({listener("b", Transport::Udp, "192.0.2.1:5060")}));
  EXPECT_EQ(plan.next.listen, with({listener("b", Transport::Udp, "192.0.2.1:5060")}).listen);
  EXPECT_EQ(plan.applied, std::vector<std::string>{"listen a: is b now"});
}

TEST(ReloadPlan, TwoListenersThatSwapTheirAddressesAreTwoNewNames) {
  const Config before = with({listener("a", Transport::Tcp, "192.0.2.1:5060"),
                              listener("b", Transport::Tcp, "192.0.2.1:5070")});
  const Config after = with({listener("b", Transport::Tcp, "192.0.2.1:5060"),
                             listener("a", Transport::Tcp, "192.0.2.1:5070")});
  const ReloadPlan plan = plan_reload(before, after);
  EXPECT_EQ(plan.next.listen, after.listen);
}

TEST(ReloadPlan, ATcpListenerOfItsOwnTakesTheTwinsPlace) {
  const ListenConfig udp = listener("a", Transport::Udp, "192.0.2.1:5060");
  ListenConfig alone = udp;
  alone.tcp_twin = false;
  ListenConfig tcp = listener("t", Transport::Tcp, "192.0.2.1:5060");
  const ReloadPlan plan = plan_reload(with({udp}), with({alone, tcp}));
  EXPECT_EQ(plan.next.listen, with({alone, tcp}).listen);
  EXPECT_TRUE(names(plan.applied, "listen t: added"));
}

TEST(ReloadPlan, WhenAllPlacesWereUsedAListenerWaitsForARestart) {
  Config config = with({listener("a", Transport::Tcp, "192.0.2.1:1")});
  for (unsigned port = 2; port <= kListenerPlacesMax; ++port) {
    const std::string address = "192.0.2.1:" + std::to_string(port);
    config = plan_reload(config, with({listener("a", Transport::Tcp, address.c_str())})).next;
  }
  ASSERT_EQ(config.listen.size(), kListenerPlacesMax);
  const Config wanted = with({listener("a", Transport::Tcp, "192.0.2.1:999"),
                              listener("b", Transport::Tcp, "192.0.2.1:998")});
  const ReloadPlan plan = plan_reload(config, wanted);
  EXPECT_EQ(plan.next.listen, config.listen) << "the old address stays in force";
  ASSERT_EQ(plan.restart.size(), 2u);
  EXPECT_TRUE(names(plan.restart, "listen a: changes after a restart, all 240 places"));
  EXPECT_TRUE(names(plan.restart, "listen b: listens after a restart, all 240 places"));
}

}  // namespace
}  // namespace ringway
