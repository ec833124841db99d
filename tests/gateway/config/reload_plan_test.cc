#include "gateway/config/reload_plan.h"

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

}  // namespace
}  // namespace ringway
