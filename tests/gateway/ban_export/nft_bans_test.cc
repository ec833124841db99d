#include "gateway/ban_export/nft_bans.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace ringway::ban_export {
namespace {

constexpr Instant kNow = Instant(1'000s);

std::string joined(const std::vector<std::string>& commands) {
  std::string text;
  for (const std::string& command : commands) text += command;
  return text;
}

std::size_t count(const std::string& text, std::string_view part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(NftBans, ABanOfEverythingIsInBothSetsAndOneOfDatagramsInOne) {
  NftBans bans("t");
  const std::string text =
      joined(bans.update({{"192.0.2.7", false, 60}, {"192.0.2.8", true, 90}}, kNow));
  EXPECT_EQ(count(text, "add element inet t tcp4 { 192.0.2.7 timeout 60s }"), 1u) << text;
  EXPECT_EQ(count(text, "add element inet t udp4 { 192.0.2.7 timeout 60s }"), 1u) << text;
  EXPECT_EQ(count(text, "add element inet t udp4 { 192.0.2.8 timeout 90s }"), 1u) << text;
  EXPECT_EQ(count(text, "192.0.2.8"), 1u) << text;
}

TEST(NftBans, AnIpv6PrefixIsItsFirstAddress) {
  NftBans bans("t");
  const std::string text = joined(bans.update({{"2001:db8:1:2::/64", false, 60}}, kNow));
  EXPECT_EQ(count(text, "tcp6 { 2001:db8:1:2:: timeout 60s }"), 1u) << text;
  EXPECT_EQ(count(text, "udp6 { 2001:db8:1:2:: timeout 60s }"), 1u) << text;
}

TEST(NftBans, WhatStandsIsNotSaidAgain) {
  NftBans bans("t");
  bans.update({{"192.0.2.7", false, 60}}, kNow);
  EXPECT_TRUE(bans.update({{"192.0.2.7", false, 50}}, kNow + 10s).empty());
  EXPECT_TRUE(bans.update({{"192.0.2.7", false, 48}}, kNow + 10s).empty());
}

TEST(NftBans, ABanThatLastsLongerIsReplacedInOneTransaction) {
  NftBans bans("t");
  bans.update({{"192.0.2.7", false, 60}}, kNow);
  const auto commands = bans.update({{"192.0.2.7", false, 3'600}}, kNow + 10s);
  ASSERT_EQ(commands.size(), 1u);
  const std::size_t gone = commands[0].find("delete element inet t tcp4 { 192.0.2.7 }");
  const std::size_t back = commands[0].find("add element inet t tcp4 { 192.0.2.7 timeout 3600s }");
  ASSERT_NE(gone, std::string::npos) << commands[0];
  ASSERT_NE(back, std::string::npos) << commands[0];
  EXPECT_LT(gone, back);
}

TEST(NftBans, OneThatBecomesABanOfEverythingOrOfDatagramsMoves) {
  NftBans bans("t");
  bans.update({{"192.0.2.7", true, 60}}, kNow);
  const std::string all = joined(bans.update({{"192.0.2.7", false, 60}}, kNow));
  EXPECT_EQ(count(all, "add element inet t tcp4 { 192.0.2.7 timeout 60s }"), 1u) << all;
  EXPECT_EQ(count(all, "delete element inet t tcp4"), 0u) << all;
  const std::string less = joined(bans.update({{"192.0.2.7", true, 60}}, kNow));
  EXPECT_EQ(count(less, "delete element inet t tcp4 { 192.0.2.7 }"), 1u) << less;
  EXPECT_EQ(count(less, "tcp4 { 192.0.2.7 timeout 60s }"), 0u) << less;
}

TEST(NftBans, OneThatIsLiftedGoesAndOneThatIsOverIsLeftToItsTimeOut) {
  NftBans bans("t");
  bans.update({{"192.0.2.7", false, 60}, {"192.0.2.8", false, 600}}, kNow);
  const std::string text = joined(bans.update({}, kNow + 100s));
  EXPECT_EQ(count(text, "192.0.2.7"), 0u) << text;
  EXPECT_EQ(count(text, "delete element inet t tcp4 { 192.0.2.8 }"), 1u) << text;
  EXPECT_EQ(count(text, "delete element inet t udp4 { 192.0.2.8 }"), 1u) << text;
  EXPECT_EQ(bans.size(), 0u);
}

TEST(NftBans, WhatIsNoAddressNeverReachesACommand) {
  NftBans bans("t");
  for (const char* const source : {"", "x", "1.2.3.4 }; flush ruleset; #", "192.0.2.1\n", "::g"}) {
    EXPECT_TRUE(bans.update({{source, false, 60}}, kNow).empty()) << source;
  }
  EXPECT_EQ(bans.not_understood(), 5u);
}

TEST(NftBans, ManyBansAreManyTransactionsOfABoundedSize) {
  NftBans bans("t");
  std::vector<ExportedBan> list;
  for (int i = 0; i < 5'000; ++i) {
    list.push_back(
        {"10.1." + std::to_string(i / 250) + "." + std::to_string(i % 250), i % 2 == 0, 60});
  }
  const auto commands = bans.update(list, kNow);
  EXPECT_EQ(count(joined(commands), "add element"), 7'500u);
  const auto lifted = bans.update({}, kNow);
  EXPECT_EQ(count(joined(lifted), "delete element"), 7'500u);
  for (const auto* part : {&commands, &lifted}) {
    for (const std::string& command : *part) {
      EXPECT_LE(static_cast<std::size_t>(std::ranges::count(command, '\n')),
                NftBans::kElementsInCommand);
      // What an element needs to go stands in the same transaction.
      EXPECT_EQ(command.rfind("delete", 0), std::string::npos) << command.substr(0, 100);
    }
  }
}

TEST(NftBans, TheTableIsMadeAnewAndGuardsOnlyThePortsThatAreNamed) {
  NftBans bans("t");
  bans.update({{"192.0.2.7", false, 60}}, kNow);
  const std::string text = bans.begin({{5060, 8443}, {}});
  EXPECT_EQ(bans.size(), 0u);
  EXPECT_EQ(count(text, "tcp dport { 5060, 8443 } ip saddr @tcp4 counter drop"), 1u) << text;
  EXPECT_EQ(count(text, "udp dport"), 0u) << text;
  EXPECT_LT(text.find("delete table inet t"), text.find("add set"));
}

}  // namespace
}  // namespace ringway::ban_export
