#include "gateway/media/profile_memory.h"

#include <gtest/gtest.h>

namespace ringway {
namespace {

constexpr std::uint64_t kKey = 12'345;
constexpr Instant kNow{1000s};

TEST(ProfileMemory, WhatWorkedIsRememberedForItsAge) {
  ProfileMemory memory;
  EXPECT_FALSE(memory.find(kKey, kNow));
  memory.works(kKey, MediaLeg::Sdes, kNow);
  EXPECT_EQ(memory.find(kKey, kNow + ProfileMemory::kAge - 1s), MediaLeg::Sdes);
  EXPECT_FALSE(memory.find(kKey, kNow + ProfileMemory::kAge));
  EXPECT_FALSE(memory.has_refused(kKey, kNow));
  memory.works(kKey, MediaLeg::Browser, kNow);
  EXPECT_EQ(memory.find(kKey, kNow), MediaLeg::Browser) << "the newest counts";
}

TEST(ProfileMemory, NewsIsToldOnceAndAgainAtHalfOfItsAge) {
  ProfileMemory memory;
  EXPECT_TRUE(memory.works(kKey, MediaLeg::Sdes, kNow));
  EXPECT_FALSE(memory.works(kKey, MediaLeg::Sdes, kNow + 1s));
  EXPECT_TRUE(memory.works(kKey, MediaLeg::Plain, kNow + 1s));
  EXPECT_TRUE(memory.works(kKey, MediaLeg::Plain, kNow + 2s + ProfileMemory::kAge / 2));
  EXPECT_TRUE(memory.refuses(kKey, kNow));
  EXPECT_FALSE(memory.refuses(kKey, kNow));
  EXPECT_FALSE(memory.works(0, MediaLeg::Plain, kNow)) << "no destination";
}

TEST(ProfileMemory, WhoRefusedBothIsLeftAloneForAWhile) {
  ProfileMemory memory;
  memory.refuses(kKey, kNow);
  EXPECT_TRUE(memory.has_refused(kKey, kNow));
  EXPECT_FALSE(memory.find(kKey, kNow));
  EXPECT_FALSE(memory.has_refused(kKey, kNow + ProfileMemory::kRefusedAge));
}

TEST(ProfileMemory, ItIsBounded) {
  ProfileMemory memory;
  memory.works(kKey, MediaLeg::Sdes, kNow);
  memory.works(kKey + ProfileMemory::kPlaces, MediaLeg::Browser, kNow);
  EXPECT_FALSE(memory.find(kKey, kNow)) << "its place is another one's";
  EXPECT_EQ(memory.find(kKey + ProfileMemory::kPlaces, kNow), MediaLeg::Browser);
  memory.works(0, MediaLeg::Sdes, kNow);
  EXPECT_FALSE(memory.find(0, kNow)) << "no destination";
}

}  // namespace
}  // namespace ringway
