#include "protocol/transaction/non_invite_server.h"

#include <gtest/gtest.h>

#include "tests/protocol/transaction/virtual_clock.h"

namespace ringway::transaction {
namespace {

using State = NonInviteServer::State;
using Event = NonInviteServer::Event;
using Owner = VirtualOwner<NonInviteServer>;
using Seen = std::vector<std::string>;

static_assert(sizeof(NonInviteServer) <= 8);
static_assert(std::is_trivially_copyable_v<NonInviteServer>);

Owner in_state(State state, Reliability reliability = Reliability::Unreliable) {
  Owner owner(reliability);
  owner.start();
  if (state == State::Proceeding) owner.receive(Event::RetransmitTimer);
  if (state == State::Completed) owner.receive(Event::Final);
  EXPECT_EQ(owner.state(), state);
  return owner;
}

TEST(NonInviteServer1722, StartHandsTheRequestUp) {
  for (const Reliability reliability : {Reliability::Unreliable, Reliability::Reliable}) {
    Owner owner(reliability);
    EXPECT_EQ(owner.start(), "ArmRetransmit(3.5), ToUser");
    EXPECT_EQ(owner.state(), State::Trying);
  }
}

TEST(NonInviteServer4320, UnansweredGetsOne100WhenTimerEReachesT2) {
  for (const Reliability reliability : {Reliability::Unreliable, Reliability::Reliable}) {
    Owner owner(reliability);
    owner.start();
    owner.advance(3600s);
    EXPECT_EQ(owner.seen(), (Seen{"0 ToUser", "3.5 Send100"}));
    EXPECT_EQ(owner.state(), State::Proceeding);
  }
}

TEST(NonInviteServer4320, TheLate100FollowsT1AndT2) {
  EXPECT_EQ(late_trying(Timers{}), 3500ms);
  EXPECT_EQ(late_trying(Timers{1s, 4s, 5s}), 3s);
  EXPECT_EQ(late_trying(Timers{500ms, 8s, 5s}), 7500ms);
}

TEST(NonInviteServer4320, AnsweredInTimeGetsNo100) {
  Owner owner = in_state(State::Trying);
  owner.advance(3s);
  EXPECT_EQ(owner.receive(Event::Final), "Send, DisarmRetransmit, ArmLifetime(32)");
  owner.advance(60s);
  EXPECT_EQ(owner.seen(), (Seen{"0 ToUser", "3 Send", "35 Terminate"}));
}

TEST(NonInviteServer1722, TryingDiscardsRetransmissions) {
  Owner owner = in_state(State::Trying);
  EXPECT_EQ(owner.receive(Event::RequestReceived), "");
  EXPECT_EQ(owner.receive(Event::LifetimeTimer), "");
  EXPECT_EQ(owner.state(), State::Trying);
}

TEST(NonInviteServer1722, ProceedingRepeatsThe100) {
  Owner owner = in_state(State::Proceeding);
  EXPECT_EQ(owner.receive(Event::RequestReceived), "Send");
  EXPECT_EQ(owner.receive(Event::RetransmitTimer), "");
  EXPECT_EQ(owner.receive(Event::LifetimeTimer), "");
  EXPECT_EQ(owner.state(), State::Proceeding);
}

TEST(NonInviteServer1722, ProceedingFinalCompletes) {
  Owner owner = in_state(State::Proceeding);
  EXPECT_EQ(owner.receive(Event::Final), "Send, ArmLifetime(32)");
  EXPECT_EQ(owner.state(), State::Completed);
}

TEST(NonInviteServer1722, FinalOnReliableTransportEnds) {
  for (const State state : {State::Trying, State::Proceeding}) {
    Owner owner = in_state(state, Reliability::Reliable);
    EXPECT_EQ(owner.receive(Event::Final), "Send, Terminate");
    EXPECT_EQ(owner.state(), State::Terminated);
    EXPECT_FALSE(owner.has_deadline());
  }
}

TEST(NonInviteServer4320, AbandonedEndsWithoutAnAnswer) {
  for (const State state : {State::Trying, State::Proceeding}) {
    Owner owner = in_state(state);
    EXPECT_EQ(owner.receive(Event::Abandoned), "Terminate");
    EXPECT_EQ(owner.state(), State::Terminated);
  }
}

TEST(NonInviteServer1722, CompletedRepeatsTheResponseUntilTimerJ) {
  Owner owner = in_state(State::Completed);
  EXPECT_EQ(owner.receive(Event::RequestReceived), "Send");
  EXPECT_EQ(owner.receive(Event::Final), "");
  EXPECT_EQ(owner.receive(Event::Abandoned), "");
  EXPECT_EQ(owner.receive(Event::RetransmitTimer), "");
  EXPECT_EQ(owner.state(), State::Completed);
  owner.advance(60s);
  EXPECT_EQ(owner.seen(), (Seen{"0 ToUser", "0 Send", "0 Send", "32 Terminate"}));
}

TEST(NonInviteServer6026, TransportErrorNeverEnds) {
  for (const State state : {State::Trying, State::Proceeding, State::Completed}) {
    Owner owner = in_state(state);
    EXPECT_EQ(owner.receive(Event::TransportError), "TransportError");
    EXPECT_EQ(owner.state(), state);
  }
}

TEST(NonInviteServer1722, TerminatedIgnoresEverything) {
  Owner owner = in_state(State::Trying);
  owner.receive(Event::Abandoned);
  for (int event = 0; event <= static_cast<int>(Event::TransportError); ++event) {
    EXPECT_EQ(owner.receive(static_cast<Event>(event)), "") << event;
  }
}

}  // namespace
}  // namespace ringway::transaction
