#include "gateway/admission/ban_table.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

namespace ringway {
namespace {

constexpr HashKey kKey{1, 2};
constexpr Instant kNow = Instant(1'000s);

SourceKey source(std::string_view text) {
  return source_key(*parse_address(text));
}

BanTable::Ban ban(SourceKey key, BanScope scope, Duration lasting, std::uint8_t level = 0) {
  return {key, scope, BanCause::Failures, level, kNow, kNow + lasting};
}

TEST(SourceKey, AnIpv4AddressIsItselfAndAnIpv6OneItsPrefixOf64Bits) {
  EXPECT_EQ(to_text(source("192.0.2.7")), "192.0.2.7");
  EXPECT_EQ(to_text(source("0.0.0.1")), "0.0.0.1");
  EXPECT_EQ(to_text(source("2001:db8:1:2:3:4:5:6")), "2001:db8:1:2::/64");
  EXPECT_EQ(source("2001:db8::1"), source("2001:db8::2"));
  EXPECT_NE(source("2001:db8:0:1::1"), source("2001:db8::1"));
  EXPECT_NE(source("192.0.2.7"), source("192.0.2.8"));
  EXPECT_EQ(source("::ffff:192.0.2.7"), source("192.0.2.7"));  // one peer, one key
}

TEST(BanTable, BansFromItsBeginningToItsEnd) {
  BanTable table(64, kKey);
  const SourceKey key = source("192.0.2.7");
  EXPECT_FALSE(table.is_banned(key, BanScope::Everything, kNow));
  table.put(ban(key, BanScope::Everything, 60s), kNow);
  for (const BanScope by : {BanScope::Datagrams, BanScope::Everything}) {
    EXPECT_TRUE(table.is_banned(key, by, kNow));
    EXPECT_TRUE(table.is_banned(key, by, kNow + 59s));
    EXPECT_FALSE(table.is_banned(key, by, kNow + 60s));
  }
  EXPECT_FALSE(table.is_banned(source("192.0.2.8"), BanScope::Everything, kNow));
}

TEST(BanTable, WhatDatagramsDidLeavesConnectionsAlone) {
  BanTable table(64, kKey);
  const SourceKey key = source("2001:db8::1");
  table.put(ban(key, BanScope::Datagrams, 60s), kNow);
  EXPECT_TRUE(table.is_banned(key, BanScope::Datagrams, kNow));
  EXPECT_FALSE(table.is_banned(key, BanScope::Everything, kNow));
  EXPECT_EQ(table.list(10, kNow).at(0).scope, BanScope::Datagrams);
  // A ban of all that is in force stays one of all.
  table.put(ban(key, BanScope::Everything, 600s), kNow);
  table.put(ban(key, BanScope::Datagrams, 1'200s), kNow);
  EXPECT_TRUE(table.is_banned(key, BanScope::Everything, kNow + 599s));
  EXPECT_FALSE(table.is_banned(key, BanScope::Everything, kNow + 600s));
  EXPECT_TRUE(table.is_banned(key, BanScope::Datagrams, kNow + 1'199s));
}

TEST(BanTable, ItsPartsTogetherAreAllBansInForceOnce) {
  BanTable table(500'000, kKey);
  EXPECT_EQ(table.page(0, 10, kNow).next, 0u);
  std::set<std::uint64_t> put, read;
  for (std::uint32_t i = 1; i <= 3'000; ++i) {
    const SourceKey key{(std::uint64_t{0xffff'ffff} << 32) | i};
    put.insert(key.value);
    table.put(ban(key, BanScope::Everything, i % 2 == 0 ? 60s : 600s), kNow);
  }
  std::size_t from = 0, parts = 0;
  do {
    const auto page = table.page(from, 100, kNow);
    EXPECT_LE(page.bans.size(), 100u);
    for (const auto& one : page.bans) EXPECT_TRUE(read.insert(one.source.value).second);
    ASSERT_TRUE(page.next == 0 || page.next > from);
    from = page.next;
    ++parts;
  } while (from != 0);
  EXPECT_EQ(read, put);
  EXPECT_GE(parts, 30u);
  EXPECT_EQ(table.page(1'000'000, 10, kNow).next, 0u);
  EXPECT_EQ(table.page(0, 10'000, kNow + 100s).bans.size() > 0, true);
}

TEST(BanTable, RemembersHowOftenForADayAfterTheEnd) {
  BanTable table(64, kKey);
  const SourceKey key = source("192.0.2.7");
  EXPECT_EQ(table.next_level(key, kNow), 0);
  table.put(ban(key, BanScope::Everything, 60s, 3), kNow);
  EXPECT_EQ(table.next_level(key, kNow), 4);
  EXPECT_EQ(table.next_level(key, kNow + 60s + BanTable::kRememberedFor - 1s), 4);
  EXPECT_EQ(table.next_level(key, kNow + 60s + BanTable::kRememberedFor), 0);
  EXPECT_TRUE(table.list(10, kNow + 61s).empty()) << "over, though remembered";
}

TEST(BanTable, LiftingForgets) {
  BanTable table(64, kKey);
  const SourceKey key = source("192.0.2.7");
  EXPECT_FALSE(table.lift(key, kNow));
  table.put(ban(key, BanScope::Everything, 60s, 3), kNow);
  EXPECT_TRUE(table.lift(key, kNow));
  EXPECT_FALSE(table.is_banned(key, BanScope::Everything, kNow));
  EXPECT_EQ(table.next_level(key, kNow), 0);
  EXPECT_EQ(table.remembered(), 0u);
}

// Full: what is over goes first, then what ends next; the longest bans stay.
TEST(BanTable, IsBoundedAndTheNextToEndMakesRoom) {
  BanTable table(8, kKey);  // one set
  for (int i = 1; i <= 8; ++i) {
    table.put(ban({static_cast<std::uint64_t>(i)}, BanScope::Everything, i * 60s), kNow);
  }
  EXPECT_EQ(table.remembered(), 8u);
  const Instant later = kNow + 61s;  // the first is over
  table.put({{100}, BanScope::Everything, BanCause::Score, 0, later, later + 3'600s}, later);
  EXPECT_EQ(table.cut_short(), 0u);
  table.put({{101}, BanScope::Everything, BanCause::Score, 0, later, later + 3'600s}, later);
  EXPECT_EQ(table.cut_short(), 1u);
  EXPECT_EQ(table.remembered(), 8u);
  EXPECT_FALSE(table.is_banned({2}, BanScope::Everything, later));
  for (const std::uint64_t kept : {3, 4, 5, 6, 7, 8, 100, 101}) {
    EXPECT_TRUE(table.is_banned({kept}, BanScope::Everything, later)) << kept;
  }
}

TEST(BanTable, ReadersNeverWaitForTheWriter) {
  BanTable table(1'024, kKey);
  table.put(ban({7}, BanScope::Everything, 3'600s), kNow);
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> wrong{0};
  std::thread reader([&] {
    while (!stop) {
      if (!table.is_banned({7}, BanScope::Everything, kNow)) ++wrong;
      if (table.is_banned({8}, BanScope::Everything, kNow)) ++wrong;
    }
  });
  for (std::uint64_t i = 0; i < 20'000; ++i) {
    table.put(ban({1'000 + i % 300}, BanScope::Everything, 60s), kNow);
    if (i % 3 == 0) table.lift({1'000 + i % 300}, kNow);
  }
  stop = true;
  reader.join();
  EXPECT_EQ(wrong, 0u);
}

}  // namespace
}  // namespace ringway
