#include "gateway/tunnel/pending.h"

#include <gtest/gtest.h>

#include <vector>

namespace ringway::tunnel {
namespace {

Pending request(std::uint32_t source, std::string_view own, std::int64_t at = 0) {
  Pending pending;
  pending.source = {source, 1};
  pending.since = Instant(Duration(at));
  pending.set_cookies(own, "P." + std::string(own));
  return pending;
}

TEST(PendingTable, EachCopyHasOneAnswerOldestFirst) {
  PendingTable table(8, {1, 2});
  for (const int at : {1, 2, 3}) ASSERT_TRUE(table.add(request(1, "c", at)));
  Pending out;
  for (const int at : {1, 2, 3}) {
    ASSERT_TRUE(table.take({1, 1}, "P.c", out));
    EXPECT_EQ(out.since, Instant(Duration(at)));
    EXPECT_EQ(out.own(), "c");
    EXPECT_EQ(out.answered, at > 1);
  }
  EXPECT_FALSE(table.take({1, 1}, "P.c", out));
}

TEST(PendingTable, AnEqualCookieOfAnotherSourceIsAnotherRequest) {
  PendingTable table(8, {1, 2});
  ASSERT_TRUE(table.add(request(1, "c")));
  ASSERT_TRUE(table.add(request(2, "c")));
  Pending out;
  EXPECT_FALSE(table.take({3, 1}, "P.c", out));
  EXPECT_FALSE(table.take({2, 2}, "P.c", out));
  ASSERT_TRUE(table.take({2, 1}, "P.c", out));
  EXPECT_EQ(table.size(), 1u);
}

TEST(PendingTable, RefusesWhenFullAndServesWhenThereIsRoomAgain) {
  PendingTable table(2, {1, 2});
  EXPECT_TRUE(table.add(request(1, "a", 1)));
  EXPECT_TRUE(table.add(request(1, "b", 2)));
  EXPECT_FALSE(table.add(request(1, "c", 3)));
  EXPECT_EQ(table.take_oldest().own(), "a");
  EXPECT_TRUE(table.add(request(1, "c", 3)));
  EXPECT_EQ(table.oldest()->own(), "b");
}

TEST(PendingTable, TakesOutAllThatSatisfyACondition) {
  PendingTable table(64, {1, 2});
  for (std::uint32_t i = 0; i < 60; ++i) {
    ASSERT_TRUE(table.add(request(i % 3, std::to_string(i), i)));
  }
  std::vector<std::string> taken;
  table.take_if([](const Pending& pending) { return pending.source.slot == 1; },
                [&](const Pending& pending) { taken.emplace_back(pending.own()); });
  ASSERT_EQ(taken.size(), 20u);
  EXPECT_EQ(taken.front(), "1");
  EXPECT_EQ(taken.back(), "58");
  EXPECT_EQ(table.size(), 40u);
  Pending out;
  EXPECT_FALSE(table.take({1, 1}, "P.1", out));
  EXPECT_TRUE(table.take({2, 1}, "P.59", out));
}

}  // namespace
}  // namespace ringway::tunnel
