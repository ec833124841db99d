#include "protocol/transaction/invite_client.h"

#include <gtest/gtest.h>

#include "tests/protocol/transaction/virtual_clock.h"

namespace ringway::transaction {
namespace {

using State = InviteClient::State;
using Event = InviteClient::Event;
using Owner = VirtualOwner<InviteClient>;
using Seen = std::vector<std::string>;

static_assert(sizeof(InviteClient) <= 8);
static_assert(std::is_trivially_copyable_v<InviteClient>);

Owner in_state(State state, Reliability reliability = Reliability::Unreliable) {
  Owner owner(reliability);
  owner.start();
  if (state == State::Proceeding) owner.receive(Event::Provisional);
  if (state == State::Completed) owner.receive(Event::FinalOther);
  if (state == State::Accepted) owner.receive(Event::Final2xx);
  EXPECT_EQ(owner.state(), state);
  return owner;
}

TEST(InviteClient17112, StartSendsAndArmsAAndB) {
  Owner owner(Reliability::Unreliable);
  EXPECT_EQ(owner.start(), "Send, ArmRetransmit(0.5), ArmLifetime(32)");
  EXPECT_EQ(owner.state(), State::Calling);
}

TEST(InviteClient17112, StartOnReliableTransportHasNoTimerA) {
  Owner owner(Reliability::Reliable);
  EXPECT_EQ(owner.start(), "Send, ArmLifetime(32)");
}

TEST(InviteClient17112, CallingRetransmitsByTimerAUntilTimerB) {
  Owner owner(Reliability::Unreliable);
  owner.start();
  owner.advance(60s);
  EXPECT_EQ(owner.seen(), (Seen{"0 Send", "0.5 Send", "1.5 Send", "3.5 Send", "7.5 Send",
                                "15.5 Send", "31.5 Send", "32 Timeout", "32 Terminate"}));
  EXPECT_EQ(owner.state(), State::Terminated);
  EXPECT_FALSE(owner.has_deadline());
}

TEST(InviteClient17112, CallingOnReliableTransportOnlyTimesOut) {
  Owner owner(Reliability::Reliable);
  owner.start();
  owner.advance(60s);
  EXPECT_EQ(owner.seen(), (Seen{"0 Send", "32 Timeout", "32 Terminate"}));
}

TEST(InviteClient17112, TimersScaleWithT1) {
  Owner owner(Reliability::Unreliable, Timers{100ms, 4s, 5s});
  owner.start();
  owner.advance(60s);
  EXPECT_EQ(owner.seen(), (Seen{"0 Send", "0.1 Send", "0.3 Send", "0.7 Send", "1.5 Send",
                                "3.1 Send", "6.3 Send", "6.4 Timeout", "6.4 Terminate"}));
}

TEST(InviteClient17112, CallingProvisionalStopsTimersAndProceeds) {
  Owner owner = in_state(State::Calling);
  EXPECT_EQ(owner.receive(Event::Provisional), "DisarmRetransmit, DisarmLifetime, ToUser");
  EXPECT_EQ(owner.state(), State::Proceeding);
  EXPECT_FALSE(owner.has_deadline());
}

TEST(InviteClient17112, CallingFinalNon2xxIsAcknowledged) {
  Owner owner = in_state(State::Calling);
  EXPECT_EQ(owner.receive(Event::FinalOther), "DisarmRetransmit, SendAck, ArmLifetime(32), ToUser");
  EXPECT_EQ(owner.state(), State::Completed);
}

TEST(InviteClient17112, CallingFinalNon2xxOnReliableTransportEnds) {
  Owner owner = in_state(State::Calling, Reliability::Reliable);
  EXPECT_EQ(owner.receive(Event::FinalOther), "DisarmRetransmit, SendAck, ToUser, Terminate");
  EXPECT_EQ(owner.state(), State::Terminated);
}

TEST(InviteClient6026, Calling2xxIsAcceptedWithoutAck) {
  for (const Reliability reliability : {Reliability::Unreliable, Reliability::Reliable}) {
    Owner owner = in_state(State::Calling, reliability);
    EXPECT_EQ(owner.receive(Event::Final2xx), "DisarmRetransmit, ArmLifetime(32), ToUser");
    EXPECT_EQ(owner.state(), State::Accepted);
  }
}

TEST(InviteClient17112, CallingTransportErrorEnds) {
  Owner owner = in_state(State::Calling);
  EXPECT_EQ(owner.receive(Event::TransportError), "TransportError, Terminate");
  EXPECT_EQ(owner.state(), State::Terminated);
}

TEST(InviteClient17112, ProceedingPassesEachProvisional) {
  Owner owner = in_state(State::Proceeding);
  EXPECT_EQ(owner.receive(Event::Provisional), "ToUser");
  EXPECT_EQ(owner.receive(Event::Provisional), "ToUser");
  EXPECT_EQ(owner.state(), State::Proceeding);
}

TEST(InviteClient17112, ProceedingFinalNon2xxIsAcknowledged) {
  Owner owner = in_state(State::Proceeding);
  EXPECT_EQ(owner.receive(Event::FinalOther), "SendAck, ArmLifetime(32), ToUser");
  EXPECT_EQ(owner.state(), State::Completed);

  Owner reliable = in_state(State::Proceeding, Reliability::Reliable);
  EXPECT_EQ(reliable.receive(Event::FinalOther), "SendAck, ToUser, Terminate");
}

TEST(InviteClient6026, Proceeding2xxIsAccepted) {
  Owner owner = in_state(State::Proceeding);
  EXPECT_EQ(owner.receive(Event::Final2xx), "ArmLifetime(32), ToUser");
  EXPECT_EQ(owner.state(), State::Accepted);
}

TEST(InviteClient17112, ProceedingHasNoTimers) {
  Owner owner = in_state(State::Proceeding);
  owner.advance(3600s);
  EXPECT_EQ(owner.receive(Event::RetransmitTimer), "");  // late
  EXPECT_EQ(owner.receive(Event::LifetimeTimer), "");
  EXPECT_EQ(owner.state(), State::Proceeding);
}

TEST(InviteClient17112, ProceedingOnDeadFlowEnds) {
  Owner owner = in_state(State::Proceeding);
  EXPECT_EQ(owner.receive(Event::TransportError), "TransportError, Terminate");
}

TEST(InviteClient17112, CompletedRepeatsAckAndKeepsResponseToItself) {
  Owner owner = in_state(State::Completed);
  EXPECT_EQ(owner.receive(Event::FinalOther), "SendAck");
  EXPECT_EQ(owner.receive(Event::Provisional), "");
  EXPECT_EQ(owner.receive(Event::Final2xx), "");
  EXPECT_EQ(owner.receive(Event::RetransmitTimer), "");
  EXPECT_EQ(owner.state(), State::Completed);
}

TEST(InviteClient17112, CompletedEndsByTimerD) {
  Owner owner = in_state(State::Completed);
  owner.advance(60s);
  EXPECT_EQ(owner.seen(), (Seen{"0 Send", "0 SendAck", "0 ToUser", "32 Terminate"}));
}

TEST(InviteClient17112, TimerDIsAtLeast32SecondsWhateverT1) {
  EXPECT_EQ(timer_d(Timers{100ms, 4s, 5s}, Reliability::Unreliable), 32s);
  EXPECT_EQ(timer_d(Timers{1s, 4s, 5s}, Reliability::Unreliable), 64s);
  EXPECT_EQ(timer_d(Timers{}, Reliability::Reliable), 0s);
}

TEST(InviteClient17112, CompletedTransportErrorOfAckEnds) {
  Owner owner = in_state(State::Completed);
  EXPECT_EQ(owner.receive(Event::TransportError), "TransportError, Terminate");
  EXPECT_EQ(owner.state(), State::Terminated);
}

TEST(InviteClient6026, AcceptedPassesEach2xxAndEndsByTimerM) {
  for (const Reliability reliability : {Reliability::Unreliable, Reliability::Reliable}) {
    Owner owner = in_state(State::Accepted, reliability);
    owner.advance(10s);
    EXPECT_EQ(owner.receive(Event::Final2xx), "ToUser");
    EXPECT_EQ(owner.receive(Event::Provisional), "");
    EXPECT_EQ(owner.receive(Event::FinalOther), "");
    EXPECT_EQ(owner.receive(Event::TransportError), "");
    EXPECT_EQ(owner.receive(Event::RetransmitTimer), "");
    owner.advance(60s);
    EXPECT_EQ(owner.seen(), (Seen{"0 Send", "0 ToUser", "10 ToUser", "32 Terminate"}));
  }
}

TEST(InviteClient17112, TerminatedIgnoresEverything) {
  Owner owner = in_state(State::Calling);
  owner.receive(Event::TransportError);
  for (int event = 0; event <= static_cast<int>(Event::TransportError); ++event) {
    EXPECT_EQ(owner.receive(static_cast<Event>(event)), "") << event;
    EXPECT_EQ(owner.state(), State::Terminated);
  }
}

}  // namespace
}  // namespace ringway::transaction
