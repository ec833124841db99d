#include "gateway/admission/budgets.h"

#include <gtest/gtest.h>

namespace ringway {
namespace {

using Verdict = Budgets::Verdict;
using End = Budgets::End;

constexpr SourceKey kOffice{0xffff'ffff'c000'0207}, kElsewhere{0xffff'ffff'c000'0208};

class BudgetsTest : public testing::Test {
 protected:
  Budgets::Asker asker(std::uint64_t flow, bool credentials = false, std::uint64_t user = 0,
                       SourceKey source = kOffice) {
    return {source, flow, user, credentials, false, true};
  }
  // One request and what becomes of it.
  Verdict attempt(const Budgets::Asker& who, End end) {
    const Verdict verdict = budgets.ask(who, now);
    if (verdict != Verdict::Pass) return verdict;
    budgets.began(who, now);
    budgets.ended(who, end, now);
    return verdict;
  }
  // A phone that comes on: challenged, then let in.
  void register_phone(std::uint64_t flow, SourceKey source = kOffice) {
    ASSERT_EQ(attempt(asker(flow, false, 0, source), End::Challenge), Verdict::Pass) << flow;
    ASSERT_EQ(attempt(asker(flow, true, flow, source), End::Success), Verdict::Pass) << flow;
  }

  BudgetsConfig settings;
  Budgets budgets{settings, HashKey{3, 4}};
  Instant now = Instant(1'000s);
};

TEST_F(BudgetsTest, AScannerIsCutOffAfterItsFourthMessage) {
  for (int i = 0; i < 4; ++i) EXPECT_EQ(attempt(asker(9), End::Failure), Verdict::Pass) << i;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(attempt(asker(9), End::Failure), Verdict::CutOff);
}

TEST_F(BudgetsTest, WhoDoesNotWaitForAnswersGetsNoMoreOfThem) {
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(budgets.ask(asker(9), now), Verdict::Pass);
    budgets.began(asker(9), now);
  }
  EXPECT_EQ(budgets.ask(asker(9), now), Verdict::Wait);
  budgets.ended(asker(9), End::Other, now);
  EXPECT_EQ(budgets.ask(asker(9), now), Verdict::Pass);
}

TEST_F(BudgetsTest, ChallengesThatAreNeverAnsweredEndIt) {
  for (int i = 0; i < 4; ++i) EXPECT_EQ(attempt(asker(9), End::Challenge), Verdict::Pass);
  EXPECT_EQ(attempt(asker(9), End::Challenge), Verdict::Wait);
}

// Several lines of one telephone over one port, all at once.
TEST_F(BudgetsTest, AnAnsweredChallengeIsNotOwed) {
  for (int i = 0; i < 4; ++i) EXPECT_EQ(attempt(asker(9), End::Challenge), Verdict::Pass);
  EXPECT_EQ(attempt(asker(9, true, 1), End::Success), Verdict::Pass);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(attempt(asker(9), End::Challenge), Verdict::Pass);
}

TEST_F(BudgetsTest, AnOfficeComesBackWhileItsScannerIsCutOff) {
  for (std::uint64_t phone = 1; phone <= 200; ++phone) {
    register_phone(1'000 + phone);
    if (phone <= 4) {
      EXPECT_EQ(attempt(asker(9, true, 77), End::Failure), Verdict::Pass) << phone;
    } else {
      EXPECT_EQ(attempt(asker(9, true, 77), End::Failure), Verdict::CutOff) << phone;
    }
  }
}

TEST_F(BudgetsTest, FailuresAreForgivenWithTime) {
  for (int i = 0; i < 5; ++i) attempt(asker(9), End::Failure);
  now += Budgets::kForgivenEvery + 1s;
  EXPECT_EQ(attempt(asker(9), End::Failure), Verdict::Pass);
  EXPECT_EQ(attempt(asker(9), End::Failure), Verdict::CutOff);
}

TEST_F(BudgetsTest, GenerousAfterASuccessButNotBoundless) {
  register_phone(1);
  std::uint32_t passed = 0;
  while (passed < 5'000 && budgets.ask(asker(1), now) == Verdict::Pass) ++passed;
  EXPECT_NEAR(passed, settings.burst, 2);
  now += 1s;
  std::uint32_t more = 0;
  while (more < 5'000 && budgets.ask(asker(1), now) == Verdict::Pass) ++more;
  EXPECT_NEAR(more, settings.rate, 2);
}

TEST_F(BudgetsTest, FailuresOfAProvenFlowDoNotCutItOff) {
  register_phone(1);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(attempt(asker(1), End::Failure), Verdict::Pass);
}

// Each message from another port of one address.
TEST_F(BudgetsTest, ASourceOfManyFlowsHasABudgetOfItsOwn) {
  std::uint32_t passed = 0;
  for (std::uint64_t flow = 1; flow <= 5'000; ++flow) {
    passed += attempt(asker(flow), End::Failure) == Verdict::Pass;
  }
  EXPECT_NEAR(passed, settings.source_burst, 2);
  EXPECT_EQ(attempt(asker(1, false, 0, kElsewhere), End::Other), Verdict::Pass);
}

// One user's password is tried from everywhere: strangers have to wait, his own place goes on.
TEST_F(BudgetsTest, GuessesAtOneUserEndForStrangersOnly) {
  register_phone(1);
  for (std::uint64_t i = 0; i < Budgets::kGuessesOfUser; ++i) {
    const SourceKey attacker{0xffff'ffff'0a00'0000 + i};
    EXPECT_EQ(attempt(asker(100 + i, true, 77, attacker), End::Failure), Verdict::Pass);
  }
  EXPECT_EQ(attempt(asker(500, true, 77, kElsewhere), End::Failure), Verdict::CutOff);
  EXPECT_EQ(attempt(asker(501, true, 78, kElsewhere), End::Success), Verdict::Pass);
  EXPECT_EQ(attempt(asker(502, true, 77, kOffice), End::Success), Verdict::Pass);
}

// An account of his own makes nobody free to guess the passwords of others.
TEST_F(BudgetsTest, AProvenFlowAndAKnownSourceHaveSoManyTriesAtOneUser) {
  register_phone(1);
  std::uint32_t passed = 0;
  for (int i = 0; i < 100; ++i) {
    passed += attempt(asker(1, true, 77), End::Failure) == Verdict::Pass;
    EXPECT_EQ(attempt(asker(1, true, 99), End::Success), Verdict::Pass) << "his own";
  }
  EXPECT_EQ(passed, Budgets::kGuessesOfUser);
  for (std::uint64_t flow = 100; flow < 200; ++flow) {
    EXPECT_NE(attempt(asker(flow, true, 77), End::Failure), Verdict::Pass);
  }
  EXPECT_EQ(attempt(asker(2, true, 77, kElsewhere), End::Failure), Verdict::CutOff);
  now += Budgets::kForgivenEvery;
  EXPECT_EQ(attempt(asker(1, true, 77), End::Success), Verdict::Pass);
  EXPECT_EQ(attempt(asker(1, true, 77), End::Success), Verdict::Pass) << "it was his after all";
}

TEST_F(BudgetsTest, CredentialsThatNobodyCanReadAreForgivenByNoSuccess) {
  register_phone(1);
  std::uint32_t passed = 0;
  for (int i = 0; i < 100; ++i) {
    passed += attempt(asker(1, true, Budgets::kUnclearUser), End::Failure) == Verdict::Pass;
    attempt(asker(1, true, Budgets::kUnclearUser), End::Success);
  }
  EXPECT_EQ(passed, Budgets::kGuessesOfUser);
}

// Whoever writes an office's address into datagrams spends nothing of its connections.
TEST_F(BudgetsTest, DatagramsInAnothersNameCostHisConnectionsNothing) {
  std::uint32_t passed = 0;
  for (std::uint64_t flow = 1; flow <= 5'000; ++flow) {
    Budgets::Asker forged = asker(flow);
    forged.by_stream = false;
    passed += attempt(forged, End::Failure) == Verdict::Pass;
  }
  EXPECT_NEAR(passed, settings.source_burst, 2);
  register_phone(6'000);
  for (std::uint64_t i = 0; i < Budgets::kGuessesOfUser; ++i) {
    Budgets::Asker forged = asker(7'000 + i, true, 77, SourceKey{0xffff'ffff'0a00'0000 + i});
    forged.by_stream = false;
    attempt(forged, End::Failure);
  }
  EXPECT_EQ(attempt(asker(8'000, true, 77, kElsewhere), End::Success), Verdict::Pass);
}

// Asked more often than once a millisecond the bucket fills all the same.
TEST_F(BudgetsTest, AFloodDoesNotKeepABucketEmpty) {
  for (std::uint64_t flow = 1; flow <= 2'000; ++flow) attempt(asker(flow), End::Failure);
  std::uint32_t passed = 0;
  for (std::uint64_t flow = 10'000; flow < 20'000; ++flow) {
    now += 100us;
    passed += attempt(asker(flow), End::Failure) == Verdict::Pass;
  }
  EXPECT_NEAR(passed, settings.source_rate, 2);
}

TEST_F(BudgetsTest, TablesStayTheirSizeAndKeepWhoIsProven) {
  register_phone(1);
  for (std::uint64_t i = 0; i < 300'000; ++i) {
    now += 1us;
    budgets.ask(asker(1'000 + i, false, 0, SourceKey{i + 1}), now);
  }
  for (int i = 0; i < 50; ++i) EXPECT_EQ(attempt(asker(1), End::Failure), Verdict::Pass);
}

}  // namespace
}  // namespace ringway
