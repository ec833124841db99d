#include "gateway/call/media_session.h"

#include <string_view>

#include <gtest/gtest.h>

namespace ringway {
namespace {

using State = MediaSession::State;

class MediaSessionTest : public ::testing::Test {
 protected:
  BufferRef text(std::string_view value) { return buffers_.copy(as_bytes(value)); }
  bool offer(Party from, std::string_view value, SlotId owner = kOwner) {
    return media_.offer(from, text(value), owner);
  }
  bool answer(Party from, std::string_view value, SlotId owner = kOwner) {
    return media_.answer(from, text(value), owner);
  }
  // Sends the next step, checks it, and gives the relay's reply.
  MediaSession::Step relay(MediaCommand command, Party from, std::string_view description,
                           bool ok = true) {
    const MediaSession::Step* step = media_.next();
    if (!step) {
      ADD_FAILURE() << "nothing to send";
      return {};
    }
    EXPECT_EQ(step->command, command);
    EXPECT_EQ(step->from, from);
    EXPECT_EQ(step->description ? as_text(step->description.bytes()) : "", description);
    media_.sent();
    EXPECT_EQ(media_.next(), nullptr);
    return media_.completed(ok, ok ? text("relay:" + std::string(description)) : BufferRef{});
  }
  void agree(std::string_view offered = "o1", std::string_view answered = "a1") {
    ASSERT_TRUE(offer(Party::Caller, offered));
    relay(MediaCommand::Offer, Party::Caller, offered);
    ASSERT_TRUE(answer(Party::Callee, answered));
    relay(MediaCommand::Answer, Party::Callee, answered);
    ASSERT_EQ(media_.state(), State::Agreed);
  }
  std::string_view last_for(Party party) {
    return media_.last_for(party) ? as_text(media_.last_for(party).bytes()) : "";
  }

  static constexpr SlotId kOwner{3, 1}, kOther{4, 1};
  BufferPool buffers_{1u << 20};
  MediaSession media_;
};

TEST_F(MediaSessionTest, OfferAndAnswerAreAgreed) {
  EXPECT_EQ(media_.state(), State::Idle);
  EXPECT_FALSE(media_.at_relay());
  agree();
  EXPECT_EQ(last_for(Party::Callee), "relay:o1");
  EXPECT_EQ(last_for(Party::Caller), "relay:a1");
  EXPECT_FALSE(media_.is_busy());
}

TEST_F(MediaSessionTest, OneCommandAtATimeInTheOrderInWhichTheyCame) {
  ASSERT_TRUE(offer(Party::Caller, "o1", kOwner));
  ASSERT_TRUE(answer(Party::Callee, "a1", kOther));
  EXPECT_EQ(relay(MediaCommand::Offer, Party::Caller, "o1").owner, kOwner);
  EXPECT_EQ(relay(MediaCommand::Answer, Party::Callee, "a1").owner, kOther);
}

// RFC 3261 14.1, RFC 6337 3.4.
TEST_F(MediaSessionTest, ARefusedOfferGoesBackToTheAgreedPairAtTheRelayToo) {
  agree();
  ASSERT_TRUE(offer(Party::Callee, "fax"));
  relay(MediaCommand::Offer, Party::Callee, "fax");
  media_.refused();
  EXPECT_EQ(media_.state(), State::Agreed);
  EXPECT_TRUE(relay(MediaCommand::Offer, Party::Caller, "o1").restores);
  EXPECT_TRUE(relay(MediaCommand::Answer, Party::Callee, "a1").restores);
  EXPECT_EQ(media_.next(), nullptr);
  EXPECT_EQ(last_for(Party::Callee), "relay:o1");
}

TEST_F(MediaSessionTest, ARefusalWhileTheOfferIsAtTheRelayIsRestoredBehindIt) {
  agree();
  ASSERT_TRUE(offer(Party::Callee, "fax"));
  media_.sent();
  media_.refused();
  EXPECT_EQ(media_.next(), nullptr);
  EXPECT_EQ(as_text(media_.completed(true, text("x")).description.bytes()), "fax");
  relay(MediaCommand::Offer, Party::Caller, "o1");
  relay(MediaCommand::Answer, Party::Callee, "a1");
}

TEST_F(MediaSessionTest, AFirstOfferThatIsRefusedLeavesNothingToGoBackTo) {
  ASSERT_TRUE(offer(Party::Caller, "o1"));
  relay(MediaCommand::Offer, Party::Caller, "o1");
  media_.refused();
  EXPECT_EQ(media_.state(), State::Idle);
  EXPECT_EQ(media_.next(), nullptr);
}

TEST_F(MediaSessionTest, ARelayThatRefusesAnOfferLeavesTheAgreedPair) {
  agree();
  ASSERT_TRUE(offer(Party::Caller, "o2"));
  relay(MediaCommand::Offer, Party::Caller, "o2", false);
  EXPECT_EQ(media_.state(), State::Agreed);
  EXPECT_EQ(last_for(Party::Callee), "relay:o1");
}

TEST_F(MediaSessionTest, AnotherForksAnswerReplacesTheOneBefore) {
  agree();
  ASSERT_TRUE(answer(Party::Callee, "a2"));
  relay(MediaCommand::Answer, Party::Callee, "a2");
  EXPECT_EQ(last_for(Party::Caller), "relay:a2");
  ASSERT_TRUE(offer(Party::Caller, "o2"));
  relay(MediaCommand::Offer, Party::Caller, "o2");
  media_.refused();
  relay(MediaCommand::Offer, Party::Caller, "o1");
  relay(MediaCommand::Answer, Party::Callee, "a2");
}

TEST_F(MediaSessionTest, Rfc3261_13_2_1_APreviewIsNoAnswerUntilItIsSettled) {
  ASSERT_TRUE(offer(Party::Caller, "o1"));
  relay(MediaCommand::Offer, Party::Caller, "o1");
  ASSERT_TRUE(media_.answer(Party::Callee, text("p1"), kOwner, true));
  relay(MediaCommand::Answer, Party::Callee, "p1");
  EXPECT_EQ(media_.state(), State::Offered);
  EXPECT_EQ(last_for(Party::Caller), "");
  ASSERT_TRUE(media_.answer(Party::Callee, text("p2"), kOwner, true));
  relay(MediaCommand::Answer, Party::Callee, "p2");
  media_.settle();
  EXPECT_EQ(media_.state(), State::Agreed);
  EXPECT_EQ(last_for(Party::Caller), "relay:p2");
  EXPECT_EQ(last_for(Party::Callee), "relay:o1");
}

TEST_F(MediaSessionTest, Rfc3261_14_1_ARefusalAfterAPreviewGoesBackToTheAgreedPair) {
  agree();
  ASSERT_TRUE(offer(Party::Callee, "o2"));
  relay(MediaCommand::Offer, Party::Callee, "o2");
  ASSERT_TRUE(media_.answer(Party::Caller, text("p2"), kOwner, true));
  relay(MediaCommand::Answer, Party::Caller, "p2");
  media_.refused();
  relay(MediaCommand::Offer, Party::Caller, "o1");
  relay(MediaCommand::Answer, Party::Callee, "a1");
  EXPECT_EQ(last_for(Party::Caller), "relay:a1");
  EXPECT_EQ(media_.state(), State::Agreed);
}

TEST_F(MediaSessionTest, NothingIsSettledWhereNothingWasPreviewed) {
  media_.settle();
  EXPECT_EQ(media_.state(), State::Idle);
  ASSERT_TRUE(offer(Party::Caller, "o1"));
  relay(MediaCommand::Offer, Party::Caller, "o1");
  media_.settle();
  EXPECT_EQ(media_.state(), State::Offered);
}

TEST_F(MediaSessionTest, TheEndDeletesOnceAndForgetsWhatWaits) {
  agree();
  ASSERT_TRUE(offer(Party::Caller, "o2"));
  ASSERT_TRUE(answer(Party::Callee, "a2"));
  media_.end();
  media_.end();
  relay(MediaCommand::Delete, Party::Caller, "");
  EXPECT_EQ(media_.next(), nullptr);
  EXPECT_FALSE(media_.at_relay());
}

TEST_F(MediaSessionTest, WhoWaitsAtTheEndIsNamedOnce) {
  const SlotId first(1, 1), second(2, 1);
  ASSERT_TRUE(media_.offer(Party::Caller, text("o1"), first));
  media_.sent();
  ASSERT_TRUE(media_.answer(Party::Callee, text("a1"), second));
  EXPECT_FALSE(media_.next_abandoned());
  media_.end();
  EXPECT_EQ(media_.next_abandoned(), second);
  EXPECT_EQ(media_.next_abandoned(), first);
  EXPECT_FALSE(media_.next_abandoned());
  EXPECT_FALSE(media_.completed(true, text("x")).owner);
}

TEST_F(MediaSessionTest, DeleteWaitsForWhatIsAtTheRelay) {
  ASSERT_TRUE(offer(Party::Caller, "o1"));
  media_.sent();
  media_.end();
  EXPECT_EQ(media_.next(), nullptr);
  EXPECT_FALSE(media_.completed(true, text("x")).owner);  // nobody waits any more
  relay(MediaCommand::Delete, Party::Caller, "");
}

TEST_F(MediaSessionTest, WhatComesAfterTheEndWakesNothing) {
  agree();
  media_.end();
  relay(MediaCommand::Delete, Party::Caller, "");
  EXPECT_FALSE(offer(Party::Caller, "late"));
  EXPECT_FALSE(answer(Party::Callee, "late"));
  media_.refused();
  EXPECT_EQ(media_.next(), nullptr);
  EXPECT_EQ(media_.state(), State::Ended);
}

TEST_F(MediaSessionTest, NothingIsDeletedThatWasNeverTold) {
  media_.end();
  EXPECT_EQ(media_.next(), nullptr);
}

TEST_F(MediaSessionTest, AfterARestartTheEndDeletesWhatIsThere) {
  media_.adopt();
  EXPECT_TRUE(media_.at_relay());
  media_.end();
  relay(MediaCommand::Delete, Party::Caller, "");
}

TEST_F(MediaSessionTest, TooMuchWaitingIsRefused) {
  for (std::size_t i = 0; i < MediaSession::kWaitingMax; ++i) {
    ASSERT_TRUE(offer(Party::Caller, "o"));
  }
  EXPECT_FALSE(offer(Party::Caller, "o"));
  EXPECT_FALSE(answer(Party::Callee, "a"));
}

TEST_F(MediaSessionTest, AnOwnerThatIsGoneIsForgotten) {
  ASSERT_TRUE(offer(Party::Caller, "o1", kOwner));
  media_.forget_owner(kOwner);
  EXPECT_FALSE(relay(MediaCommand::Offer, Party::Caller, "o1").owner);
}

TEST_F(MediaSessionTest, WhatIsDroppedIsDeletedAndTheNextOfferBeginsAnew) {
  for (const bool deleted_first : {true, false}) {
    ASSERT_TRUE(offer(Party::Caller, "o1"));
    relay(MediaCommand::Offer, Party::Caller, "o1");
    media_.drop();
    EXPECT_EQ(media_.state(), State::Idle);
    if (deleted_first) {
      relay(MediaCommand::Delete, Party::Caller, "");
      EXPECT_FALSE(media_.at_relay());
    }
    ASSERT_TRUE(offer(Party::Caller, "o2"));
    if (!deleted_first) relay(MediaCommand::Delete, Party::Caller, "");
    EXPECT_TRUE(media_.at_relay());
    relay(MediaCommand::Offer, Party::Caller, "o2");
    media_.refused();
    media_.drop();
    relay(MediaCommand::Delete, Party::Caller, "");
    EXPECT_FALSE(media_.at_relay());
    EXPECT_FALSE(media_.is_busy());
  }
  media_.drop();
  media_.end();
  EXPECT_FALSE(media_.is_busy());
  EXPECT_FALSE(offer(Party::Caller, "o3"));
}

}  // namespace
}  // namespace ringway
