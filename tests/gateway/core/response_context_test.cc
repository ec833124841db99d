#include "gateway/core/response_context.h"

#include <initializer_list>

#include <gtest/gtest.h>

// The decisions of RFC 3261 16.7 and 16.10, one arrow of the figure after the other.

namespace ringway {
namespace {

using Decision = ResponseContext::Decision;
using State = ResponseContext::State;

constexpr SlotId kFirst{1, 1}, kSecond{2, 1};

class ResponseContextTest : public ::testing::Test {
 protected:
  ResponseContextTest() { context_.method = sip::Method::Invite; }

  BufferRef message() { return buffers_.copy(as_bytes("SIP/2.0 ...")); }

  BufferPool buffers_{1u << 20};
  ResponseContext context_;
};

TEST_F(ResponseContextTest, ARequestParksAndGoesOnWhereItWas) {
  EXPECT_EQ(context_.state(), State::Routing);
  for (const State state : {State::AwaitName, State::AwaitUserAgent, State::AwaitOffer}) {
    context_.park(state);
    EXPECT_TRUE(context_.is_waiting_for(state));
    context_.resume();
    EXPECT_EQ(context_.state(), State::Routing);
  }
  EXPECT_EQ(context_.forwarded(kFirst), 0);
  EXPECT_EQ(context_.state(), State::Proceeding);
  EXPECT_TRUE(context_.has_open_branches());
}

TEST_F(ResponseContextTest, ProvisionalResponsesWithoutEndAreCutToAFew) {
  const Instant start{1'000s};
  for (int i = 0; i < ResponseContext::kProvisionalsMax; ++i) {
    EXPECT_TRUE(context_.takes_provisional(start)) << i;
  }
  EXPECT_FALSE(context_.takes_provisional(start));
  EXPECT_FALSE(context_.takes_provisional(start + ResponseContext::kProvisionalEvery - 1ms));
  EXPECT_TRUE(context_.takes_provisional(start + ResponseContext::kProvisionalEvery));
  EXPECT_FALSE(context_.takes_provisional(start + ResponseContext::kProvisionalEvery));
  // A queue that says every ten seconds how long it still takes.
  for (int i = 2; i < 500; ++i) {
    EXPECT_TRUE(context_.takes_provisional(start + i * ResponseContext::kProvisionalEvery)) << i;
  }
}

// RFC 3261 16.7 item 5: provisional responses above 100 and every 2xx go on at once.
TEST_F(ResponseContextTest, ProvisionalResponsesOfAnInviteAreForwarded) {
  const auto branch = context_.forwarded(kFirst);
  EXPECT_EQ(context_.provisional(branch), Decision::Forward);
  context_.method = sip::Method::Options;
  EXPECT_EQ(context_.provisional(branch), Decision::Nothing);
}

// RFC 3261 16.7 item 10: the first 2xx calls the other branches off.
TEST_F(ResponseContextTest, ASuccessCallsTheOtherBranchesOff) {
  const auto first = context_.forwarded(kFirst), second = context_.forwarded(kSecond);
  EXPECT_EQ(context_.success(second, 200), Decision::CancelBranches);
  context_.call_off(first);
  EXPECT_EQ(context_.provisional(first), Decision::CancelBranch);
  EXPECT_EQ(context_.failed(first, 487, message(), false), Decision::SendBest);
}

TEST_F(ResponseContextTest, ASuccessOfTheOnlyBranchIsForwarded) {
  EXPECT_EQ(context_.success(context_.forwarded(kFirst), 200), Decision::Forward);
  context_.answer();
  EXPECT_TRUE(context_.is_answered());
  EXPECT_EQ(context_.cancel(), Decision::Nothing);
}

// RFC 3261 16.7 item 6: nothing is sent before all branches have ended; then the lowest class wins.
TEST_F(ResponseContextTest, TheBestFinalResponseWaitsForAllBranches) {
  const auto first = context_.forwarded(kFirst), second = context_.forwarded(kSecond);
  EXPECT_EQ(context_.failed(first, 500, message(), false), Decision::Nothing);
  EXPECT_EQ(context_.failed(second, 486, message(), false), Decision::SendBest);
  EXPECT_EQ(context_.best_status(), 486);
  EXPECT_EQ(context_.best_branch(), second);
}

// The same item: within 4xx those that tell the caller how to do better come first.
TEST_F(ResponseContextTest, AChallengeIsBetterThanBusy) {
  const auto first = context_.forwarded(kFirst), second = context_.forwarded(kSecond);
  EXPECT_EQ(context_.failed(first, 486, message(), false), Decision::Nothing);
  EXPECT_EQ(context_.failed(second, 407, message(), true), Decision::SendBest);
  EXPECT_EQ(context_.best_status(), 407);
  EXPECT_TRUE(context_.branch(second).challenge);
}

// RFC 3261 16.7 item 5: after a 6xx no new branch is tried.
TEST_F(ResponseContextTest, AGlobalFailureEndsTheSearch) {
  const auto first = context_.forwarded(kFirst), second = context_.forwarded(kSecond);
  EXPECT_EQ(context_.failed(first, 603, message(), false), Decision::CancelBranches);
  EXPECT_EQ(context_.next_target, ResponseContext::kNoMoreTargets);
  EXPECT_EQ(context_.failed(second, 487, message(), false), Decision::SendBest);
  EXPECT_EQ(context_.best_status(), 603);
}

TEST_F(ResponseContextTest, WhatSaysNothingOfTheCallIsTriedElsewhere) {
  for (const sip::Status status : std::initializer_list<sip::Status>{503, 408, 430}) {
    ResponseContext context;
    EXPECT_EQ(context.failed(context.forwarded(kFirst), status, {}, false), Decision::TryAnother)
        << status;
  }
  EXPECT_EQ(context_.failed(context_.forwarded(kFirst), 486, message(), false), Decision::SendBest);
}

TEST_F(ResponseContextTest, ACancelledRequestTriesNobodyElse) {
  const auto branch = context_.forwarded(kFirst);
  EXPECT_EQ(context_.cancel(), Decision::CancelBranches);
  EXPECT_EQ(context_.cancel(), Decision::Nothing) << "a second CANCEL";
  EXPECT_EQ(context_.failed(branch, 503, {}, false), Decision::SendBest);
}

TEST_F(ResponseContextTest, WhatWasNotForwardedIsRefusedHere) {
  context_.park(State::AwaitName);
  EXPECT_EQ(context_.cancel(), Decision::FailHere);
}

// A silent branch does not hold back the final response of the others.
TEST_F(ResponseContextTest, ASilentBranchCountsAsEnded) {
  const auto first = context_.forwarded(kFirst);
  context_.silent(first);
  EXPECT_FALSE(context_.has_open_branches());
  const auto second = context_.forwarded(kSecond);
  EXPECT_EQ(context_.failed(second, 404, message(), false), Decision::SendBest);
}

TEST_F(ResponseContextTest, ASilentBranchCountsAgainWhereThereIsNoOtherTarget) {
  const auto branch = context_.forwarded(kFirst);
  context_.silent(branch);
  context_.silence_ended(branch);
  EXPECT_TRUE(context_.has_open_branches());
  EXPECT_EQ(context_.success(branch, 200), Decision::Forward);
}

TEST_F(ResponseContextTest, ItForksUpToItsBound) {
  for (std::size_t i = 0; i < ResponseContext::kBranchesMax; ++i) {
    EXPECT_TRUE(context_.may_fork());
    context_.forwarded({static_cast<std::uint32_t>(i), 1});
  }
  EXPECT_FALSE(context_.may_fork());
  EXPECT_EQ(context_.failed(0, 503, {}, false), Decision::Nothing) << "no place for another";
}

// Whoever answers is heard, however many rang before him while the relay took its time.
TEST_F(ResponseContextTest, AFinalResponseFindsAPlaceBehindManyProvisionalOnes) {
  for (std::size_t i = 0; i < ResponseContext::kParkedMax; ++i) {
    EXPECT_TRUE(context_.park_response({message(), static_cast<sip::Status>(180 + i)}));
  }
  EXPECT_FALSE(context_.park_response({message(), 199}));
  EXPECT_TRUE(context_.park_response({message(), 200}));
  EXPECT_EQ(context_.parked_count, ResponseContext::kParkedMax);
  for (std::size_t i = 0; i + 1 < ResponseContext::kParkedMax; ++i) {
    EXPECT_EQ(context_.take_parked().status, 180 + i);
  }
  EXPECT_EQ(context_.take_parked().status, 200);
}

}  // namespace
}  // namespace ringway
