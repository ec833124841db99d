#include "protocol/transaction/invite_server.h"

#include <gtest/gtest.h>

#include "tests/protocol/transaction/virtual_clock.h"

namespace ringway::transaction {
namespace {

using State = InviteServer::State;
using Event = InviteServer::Event;
using Owner = VirtualOwner<InviteServer>;
using Seen = std::vector<std::string>;

static_assert(sizeof(InviteServer) <= 8);
static_assert(std::is_trivially_copyable_v<InviteServer>);

Owner in_state(State state, Reliability reliability = Reliability::Unreliable) {
  Owner owner(reliability);
  owner.start();
  if (state == State::Accepted) owner.receive(Event::Final2xx);
  if (state == State::Completed || state == State::Confirmed) owner.receive(Event::FinalOther);
  if (state == State::Confirmed) owner.receive(Event::AckReceived);
  EXPECT_EQ(owner.state(), state);
  return owner;
}

TEST(InviteServer1721, StartSends100AndHandsTheInviteUp) {
  Owner owner(Reliability::Unreliable);
  EXPECT_EQ(owner.start(), "Send100, ToUser");
  EXPECT_EQ(owner.state(), State::Proceeding);
  EXPECT_FALSE(owner.has_deadline());
}

TEST(InviteServer1721, ProceedingRepeatsTheProvisional) {
  Owner owner = in_state(State::Proceeding);
  EXPECT_EQ(owner.receive(Event::RequestReceived), "Send");
  EXPECT_EQ(owner.state(), State::Proceeding);
}

TEST(InviteServer1721, ProceedingSendsProvisionals) {
  Owner owner = in_state(State::Proceeding);
  EXPECT_EQ(owner.receive(Event::Provisional), "Send");
  EXPECT_EQ(owner.receive(Event::Provisional), "Send");
  EXPECT_EQ(owner.state(), State::Proceeding);
}

TEST(InviteServer6026, Proceeding2xxIsAccepted) {
  for (const Reliability reliability : {Reliability::Unreliable, Reliability::Reliable}) {
    Owner owner = in_state(State::Proceeding, reliability);
    EXPECT_EQ(owner.receive(Event::Final2xx), "Send, ArmLifetime(32)");
    EXPECT_EQ(owner.state(), State::Accepted);
  }
}

TEST(InviteServer1721, ProceedingFinalNon2xxCompletes) {
  Owner owner = in_state(State::Proceeding);
  EXPECT_EQ(owner.receive(Event::FinalOther), "Send, ArmRetransmit(0.5), ArmLifetime(32)");
  EXPECT_EQ(owner.state(), State::Completed);

  Owner reliable = in_state(State::Proceeding, Reliability::Reliable);
  EXPECT_EQ(reliable.receive(Event::FinalOther), "Send, ArmLifetime(32)");
  EXPECT_EQ(reliable.state(), State::Completed);
}

TEST(InviteServer6026, TransportErrorNeverEnds) {
  for (const State state : {State::Proceeding, State::Completed, State::Accepted}) {
    Owner owner = in_state(state);
    EXPECT_EQ(owner.receive(Event::TransportError), "TransportError");
    EXPECT_EQ(owner.state(), state);
  }
}

TEST(InviteServer1721, ProceedingIgnoresAckAndTimers) {
  Owner owner = in_state(State::Proceeding);
  EXPECT_EQ(owner.receive(Event::AckReceived), "");
  EXPECT_EQ(owner.receive(Event::RetransmitTimer), "");
  EXPECT_EQ(owner.receive(Event::LifetimeTimer), "");
  EXPECT_EQ(owner.state(), State::Proceeding);
}

TEST(InviteServer1721, CompletedRetransmitsByTimerGCappedAtT2UntilTimerH) {
  Owner owner = in_state(State::Completed);
  owner.advance(60s);
  EXPECT_EQ(owner.seen(),
            (Seen{"0 Send100", "0 ToUser", "0 Send", "0.5 Send", "1.5 Send", "3.5 Send", "7.5 Send",
                  "11.5 Send", "15.5 Send", "19.5 Send", "23.5 Send", "27.5 Send", "31.5 Send",
                  "32 Timeout", "32 Terminate"}));
  EXPECT_FALSE(owner.has_deadline());
}

TEST(InviteServer1721, CompletedOnReliableTransportWaitsForAckByTimerH) {
  Owner owner = in_state(State::Completed, Reliability::Reliable);
  owner.advance(60s);
  EXPECT_EQ(owner.seen(), (Seen{"0 Send100", "0 ToUser", "0 Send", "32 Timeout", "32 Terminate"}));
}

TEST(InviteServer1721, CompletedRepeatsTheResponse) {
  Owner owner = in_state(State::Completed);
  EXPECT_EQ(owner.receive(Event::RequestReceived), "Send");
  EXPECT_EQ(owner.state(), State::Completed);
}

TEST(InviteServer1721, CompletedDiscardsFurtherResponses) {
  Owner owner = in_state(State::Completed);
  EXPECT_EQ(owner.receive(Event::Provisional), "");
  EXPECT_EQ(owner.receive(Event::Final2xx), "");
  EXPECT_EQ(owner.receive(Event::FinalOther), "");
  EXPECT_EQ(owner.state(), State::Completed);
}

TEST(InviteServer1721, CompletedAckConfirms) {
  Owner owner = in_state(State::Completed);
  EXPECT_EQ(owner.receive(Event::AckReceived), "DisarmRetransmit, ArmLifetime(5)");
  EXPECT_EQ(owner.state(), State::Confirmed);

  Owner reliable = in_state(State::Completed, Reliability::Reliable);
  EXPECT_EQ(reliable.receive(Event::AckReceived), "Terminate");
  EXPECT_EQ(reliable.state(), State::Terminated);
}

TEST(InviteServer1721, ConfirmedAbsorbsUntilTimerI) {
  Owner owner = in_state(State::Confirmed);
  for (int event = 0; event <= static_cast<int>(Event::TransportError); ++event) {
    if (static_cast<Event>(event) == Event::LifetimeTimer) continue;
    EXPECT_EQ(owner.receive(static_cast<Event>(event)), "") << event;
    EXPECT_EQ(owner.state(), State::Confirmed);
  }
  owner.advance(60s);
  EXPECT_EQ(owner.seen(), (Seen{"0 Send100", "0 ToUser", "0 Send", "5 Terminate"}));
}

TEST(InviteServer6026, AcceptedAbsorbsInvitesSends2xxAndHandsAcksUp) {
  Owner owner = in_state(State::Accepted);
  EXPECT_EQ(owner.receive(Event::RequestReceived), "");
  EXPECT_EQ(owner.receive(Event::AckReceived), "ToUser");
  EXPECT_EQ(owner.receive(Event::Final2xx), "Send");
  EXPECT_EQ(owner.receive(Event::Provisional), "");
  EXPECT_EQ(owner.receive(Event::FinalOther), "");
  EXPECT_EQ(owner.receive(Event::RetransmitTimer), "");
  EXPECT_EQ(owner.state(), State::Accepted);
}

TEST(InviteServer6026, AcceptedEndsByTimerLOnEachTransport) {
  for (const Reliability reliability : {Reliability::Unreliable, Reliability::Reliable}) {
    Owner owner = in_state(State::Accepted, reliability);
    owner.advance(60s);
    EXPECT_EQ(owner.seen(), (Seen{"0 Send100", "0 ToUser", "0 Send", "32 Terminate"}));
    EXPECT_EQ(owner.state(), State::Terminated);
  }
}

TEST(InviteServer1721, TerminatedIgnoresEverything) {
  Owner owner = in_state(State::Completed, Reliability::Reliable);
  owner.receive(Event::AckReceived);
  for (int event = 0; event <= static_cast<int>(Event::TransportError); ++event) {
    EXPECT_EQ(owner.receive(static_cast<Event>(event)), "") << event;
  }
}

}  // namespace
}  // namespace ringway::transaction
