#include "protocol/sdp/offer_answer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ringway::sdp {
namespace {

constexpr End A = End::Caller, B = End::Callee;
constexpr Carrier kInvite = Carrier::Invite, k18x = Carrier::Provisional,
                  kReliable = Carrier::ReliableProvisional, k2xx = Carrier::InviteSuccess,
                  kAck = Carrier::Ack, kPrack = Carrier::Prack, kPrack2xx = Carrier::PrackSuccess,
                  kUpdate = Carrier::Update, kUpdate2xx = Carrier::UpdateSuccess;
enum Body { WithSdp, Without };

struct Step {
  End from;
  Carrier carrier;
  std::uint32_t cseq;
  Body body;
  Action right;
};

// Runs the steps; a wrong one is named by its number.
void run(OfferAnswer& machine, const std::vector<Step>& steps) {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    const Action action = machine.pass({step.from, step.carrier, step.cseq, step.body == WithSdp});
    EXPECT_EQ(to_text(action), to_text(step.right)) << "step " << i;
  }
}

// A dialog whose INVITE with CSeq 1 of A was answered.
OfferAnswer established() {
  OfferAnswer machine;
  run(machine, {{A, kInvite, 1, WithSdp, Action::Offer},
                {B, k2xx, 1, WithSdp, Action::Answer},
                {A, kAck, 1, Without, Action::None}});
  return machine;
}

// --- RFC 6337 2, table 1: one test for each row -------------------------------------------------

TEST(Rfc6337Table1, Row1OfferInInviteAnswerInSuccess) {
  const OfferAnswer machine = established();
  EXPECT_TRUE(machine.agreed());
  EXPECT_FALSE(machine.outstanding());
}

TEST(Rfc6337Table1, Row1InReInviteOfEitherEnd) {
  OfferAnswer machine = established();
  run(machine, {{B, kInvite, 7, WithSdp, Action::Offer},
                {A, k2xx, 7, WithSdp, Action::Answer},
                {B, kAck, 7, Without, Action::None},
                {A, kInvite, 2, WithSdp, Action::Offer},
                {B, k2xx, 2, WithSdp, Action::Answer}});
}

TEST(Rfc6337Table1, Row2OfferInSuccessAnswerInAck) {
  OfferAnswer machine;
  run(machine, {{A, kInvite, 1, Without, Action::None},
                {B, k18x, 1, Without, Action::None},
                {B, k2xx, 1, WithSdp, Action::Offer}});
  EXPECT_EQ(machine.outstanding(), B);
  EXPECT_FALSE(machine.agreed());
  run(machine, {{A, kAck, 1, WithSdp, Action::Answer}});
  EXPECT_TRUE(machine.agreed());
}

TEST(Rfc6337Table1, Row3OfferInInviteAnswerInReliableProvisional) {
  OfferAnswer machine;
  run(machine, {{A, kInvite, 1, WithSdp, Action::Offer},
                {B, kReliable, 1, WithSdp, Action::Answer},
                {A, kPrack, 2, Without, Action::None},
                {B, kPrack2xx, 2, Without, Action::None},
                {B, k2xx, 1, Without, Action::None},
                {A, kAck, 1, Without, Action::None}});
}

TEST(Rfc6337Table1, Row4OfferInReliableProvisionalAnswerInPrack) {
  OfferAnswer machine;
  run(machine, {{A, kInvite, 1, Without, Action::None},
                {B, kReliable, 1, WithSdp, Action::Offer},
                {A, kPrack, 2, WithSdp, Action::Answer},
                {B, kPrack2xx, 2, Without, Action::None},
                {B, k2xx, 1, Without, Action::None}});
  EXPECT_TRUE(machine.agreed());
}

TEST(Rfc6337Table1, Row5OfferInPrackAnswerInItsSuccess) {
  OfferAnswer machine;
  run(machine, {{A, kInvite, 1, WithSdp, Action::Offer},
                {B, kReliable, 1, WithSdp, Action::Answer},
                {A, kPrack, 2, WithSdp, Action::Offer},
                {B, kPrack2xx, 2, WithSdp, Action::Answer},
                {B, k2xx, 1, Without, Action::None}});
}

TEST(Rfc6337Table1, Row6OfferInUpdateAnswerInItsSuccess) {
  OfferAnswer machine;
  run(machine, {{A, kInvite, 1, WithSdp, Action::Offer},
                {B, kReliable, 1, WithSdp, Action::Answer},
                {B, kUpdate, 1, WithSdp, Action::Offer},  // early, by the callee
                {A, kUpdate2xx, 1, WithSdp, Action::Answer},
                {B, k2xx, 1, Without, Action::None},
                {A, kUpdate, 3, WithSdp, Action::Offer},  // confirmed, by the caller
                {B, kUpdate2xx, 3, WithSdp, Action::Answer},
                {A, kUpdate, 4, Without, Action::None},  // a session refresh
                {B, kUpdate2xx, 4, Without, Action::None}});
}

// --- RFC 6337 2.2, table 2: refusals ------------------------------------------------------------

TEST(Rfc6337Table2, Row1InviteRefused) {
  OfferAnswer fresh;
  run(fresh, {{A, kInvite, 1, WithSdp, Action::Offer}});
  EXPECT_EQ(fresh.refused(A, kInvite, 1), Action::Return);
  EXPECT_FALSE(fresh.agreed());

  OfferAnswer machine = established();
  run(machine, {{B, kInvite, 5, WithSdp, Action::Offer}});
  EXPECT_EQ(machine.refused(B, kInvite, 5), Action::Return);
  EXPECT_TRUE(machine.agreed());
  run(machine, {{B, kInvite, 6, WithSdp, Action::Offer}, {A, k2xx, 6, WithSdp, Action::Answer}});
}

TEST(Rfc6337Table2, Row2OfferInSuccessIsAnsweredInAckAndThenReplaced) {
  OfferAnswer machine;
  run(machine, {{A, kInvite, 1, Without, Action::None},
                {B, k2xx, 1, WithSdp, Action::Offer},
                {A, kAck, 1, WithSdp, Action::Answer},
                {A, kInvite, 2, WithSdp, Action::Offer}});
}

TEST(Rfc6337Table2, Row3InviteRefusedAfterAPreview) {
  OfferAnswer machine = established();
  run(machine, {{A, kInvite, 2, WithSdp, Action::Offer}, {B, k18x, 2, WithSdp, Action::Preview}});
  EXPECT_TRUE(machine.previewed());
  EXPECT_EQ(machine.refused(A, kInvite, 2), Action::Return);
  EXPECT_FALSE(machine.previewed());
}

TEST(Rfc6337Table2, Row4OfferInReliableProvisionalIsAnsweredInPrackAndThenReplaced) {
  OfferAnswer machine;
  run(machine, {{A, kInvite, 1, Without, Action::None},
                {B, kReliable, 1, WithSdp, Action::Offer},
                {A, kPrack, 2, WithSdp, Action::Answer},
                {A, kUpdate, 3, WithSdp, Action::Offer}});
}

TEST(Rfc6337Table2, Row5OfferInPrackIsAnsweredAndThenReplaced) {
  OfferAnswer machine;
  run(machine, {{A, kInvite, 1, WithSdp, Action::Offer},
                {B, kReliable, 1, WithSdp, Action::Answer},
                {A, kPrack, 2, WithSdp, Action::Offer},
                {B, kPrack2xx, 2, WithSdp, Action::Answer},
                {B, kUpdate, 1, WithSdp, Action::Offer}});
}

TEST(Rfc6337Table2, Row6UpdateRefused) {
  OfferAnswer machine = established();
  run(machine, {{A, kUpdate, 2, WithSdp, Action::Offer}});
  EXPECT_EQ(machine.refused(A, kUpdate, 2), Action::Return);
  run(machine, {{B, kUpdate, 1, WithSdp, Action::Offer}});
}

// RFC 6141 3.2: what was answered reliably within a refused re-INVITE stands.
TEST(Rfc6141Refusal, AnsweredExchangeOfARefusedInviteStands) {
  OfferAnswer machine = established();
  run(machine,
      {{A, kInvite, 2, WithSdp, Action::Offer}, {B, kReliable, 2, WithSdp, Action::Answer}});
  EXPECT_EQ(machine.refused(A, kInvite, 2), Action::None);
}

TEST(Rfc6141Refusal, UnansweredOfferInReliableProvisionalOfARefusedInviteIsVoid) {
  OfferAnswer machine = established();
  run(machine, {{A, kInvite, 2, Without, Action::None}, {B, kReliable, 2, WithSdp, Action::Offer}});
  EXPECT_EQ(machine.refused(A, kInvite, 2), Action::Return);
}

// --- RFC 6337 3: what is no offer and no answer, and what is missing
// ------------------------------

TEST(Rfc6337Section3, UnreliableProvisionalIsAPreviewUntilTheSuccess) {
  OfferAnswer machine;
  run(machine, {{A, kInvite, 1, WithSdp, Action::Offer},
                {B, k18x, 1, WithSdp, Action::Preview},
                {B, k18x, 1, WithSdp, Action::Preview},
                {B, k2xx, 1, WithSdp, Action::Answer},
                {B, k2xx, 1, WithSdp, Action::Repeat}});  // sent again until its ACK comes
}

TEST(Rfc6337Section3, SuccessWithoutDescriptionSettlesThePreview) {
  OfferAnswer machine;
  run(machine, {{A, kInvite, 1, WithSdp, Action::Offer},
                {B, k18x, 1, WithSdp, Action::Preview},
                {B, k2xx, 1, Without, Action::Settle}});
  EXPECT_TRUE(machine.agreed());
}

TEST(Rfc6337Section3, SameAnswerAgainInTheSuccessIsIgnored) {
  OfferAnswer machine;
  run(machine, {{A, kInvite, 1, WithSdp, Action::Offer},
                {B, kReliable, 1, WithSdp, Action::Answer},
                {B, kReliable, 1, WithSdp, Action::Repeat},
                {B, k2xx, 1, WithSdp, Action::Repeat}});
  OfferAnswer late;
  run(late, {{A, kInvite, 1, Without, Action::None},
             {B, kReliable, 1, WithSdp, Action::Offer},
             {A, kPrack, 2, WithSdp, Action::Answer},
             {B, k2xx, 1, WithSdp, Action::Repeat},
             {A, kAck, 1, WithSdp, Action::Repeat}});
}

TEST(Rfc6337Section3, LateOfferRepeatsWhileItWaitsForTheAck) {
  OfferAnswer machine;
  run(machine, {{A, kInvite, 1, Without, Action::None},
                {B, k2xx, 1, WithSdp, Action::Offer},
                {B, k2xx, 1, WithSdp, Action::Repeat},
                {A, kAck, 1, WithSdp, Action::Answer},
                {B, k2xx, 1, WithSdp, Action::Repeat},
                {A, kAck, 1, WithSdp, Action::Repeat}});
}

TEST(Rfc6337Section3, UnreliableProvisionalCannotOffer) {
  OfferAnswer machine;
  run(machine, {{A, kInvite, 1, Without, Action::None},
                {B, k18x, 1, WithSdp, Action::Misplaced},
                {B, k2xx, 1, WithSdp, Action::Offer}});
}

TEST(Rfc6337Section3, AnswerThatNeverComesVoidsTheOffer) {
  const std::vector<std::vector<Step>> cases = {
      {{A, kInvite, 2, WithSdp, Action::Offer}, {B, k2xx, 2, Without, Action::Return}},
      {{A, kInvite, 2, Without, Action::None},
       {B, k2xx, 2, WithSdp, Action::Offer},
       {A, kAck, 2, Without, Action::Return}},
      {{A, kUpdate, 2, WithSdp, Action::Offer}, {B, kUpdate2xx, 2, Without, Action::Return}},
      {{A, kPrack, 2, WithSdp, Action::Offer}, {B, kPrack2xx, 2, Without, Action::Return}},
  };
  for (const auto& steps : cases) {
    OfferAnswer machine = established();
    run(machine, steps);
    EXPECT_FALSE(machine.outstanding());
  }
}

TEST(Rfc6337Section3, DescriptionsWhereNoneMayBe) {
  OfferAnswer machine = established();
  run(machine, {{B, kUpdate2xx, 9, WithSdp, Action::Misplaced},
                {B, k2xx, 9, WithSdp, Action::Misplaced},
                {A, kAck, 9, WithSdp, Action::Misplaced},
                {B, kPrack2xx, 9, WithSdp, Action::Misplaced},
                {A, kInvite, 2, WithSdp, Action::Offer},
                {A, kPrack, 3, WithSdp, Action::Misplaced},
                {B, k2xx, 2, WithSdp, Action::Answer}});
}

// --- Glare (RFC 3261 14.1, 14.2; RFC 3311 5.2; RFC 6337 4)
// ----------------------------------------

TEST(Glare, SecondInviteWhileOneIsPending) {
  OfferAnswer machine = established();
  run(machine, {{A, kInvite, 2, WithSdp, Action::Offer},
                {B, kInvite, 1, WithSdp, Action::Glare},
                {B, kInvite, 1, Without, Action::Glare},
                {A, kInvite, 3, WithSdp, Action::Busy},
                {B, k2xx, 2, WithSdp, Action::Answer},
                {B, kInvite, 2, WithSdp, Action::Offer}});
}

TEST(Glare, UpdateWhileAnOfferIsOutstanding) {
  OfferAnswer machine = established();
  run(machine, {{A, kUpdate, 2, WithSdp, Action::Offer},
                {B, kUpdate, 1, WithSdp, Action::Glare},
                {A, kUpdate, 3, WithSdp, Action::Busy},
                {B, kUpdate, 2, Without, Action::None},
                {B, kInvite, 3, WithSdp, Action::Glare}});
}

TEST(Glare, UpdateWhileAnInviteOwesItsOffer) {
  OfferAnswer machine = established();
  run(machine, {{A, kInvite, 2, Without, Action::None},
                {A, kUpdate, 3, WithSdp, Action::Glare},
                {B, kUpdate, 1, WithSdp, Action::Busy},
                {B, k2xx, 2, WithSdp, Action::Offer},
                {A, kUpdate, 4, WithSdp, Action::Glare},
                {A, kAck, 2, WithSdp, Action::Answer},
                {A, kUpdate, 5, WithSdp, Action::Offer}});
}

// --- Forks (RFC 3261 12.1, 13.2.2.4)
// --------------------------------------------------------------

TEST(Forks, EachToTagGoesItsOwnWay) {
  OfferAnswer invite;
  run(invite, {{A, kInvite, 1, WithSdp, Action::Offer}});
  OfferAnswer x = invite, y = invite;
  run(x, {{B, k18x, 1, WithSdp, Action::Preview}});
  run(y, {{B, k2xx, 1, WithSdp, Action::Answer}});
  EXPECT_FALSE(x.agreed());
  EXPECT_TRUE(y.agreed());
  run(y, {{A, kInvite, 2, WithSdp, Action::Offer}});
  EXPECT_EQ(x.refused(A, kInvite, 1), Action::Return);
}

TEST(Forks, CredentialsAfterARefusalStartAgain) {
  OfferAnswer machine;
  run(machine, {{A, kInvite, 1, WithSdp, Action::Offer}});
  EXPECT_EQ(machine.refused(A, kInvite, 1), Action::Return);
  run(machine, {{A, kInvite, 2, WithSdp, Action::Offer}, {B, k2xx, 2, WithSdp, Action::Answer}});
}

}  // namespace
}  // namespace ringway::sdp
