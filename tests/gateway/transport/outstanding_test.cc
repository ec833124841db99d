#include "gateway/transport/outstanding.h"

#include <gtest/gtest.h>

#include <vector>

namespace ringway {
namespace {

constexpr Instant kStart{std::chrono::hours(1)};

std::vector<Ticket> taken(Outstanding& all, Outbound& connection, Instant now) {
  std::vector<Ticket> tickets;
  all.take_all(connection, now, [&](Ticket ticket) { tickets.push_back(ticket); });
  return tickets;
}

TEST(Outstanding, BelowAtAndAboveItsBoundTheNewestOfAConnectionAreRemembered) {
  Outstanding all;
  Outbound first, second;
  for (std::uint32_t i = 0; i < Outstanding::kMax - 1; ++i) {
    ASSERT_TRUE(all.add(first, Ticket{i + 1}, kStart)) << i;
  }
  EXPECT_TRUE(all.add(second, Ticket{7}, kStart)) << "the last place";
  EXPECT_EQ(all.size(), Outstanding::kMax);
  EXPECT_FALSE(all.add(first, Ticket{Outstanding::kMax + 5}, kStart)) << "its own oldest goes";
  EXPECT_EQ(all.size(), Outstanding::kMax);
  EXPECT_EQ(taken(all, second, kStart), std::vector<Ticket>{7}) << "another's stay";
  const auto rest = taken(all, first, kStart);
  ASSERT_EQ(rest.size(), Outstanding::kMax - 1);
  EXPECT_EQ(rest.front(), 2u);
  EXPECT_EQ(rest.back(), Outstanding::kMax + 5);
  EXPECT_EQ(all.size(), 0u);
}

TEST(Outstanding, AConnectionWithoutAnyFindsNoPlaceInAFullTable) {
  Outstanding all;
  Outbound hoarder, late;
  for (std::uint32_t i = 0; i < Outstanding::kMax; ++i) all.add(hoarder, Ticket{i + 1}, kStart);
  EXPECT_FALSE(all.add(late, Ticket{9}, kStart));
  EXPECT_TRUE(taken(all, late, kStart).empty());
  // What can be answered no more makes room, once its connection is used again.
  const Instant later = kStart + Outstanding::kLife;
  EXPECT_TRUE(all.add(hoarder, Ticket{3}, later));
  EXPECT_TRUE(all.add(late, Ticket{9}, later));
  EXPECT_EQ(all.size(), 2u);
}

}  // namespace
}  // namespace ringway
