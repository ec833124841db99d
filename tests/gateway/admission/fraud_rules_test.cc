#include "gateway/admission/fraud_rules.h"

#include <gtest/gtest.h>

#include <thread>

#include "gateway/admission/call_caps.h"
#include "gateway/admission/called_number.h"

namespace ringway {
namespace {

using Outcome = CallCaps::Outcome;

TEST(CalledNumber, IsTheSameHoweverItIsWritten) {
  for (const char* user : {"+4930123", "004930123", "+49-30-123", "+49 (30) 123", "%2B4930123",
                           "%2b49.30.123", "+4930123;phone-context=x", "0049(30)123",
                           "%30%304930123", "+4930123:secret", "++4930123", "+004930123",
                           "00004930123", "00+4930123", "+49x30_123/", "+4930123%00&"}) {
    EXPECT_EQ(CalledNumber(user).text(), "+4930123") << user;
  }
  EXPECT_EQ(CalledNumber("0190123").text(), "0190123");
  EXPECT_EQ(CalledNumber("*31#123").text(), "*31#123");
  for (const char* user : {"", "bob", "12a", "1+2", "x+1", "%zz", "%41"}) {
    EXPECT_EQ(CalledNumber(user).text(), "") << user;
  }
  EXPECT_EQ(CalledNumber(std::string(500, '1')).text().size(), CalledNumber::kDigitsMax);
}

TEST(CalledNumber, ItsPhoneContextMakesItGlobal) {
  for (const char* user : {"1612345;phone-context=+882", "161-2345;ext=1;Phone-Context=%2B88-2;x",
                           "1612345;phone-context=00882"}) {
    EXPECT_EQ(CalledNumber::with_context(user).text(), "+8821612345") << user;
  }
  for (const char* user : {"1612345", "1612345;phone-context=example.test", "+49301;phone-context=+1",
                           "bob;phone-context=+1", "1;xphone-context=+1", "", ";", ";phone-context="}) {
    EXPECT_EQ(CalledNumber::with_context(user).text(), "") << user;
  }
}

// A PBX takes off what stands in front of it, a trunk's access code mostly.
TEST(CalledNumber, AnInternationalOneMayStandInTheMiddle) {
  for (const char* user : {"0+882123", "x+882-123", "%00+882123", "++882123", "0%2B882123;a=b",
                           "9+1+882123"}) {
    EXPECT_EQ(CalledNumber::behind_plus(user).text(), "+882123") << user;
  }
  for (const char* user : {"+882123", "882123", "bob+", "bob+tag", "", "1;phone-context=+882", "+"}) {
    EXPECT_EQ(CalledNumber::behind_plus(user).text(), "") << user;
  }
}

FraudConfig rule(std::string name, std::vector<std::string> prefixes) {
  FraudConfig made;
  made.name = std::move(name);
  made.prefixes = std::move(prefixes);
  made.deny = true;
  return made;
}

std::string found(const FraudRules& rules, std::string_view number, std::string_view account = "",
                  const char* source = "192.0.2.1", Duration utc = 0s) {
  const auto match = rules.find(CalledNumber(number).text(), *parse_address(source), utc,
                                [&](const std::string& aor) { return aor == account; });
  return match ? rules.rule(static_cast<std::size_t>(match.rule)).name : "";
}

FraudRules build(const std::vector<FraudConfig>& configs, Duration offset = 0s) {
  auto built = FraudRules::build(configs, std::vector<std::string>(configs.size()), offset);
  EXPECT_TRUE(built) << built.error();
  return built ? *built : FraudRules();
}

TEST(FraudRules, TheLongestPrefixDecides) {
  const FraudRules rules =
      build({rule("all", {}), rule("de", {"+49"}), rule("premium", {"+49900", "0900"})});
  EXPECT_EQ(found(rules, "+4930123"), "de");
  EXPECT_EQ(found(rules, "004990012"), "premium");
  EXPECT_EQ(found(rules, "0900-1"), "premium");
  EXPECT_EQ(found(rules, "+1555"), "all");
  EXPECT_EQ(found(rules, "bob"), "all");
  EXPECT_EQ(found(rules, "+4990"), "de") << "shorter than the prefix";
  EXPECT_EQ(found(FraudRules(), "+49"), "");
}

TEST(FraudRules, ThoseForNobodyHereAreSkipped) {
  FraudConfig account = rule("account", {"+49"}), source = rule("source", {"+4"});
  account.accounts = {"sip:bob@x"};
  source.sources = {"198.51.100.0/24"};
  const FraudRules rules = build({account, source});
  EXPECT_EQ(found(rules, "+491", "sip:bob@x"), "account");
  EXPECT_EQ(found(rules, "+491", "sip:eve@x"), "");
  EXPECT_EQ(found(rules, "+491", "sip:eve@x", "198.51.100.9"), "source");
}

TEST(FraudRules, HoursAndDaysAreThoseOfThePlace) {
  FraudConfig night = rule("night", {});
  night.from = "18:00";
  night.to = "08:00";
  night.days = {"Sat", "sun"};
  const FraudRules rules = build({night}, std::chrono::hours(2));
  const Duration thursday = 0s;  // 1970-01-01, 00:00 UTC: 02:00 here
  const auto at = [&](int hours) {
    return found(rules, "1", "", "192.0.2.1", thursday + std::chrono::hours(hours));
  };
  EXPECT_EQ(at(0), "night");
  EXPECT_EQ(at(5), "night");  // 07:00
  EXPECT_EQ(at(6), "");       // 08:00
  EXPECT_EQ(at(15), "");
  EXPECT_EQ(at(16), "night");           // 18:00
  EXPECT_EQ(at(24 * 2 + 10), "night");  // Saturday, 12:00
  EXPECT_EQ(at(24 * 3 + 10), "night");  // Sunday
  EXPECT_EQ(at(24 * 4 + 10), "");       // Monday
}

TEST(FraudRules, MistakesAreNamed) {
  const auto refused = [](const FraudConfig& one, const std::string& file = "") {
    const auto built = FraudRules::build({one}, {file}, 0s);
    return built ? std::string() : built.error();
  };
  EXPECT_NE(refused(rule("r", {"abc"})).find("begins no number"), std::string::npos);
  FraudConfig one = rule("r", {});
  one.from = "25:00";
  EXPECT_NE(refused(one).find("time of day"), std::string::npos);
  one.from = {};
  one.days = {"Funday"};
  EXPECT_NE(refused(one).find("no day"), std::string::npos);
  one = rule("r", {});
  one.prefix_file = "list";
  EXPECT_NE(refused(one, "+1\n+2 two\nthree\n").find("list:3"), std::string::npos);
  EXPECT_EQ(refused(one, "# all\n+1\n\n+2 two # x\n"), "");
}

constexpr CallCaps::Time kTime{100, 5};

TEST(CallCaps, CallsAtOneTime) {
  CallCaps caps;
  for (int i = 0; i < 2; ++i) EXPECT_EQ(caps.begin(7, {.calls = 2}, kTime), Outcome::Counted);
  EXPECT_EQ(caps.begin(7, {.calls = 2}, kTime), Outcome::Calls);
  EXPECT_EQ(caps.begin(8, {.calls = 2}, kTime), Outcome::Counted) << "another account";
  caps.end(7);
  EXPECT_EQ(caps.begin(7, {.calls = 2}, kTime), Outcome::Counted);
}

TEST(CallCaps, CallsAMinute) {
  CallCaps caps;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(caps.begin(7, {.calls_a_minute = 3}, kTime), Outcome::Counted);
    caps.end(7);
  }
  EXPECT_EQ(caps.begin(7, {.calls_a_minute = 3}, kTime), Outcome::CallsAMinute);
  EXPECT_EQ(caps.begin(7, {.calls_a_minute = 3}, {101, 5}), Outcome::Counted);
}

TEST(CallCaps, MinutesADay) {
  CallCaps caps;
  const CallCaps::Limits limits{.seconds_a_day = 60};
  EXPECT_EQ(caps.begin(7, limits, kTime), Outcome::Counted);
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(caps.use(7, 10, limits, kTime));
  EXPECT_FALSE(caps.use(7, 10, limits, kTime));
  EXPECT_EQ(caps.begin(7, limits, kTime), Outcome::MinutesADay);
  caps.give_back(7, 10, kTime);
  EXPECT_EQ(caps.begin(7, limits, kTime), Outcome::Counted);
  EXPECT_TRUE(caps.use(7, 60, limits, {2'000, 6})) << "the next day";
}

TEST(CallCaps, AFullPlaceIsRefusedAndYesterdaysMakeRoom) {
  CallCaps caps;
  const std::uint64_t step = CallCaps::kPlaces / 8;  // keys of one set
  for (std::uint64_t i = 1; i <= 8; ++i) {
    EXPECT_EQ(caps.begin(i * step, {.calls_a_minute = 3}, kTime), Outcome::Counted);
    if (i != 1) caps.end(i * step);
  }
  EXPECT_EQ(caps.begin(9 * step, {.calls = 3}, kTime), Outcome::NoRoom);
  EXPECT_EQ(caps.begin(9 * step, {.calls = 1}, {2'000, 6}), Outcome::Counted);
  EXPECT_EQ(caps.begin(step, {.calls = 1}, {2'000, 6}), Outcome::Calls) << "its call goes on";
}

TEST(CallCaps, AreExactHoweverManyThreadsCount) {
  CallCaps caps;
  std::atomic<int> counted{0};
  std::vector<std::thread> shards;
  for (int i = 0; i < 4; ++i) {
    shards.emplace_back([&] {
      for (int n = 0; n < 5'000; ++n) {
        counted += caps.begin(7, {.calls = 100, .calls_a_minute = 60}, kTime) == Outcome::Counted;
      }
    });
  }
  for (std::thread& shard : shards) shard.join();
  EXPECT_EQ(counted, 60);
}

}  // namespace
}  // namespace ringway
