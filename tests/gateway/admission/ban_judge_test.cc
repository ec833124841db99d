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

// An attacker who has an account of his own shows it again and again.
TEST_F(BanJudgeTest, ASuccessOfOneUserForgivesOnce) {
  see(Kind::Success, true, 1, 10ms, 7);
  int failures = 0;
  for (bool banned = false; !banned && failures < 200; now += 100ms) {
    banned = judge.observe({Kind::Failure, true, 0, kSource, 9}, now).has_value();
    judge.observe({Kind::Success, true, 0, kSource, 7}, now);
    judge.observe({Kind::Success, true, 0, kSource, 0}, now);
    ++failures;
  }
  EXPECT_GE(failures, 30);  // the users are guessed, so each counts more
  EXPECT_LE(failures, 120);
}

TEST_F(BanJudgeTest, AnOfficeOfManyUsersBeginsFromNothingAgainAndAgain) {
  for (std::uint64_t i = 0; i < 2'000; ++i, now += 1s) {
    EXPECT_FALSE(judge.observe({Kind::Success, true, 0, kSource, 100 + i % 20}, now));
    EXPECT_FALSE(judge.observe({Kind::Failure, true, 0, kSource, 1'000 + i}, now)) << i;
  }
}

TEST_F(BanJudgeTest, ANonceThatIsTooOldEachTimeBansNobody) {
  for (std::uint64_t i = 0; i < 2'000; ++i, now += 10ms) {
    for (const std::uint64_t user : {7, 8, 9}) {
      EXPECT_FALSE(judge.observe({Kind::Failure, true, 0, kSource, user}, now)) << i;
    }
    for (const std::uint64_t user : {7, 8, 9}) {
      judge.observe({Kind::Success, true, 0, kSource, user}, now);
    }
  }
}

TEST_F(BanJudgeTest, PhonesOfAKnownSourceWithWrongPasswordsHaveTime) {
  see(Kind::Success, true, 1, 10ms, 7);
  for (std::uint64_t i = 0; i < 500; ++i, now += 10s) {
    EXPECT_FALSE(judge.observe({Kind::Failure, true, 0, kSource, 1'000 + i}, now)) << i;
    judge.observe({Kind::Success, true, 0, kSource, 7}, now);
  }
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
  for (std::uint64_t i = 1; i <= BanJudge::kSourcesMax; ++i) {
    judge.observe({Kind::Success, true, 0, {i}, i}, now);
  }
  for (std::uint64_t i = 1; i <= 100; ++i) {
    judge.observe({Kind::Failure, true, 0, {1'000'000 + i}, i}, now);
  }
  EXPECT_EQ(judge.sources(), BanJudge::kSourcesMax);
  EXPECT_EQ(judge.overlooked(), 100u) << "known sources make no room";
  now += BanJudge::kKnownFor + 1s;
  judge.observe({Kind::Failure, true, 0, {2'000'000}, 0}, now);
  EXPECT_EQ(judge.sources(), 1u) << "what is over makes room";
}

// 65,536 forged senders cost nothing.
TEST_F(BanJudgeTest, ForgedSendersKeepNobodyFromBeingSeen) {
  constexpr SourceKey kScanner{5'000'000}, kPhone{6'000'000};
  for (std::uint64_t i = 1; i <= BanJudge::kSourcesMax; ++i) {
    judge.observe({Kind::Challenge, false, 0, {i}, 0}, now);
  }
  EXPECT_FALSE(see(Kind::Success, true, 1, 10ms, 7, 0, kPhone));
  EXPECT_TRUE(see(Kind::Failure, true, 10, 10ms, 0, 0, kScanner));
  EXPECT_FALSE(see(Kind::Failure, true, 99, 10ms, 0, 0, kPhone)) << "it is known";
  // They go on, and a scanner over datagrams is seen all the same.
  std::optional<BanJudge::Decision> decision;
  for (std::uint64_t i = 1; i <= 20 && !decision; ++i) {
    for (std::uint64_t k = 0; k < 500; ++k) {
      judge.observe({Kind::Challenge, false, 0, {10'000'000 + i * 1'000 + k}, 0}, now);
      now += 1ms;
    }
    decision = judge.observe({Kind::Failure, false, 0, kSource, 0}, now);
  }
  EXPECT_TRUE(decision);
  EXPECT_LE(judge.sources(), BanJudge::kSourcesMax);
}

}  // namespace
}  // namespace ringway
