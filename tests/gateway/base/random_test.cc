#include "gateway/base/random.h"

#include <set>

#include <gtest/gtest.h>

namespace ringway {
namespace {

TEST(Random, TheSeedDecidesEverything) {
  Random first(7), same(7), other(8);
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t value = first.next();
    EXPECT_EQ(value, same.next());
    differs |= value != other.next();
  }
  EXPECT_TRUE(differs);
}

TEST(Random, SeedZeroIsNoFixedPoint) {
  Random random(0);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1'000; ++i) seen.insert(random.next());
  EXPECT_EQ(seen.size(), 1'000u);
}

TEST(Random, BelowReachesEachValueAndStaysBelow) {
  Random random(1);
  int counts[10] = {};
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t value = random.below(10);
    ASSERT_LT(value, 10u);
    ++counts[value];
  }
  for (const int count : counts) EXPECT_NEAR(count, 1'000, 150);
  EXPECT_EQ(random.below(1), 0u);
}

}  // namespace
}  // namespace ringway
