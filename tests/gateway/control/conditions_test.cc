#include "gateway/control/conditions.h"

#include <gtest/gtest.h>

namespace ringway {
namespace {

constexpr std::int64_t kDay = 86'400;
constexpr std::int64_t kNow = 1'800'000'000;

CertificateEnd end_in(std::int64_t seconds, bool is_list = false) {
  return {is_list ? "list.crl" : "cert.pem", "CN=a", "listener wss", kNow + seconds, is_list};
}

Condition certificates(const std::vector<CertificateEnd>& ends) {
  const Config config{};
  const std::vector<Resolution> next_hops;
  return judge({config, {}, next_hops, ends, kNow})[2];
}

TEST(EndReminders, TellEachOnceAt21And7And1DaysAndAtTheEnd) {
  EndReminders reminders;
  const std::vector<CertificateEnd> ends{end_in(22 * kDay)};
  std::vector<std::int64_t> told;
  for (std::int64_t hour = 0; hour < 24 * 24; ++hour) {
    if (!reminders.due(ends, kNow + hour * 3'600).empty()) told.push_back(hour);
  }
  EXPECT_EQ(told, (std::vector<std::int64_t>{24, 15 * 24, 21 * 24, 22 * 24}));
}

TEST(EndReminders, ANewFileBeginsAnewAndOneThatIsLateIsToldOnce) {
  EndReminders reminders;
  std::vector<CertificateEnd> ends{end_in(3 * kDay)};
  EXPECT_EQ(reminders.due(ends, kNow).size(), 1U);
  EXPECT_TRUE(reminders.due(ends, kNow).empty());
  ends[0].not_after += 90 * kDay;
  EXPECT_TRUE(reminders.due(ends, kNow).empty());
  ends[0].not_after -= 73 * kDay;  // 20 days
  EXPECT_EQ(reminders.due(ends, kNow).size(), 1U);
  ends.push_back(end_in(kDay / 2, true));
  const auto due = reminders.due(ends, kNow);
  ASSERT_EQ(due.size(), 1U);
  EXPECT_TRUE(due[0]->is_list);
}

TEST(Conditions, CertificatesDegradeBelow21DaysListsBelow3AndWhatHasEndedFails) {
  using State = Condition::State;
  EXPECT_EQ(certificates({}).state, State::Ok);
  EXPECT_EQ(certificates({end_in(22 * kDay)}).state, State::Ok);
  EXPECT_EQ(certificates({end_in(20 * kDay)}).state, State::Degraded);
  EXPECT_EQ(certificates({end_in(-1)}).state, State::Failed);
  EXPECT_EQ(certificates({end_in(22 * kDay), end_in(5 * kDay, true)}).state, State::Ok);
  EXPECT_EQ(certificates({end_in(22 * kDay), end_in(2 * kDay, true)}).state, State::Degraded);
  const Condition both = certificates({end_in(20 * kDay), end_in(-1, true)});
  EXPECT_EQ(both.state, State::Failed);
  EXPECT_NE(both.reason.find("list.crl"), both.reason.npos) << both.reason;
  EXPECT_NE(both.reason.find("cert.pem"), both.reason.npos) << both.reason;
}

TEST(Conditions, NextHopsAreNotJudgedWhereTheAddressIsElsewhere) {
  Config config;
  config.next_hops.resize(1);
  config.next_hops[0].name = "pbx";
  const std::vector<Resolution> none(1);
  EXPECT_EQ(judge({config, {}, none, {}, kNow})[0].state, Condition::State::Failed);
  const Condition standby = judge({config, {}, none, {}, kNow, "192.0.2.10"})[0];
  EXPECT_EQ(standby.state, Condition::State::Ok);
  EXPECT_NE(standby.reason.find("192.0.2.10"), standby.reason.npos);
}

TEST(Conditions, SilentNextHopsAndThoseWithoutAnAddressAreToldApart) {
  Config config;
  config.next_hops.resize(2);
  config.next_hops[0].name = "pbx";
  config.next_hops[1].name = "trunk";
  std::vector<Resolution> next_hops(2);
  next_hops[0].targets.resize(1);
  Counters shard;
  shard.next_hop_down.add(1);
  const Counters* const shards[] = {&shard};
  const Condition condition = judge({config, shards, next_hops, {}, kNow})[0];
  EXPECT_EQ(condition.state, Condition::State::Failed);
  EXPECT_NE(condition.reason.find("pbx is silent"), condition.reason.npos) << condition.reason;
  EXPECT_NE(condition.reason.find("no address for trunk"), condition.reason.npos);
}

TEST(Conditions, WithoutAnyRelayEachIsNamedAndWhatToLookFor) {
  Config config;
  config.media.relays.resize(2);
  const std::vector<Resolution> next_hops;
  Counters shard;
  const Counters* const shards[] = {&shard};
  Condition condition = judge({config, shards, next_hops, {}, kNow})[1];
  EXPECT_EQ(condition.state, Condition::State::Failed);
  EXPECT_NE(condition.reason.find("is rtpengine running"), condition.reason.npos);
  shard.relay_up[0].add(1);
  condition = judge({config, shards, next_hops, {}, kNow})[1];
  EXPECT_EQ(condition.state, Condition::State::Degraded);
  EXPECT_EQ(condition.reason.find("is rtpengine running"), condition.reason.npos);
}

TEST(Conditions, AClockBefore2026Fails) {
  const Config config{};
  const std::vector<Resolution> next_hops;
  EXPECT_EQ(judge({config, {}, next_hops, {}, 1'700'000'000})[4].state, Condition::State::Failed);
  EXPECT_EQ(judge({config, {}, next_hops, {}, kNow})[4].state, Condition::State::Ok);
}

}  // namespace
}  // namespace ringway
