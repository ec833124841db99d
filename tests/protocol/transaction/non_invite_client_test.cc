#include "protocol/transaction/non_invite_client.h"

#include <gtest/gtest.h>

#include "tests/protocol/transaction/virtual_clock.h"

namespace ringway::transaction {
namespace {

using State = NonInviteClient::State;
using Event = NonInviteClient::Event;
using Owner = VirtualOwner<NonInviteClient>;
using Seen = std::vector<std::string>;

static_assert(sizeof(NonInviteClient) <= 8);
static_assert(std::is_trivially_copyable_v<NonInviteClient>);

Owner in_state(State state, Reliability reliability = Reliability::Unreliable) {
  Owner owner(reliability);
  owner.start();
  if (state == State::Proceeding) owner.receive(Event::Provisional);
  if (state == State::Completed) owner.receive(Event::Final);
  EXPECT_EQ(owner.state(), state);
  return owner;
}

TEST(NonInviteClient17122, StartSendsAndArmsEAndF) {
  Owner owner(Reliability::Unreliable);
  EXPECT_EQ(owner.start(), "Send, ArmRetransmit(0.5), ArmLifetime(32)");
  Owner reliable(Reliability::Reliable);
  EXPECT_EQ(reliable.start(), "Send, ArmLifetime(32)");
}

TEST(NonInviteClient17122, TryingRetransmitsByTimerECappedAtT2UntilTimerF) {
  Owner owner(Reliability::Unreliable);
  owner.start();
  owner.advance(60s);
  EXPECT_EQ(owner.seen(), (Seen{"0 Send", "0.5 Send", "1.5 Send", "3.5 Send", "7.5 Send",
                                "11.5 Send", "15.5 Send", "19.5 Send", "23.5 Send", "27.5 Send",
                                "31.5 Send", "32 Timeout", "32 Terminate"}));
  EXPECT_FALSE(owner.has_deadline());
}

TEST(NonInviteClient17122, TryingOnReliableTransportOnlyTimesOut) {
  Owner owner(Reliability::Reliable);
  owner.start();
  owner.advance(60s);
  EXPECT_EQ(owner.seen(), (Seen{"0 Send", "32 Timeout", "32 Terminate"}));
}

TEST(NonInviteClient17122, ProceedingRetransmitsEachT2) {
  Owner owner(Reliability::Unreliable);
  owner.start();
  owner.advance(1s);
  EXPECT_EQ(owner.receive(Event::Provisional), "ToUser");
  EXPECT_EQ(owner.state(), State::Proceeding);
  owner.advance(60s);
  EXPECT_EQ(owner.seen(), (Seen{"0 Send", "0.5 Send", "1 ToUser", "1.5 Send", "5.5 Send",
                                "9.5 Send", "13.5 Send", "17.5 Send", "21.5 Send", "25.5 Send",
                                "29.5 Send", "32 Timeout", "32 Terminate"}));
}

TEST(NonInviteClient17122, TryingFinalCompletes) {
  Owner owner = in_state(State::Trying);
  EXPECT_EQ(owner.receive(Event::Final), "DisarmRetransmit, ArmLifetime(5), ToUser");
  EXPECT_EQ(owner.state(), State::Completed);
  owner.advance(60s);
  EXPECT_EQ(owner.seen(), (Seen{"0 Send", "0 ToUser", "5 Terminate"}));
}

TEST(NonInviteClient17122, FinalOnReliableTransportEnds) {
  for (const State state : {State::Trying, State::Proceeding}) {
    Owner owner = in_state(state, Reliability::Reliable);
    EXPECT_EQ(owner.receive(Event::Final), "ToUser, Terminate");
    EXPECT_EQ(owner.state(), State::Terminated);
    EXPECT_FALSE(owner.has_deadline());
  }
}

TEST(NonInviteClient17122, ProceedingPassesEachProvisionalAndTheFinal) {
  Owner owner = in_state(State::Proceeding);
  EXPECT_EQ(owner.receive(Event::Provisional), "ToUser");
  EXPECT_EQ(owner.receive(Event::Final), "DisarmRetransmit, ArmLifetime(5), ToUser");
  EXPECT_EQ(owner.state(), State::Completed);
}

TEST(NonInviteClient17122, TransportErrorEnds) {
  for (const State state : {State::Trying, State::Proceeding}) {
    Owner owner = in_state(state);
    EXPECT_EQ(owner.receive(Event::TransportError), "TransportError, Terminate");
    EXPECT_EQ(owner.state(), State::Terminated);
  }
}

TEST(NonInviteClient17122, CompletedAbsorbsUntilTimerK) {
  Owner owner = in_state(State::Completed);
  EXPECT_EQ(owner.receive(Event::Provisional), "");
  EXPECT_EQ(owner.receive(Event::Final), "");
  EXPECT_EQ(owner.receive(Event::RetransmitTimer), "");
  EXPECT_EQ(owner.receive(Event::TransportError), "");
  EXPECT_EQ(owner.receive(Event::LifetimeTimer), "Terminate");
  EXPECT_EQ(owner.state(), State::Terminated);
}

TEST(NonInviteClient17122, TerminatedIgnoresEverything) {
  Owner owner = in_state(State::Trying);
  owner.receive(Event::TransportError);
  for (int event = 0; event <= static_cast<int>(Event::TransportError); ++event) {
    EXPECT_EQ(owner.receive(static_cast<Event>(event)), "") << event;
  }
}

}  // namespace
}  // namespace ringway::transaction
