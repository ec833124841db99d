#include "gateway/admission/bucket_table.h"

#include <gtest/gtest.h>

namespace ringway {
namespace {

struct Place {
  std::uint64_t key;
  Instant used;
  std::uint32_t tokens, mark;
};

const Instant kStart = Instant(1'000s);
constexpr auto kByUse = [](const Place& place) { return place.used; };

TEST(TokenBucket, IsFullAtFirstAndFillsAtItsRate) {
  BucketTable<Place, 64, 4> table(HashKey{1, 2});
  Place& place = table.place_of(7, kStart, kByUse);
  constexpr TokenRate kRate{2, 10};
  Instant now = kStart;
  const auto taken = [&] {
    int count = 0;
    while (take_token(place, kRate, now)) ++count;
    return count;
  };
  EXPECT_EQ(taken(), 10);
  now += 499ms;
  EXPECT_EQ(taken(), 0);
  now += 1ms;
  EXPECT_EQ(taken(), 1);
  now += 3s;
  EXPECT_EQ(taken(), 6);
  now += std::chrono::hours(24 * 365);
  EXPECT_EQ(taken(), 10);
  now -= std::chrono::hours(1);  // a clock that goes back gives nothing and takes nothing
  EXPECT_EQ(taken(), 0);
}

// Parts of milliseconds are not lost, however often one asks.
TEST(TokenBucket, WhoAsksOftenGetsNoLess) {
  BucketTable<Place, 64, 4> table(HashKey{1, 2});
  Place& place = table.place_of(7, kStart, kByUse);
  int count = 0;
  for (Instant now = kStart; now < kStart + 10s; now += 300us) {
    count += take_token(place, {5, 1}, now) ? 1 : 0;
  }
  EXPECT_GE(count, 50);
  EXPECT_LE(count, 51);
}

TEST(TokenBucket, TheLargestBurstFits) {
  BucketTable<Place, 64, 4> table(HashKey{1, 2});
  Place& place = table.place_of(7, kStart, kByUse);
  ASSERT_TRUE(take_token(place, {4'000'000, 4'000'000}, kStart));
  EXPECT_EQ(place.tokens, 3'999'999'000u);
}

TEST(BucketTable, AKeyKeepsItsPlaceAndOfAFullSetTheLeastWorthGoes) {
  BucketTable<Place, 4, 4> table(HashKey{1, 2});  // one set
  for (std::uint64_t key = 1; key <= 4; ++key) {
    table.place_of(key, kStart + std::chrono::seconds(key), kByUse).mark =
        static_cast<std::uint32_t>(key);
  }
  for (std::uint64_t key = 1; key <= 4; ++key) {
    EXPECT_EQ(table.place_of(key, kStart, kByUse).mark, key);
  }
  EXPECT_EQ(table.place_of(5, kStart + 9s, kByUse).mark, 0u);
  EXPECT_EQ(table.place_of(2, kStart, kByUse).mark, 2u);
  EXPECT_EQ(table.place_of(1, kStart + 9s, kByUse).mark, 0u) << "it was the oldest";
}

}  // namespace
}  // namespace ringway
