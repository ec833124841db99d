#include "gateway/admission/ban_judge.h"

#include <gtest/gtest.h>

namespace ringway {
namespace {

using Kind = Evidence::Kind;

constexpr SourceKey kSource{0x2001'0db8'0000'0000};
constexpr Instant kStart = Instant(1'000s);

class BanJudgeTest : public testing::Test {
 protected:
  // The decision after count pieces of evidence, one each gap; nothing before the last counts.
  std::optional<BanJudge::Decision> see(Kind kind, bool by_stream, int count, Duration gap = 10ms,
                                        std::uint64_t user = 0, std::uint8_t points = 0,
                                        SourceKey source = kSource) {
    std::optional<BanJudge::Decision> decision;
    for (int i = 0; i < count; ++i) {
      EXPECT_FALSE(decision) << "too early, after " << i;
      decision = judge.observe({kind, by_stream, points, source, user}, now);
      now += gap;
    }
    return decision;
  }

  BanJudge judge{{10, 600s}};
  Instant now = kStart;
};

TEST_F(BanJudgeTest, TenFailuresOfAConnectionBanEverything) {
  const auto decision = see(Kind::Failure, true, 10);
  ASSERT_TRUE(decision);
  EXPECT_EQ(decision->scope, BanScope::Everything);
  EXPECT_EQ(decision->cause, BanCause::Failures);
}

TEST_F(BanJudgeTest, FailuresOverDatagramsBanDatagramsAlone) {
  const auto decision = see(Kind::Failure, false, 10);
  ASSERT_TRUE(decision);
  EXPECT_EQ(decision->scope, BanScope::Datagrams);
}

TEST_F(BanJudgeTest, FailuresFarApartAreForgotten) {
  EXPECT_FALSE(see(Kind::Failure, true, 100, 61s));
}

TEST_F(BanJudgeTest, ASuccessBeginsFromNothing) {
  EXPECT_FALSE(see(Kind::Failure, true, 9));
  EXPECT_FALSE(see(Kind::Success, true, 1));
  EXPECT_FALSE(see(Kind::Failure, true, 9));
}

TEST_F(BanJudgeTest, AChallengeThatIsAnsweredIsNoFailure) {
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_FALSE(see(Kind::Challenge, true, 1));
    EXPECT_FALSE(see(Kind::Success, true, 1));
  }
}

TEST_F(BanJudgeTest, ChallengesThatNobodyAnswersCountATenth) {
  const auto decision = see(Kind::Challenge, true, 100);
  ASSERT_TRUE(decision);
  EXPECT_EQ(decision->cause, BanCause::Challenges);
}

TEST_F(BanJudgeTest, ASignatureOnAConnectionIsEnough) {
  const auto decision = see(Kind::Signature, true, 1);
  ASSERT_TRUE(decision);
  EXPECT_EQ(decision->cause, BanCause::Signature);
}

// Anybody may have sent it in that name.
TEST_F(BanJudgeTest, OneDatagramIsNeverEnoughWhateverItCarries) {
  for (const Kind kind : {Kind::Failure, Kind::Challenge, Kind::Signature, Kind::Score}) {
    judge = BanJudge({3, 600s});
    EXPECT_FALSE(judge.observe({kind, false, 100, kSource, 0}, now)) << static_cast<int>(kind);
    EXPECT_FALSE(judge.observe({kind, false, 100, kSource, 0}, now)) << static_cast<int>(kind);
  }
}

TEST_F(BanJudgeTest, DatagramsInTheNameOfAKnownSourceCountForNothing) {
  see(Kind::Success, false, 1);
  EXPECT_FALSE(see(Kind::Signature, false, 10'000));
  EXPECT_FALSE(see(Kind::Failure, false, 10'000));
  now = kStart + BanJudge::kKnownFor + 1s;
  EXPECT_TRUE(see(Kind::Failure, false, 10)) << "not for ever";
}

TEST_F(BanJudgeTest, DatagramsDoNotAddToWhatConnectionsDid) {
  EXPECT_FALSE(see(Kind::Failure, true, 9));
  EXPECT_FALSE(see(Kind::Failure, false, 9));
}

TEST_F(BanJudgeTest, AKnownSourceHasTenTimesAsMuch) {
  see(Kind::Success, true, 1);
  EXPECT_TRUE(see(Kind::Failure, true, 100));
}

TEST_F(BanJudgeTest, PointsAddUp) {
  EXPECT_TRUE(see(Kind::Score, true, 3, 10ms, 0, 40));
  EXPECT_TRUE(see(Kind::Score, true, 1, 10ms, 0, 100));
}

// The password of one user is tried from many sources: each has less to spend.
TEST_F(BanJudgeTest, GuessesAtOneUserFromManySourcesCountMore) {
  for (std::uint64_t i = 1; i <= 40; ++i) {
    judge.observe({Kind::Failure, true, 0, {i}, 77}, now);
  }
  const auto decision = see(Kind::Failure, true, 4, 10ms, 77);
  EXPECT_TRUE(decision);
}

TEST_F(BanJudgeTest, IsBounded) {
  for (std::uint64_t i = 1; i <= BanJudge::kSourcesMax + 100; ++i) {
    judge.observe({Kind::Failure, true, 0, {i}, i}, now);
  }
  EXPECT_EQ(judge.sources(), BanJudge::kSourcesMax);
  EXPECT_EQ(judge.overlooked(), 100u);
  now += 700s;
  judge.observe({Kind::Failure, true, 0, {1'000'000}, 0}, now);
  EXPECT_EQ(judge.sources(), 1u) << "what is over makes room";
}

}  // namespace
}  // namespace ringway
