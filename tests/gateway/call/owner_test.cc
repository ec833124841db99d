#include "gateway/call/call_table.h"
#include "tests/gateway/call/messages.h"

// User agents that go and come, and what their calls make of it.

namespace ringway {
namespace {

using Due = CallTable::Due;

class OwnerTest : public CallTest {
 protected:
  static constexpr std::uint64_t kAgent = 77, kContact = 5, kOtherContact = 6;
  static Target flow(std::uint32_t slot) {
    Target target;
    target.to_access = true;
    target.transport = Transport::Wss;
    target.flow = FlowId(0, slot, 1);
    return target;
  }
  SlotId owned() {
    const SlotId id = talking();
    table_.set_party(id, Party::Caller, flow(1), kAgent, kContact);
    return id;
  }
};

TEST_F(OwnerTest, ACallOfAUserAgentThatStaysAwayIsLost) {
  const SlotId id = owned();
  table_.owner_away(kAgent, now_);
  EXPECT_EQ(pass(11s), Due::Nothing);
  EXPECT_EQ(pass(2s), Due::PartyLost);
  EXPECT_EQ(table_.lost_party(id, now_), Party::Caller);
}

TEST_F(OwnerTest, OneThatComesBackGoesOnOverItsNewFlow) {
  const SlotId id = owned();
  table_.owner_away(kAgent, now_);
  pass(5s);
  table_.owner_back(kAgent, flow(2), kContact, now_);
  EXPECT_EQ(pass(60s), Due::Nothing);
  EXPECT_EQ(call(id).party(Party::Caller).target.flow, FlowId(0, 2, 1));
  EXPECT_FALSE(call(id).party(Party::Caller).away);
}

TEST_F(OwnerTest, APageThatComesBackWithAnotherContactHasLostItsCalls) {
  const SlotId id = owned();
  table_.owner_away(kAgent, now_);
  pass(2s);
  table_.owner_back(kAgent, flow(2), kOtherContact, now_);
  EXPECT_TRUE(call(id).party(Party::Caller).replaced);
  EXPECT_EQ(call(id).party(Party::Caller).target.flow, FlowId(0, 1, 1));
  EXPECT_EQ(pass(11s), Due::PartyLost);  // the grace began when it went
}

TEST_F(OwnerTest, APageThatIsReplacedWhileItsFlowStandsHasTheWholeGrace) {
  owned();
  table_.owner_back(kAgent, flow(2), kOtherContact, now_);
  EXPECT_EQ(pass(11s), Due::Nothing);
  EXPECT_EQ(pass(2s), Due::PartyLost);
}

TEST_F(OwnerTest, APhoneWhoseContactMovesWithItsPortIsNoOtherPage) {
  const SlotId id = owned();
  Target moved = flow(2);
  moved.transport = Transport::Tcp;
  table_.owner_away(kAgent, now_);
  table_.owner_back(kAgent, moved, kOtherContact, now_);
  EXPECT_EQ(pass(60s), Due::Nothing);
  EXPECT_EQ(call(id).party(Party::Caller).target.flow, FlowId(0, 2, 1));
  EXPECT_EQ(call(id).party(Party::Caller).contact, kOtherContact);
}

TEST_F(OwnerTest, Rfc5626_5_3_OnlyTheNewestFlowThatItSpeaksOnIsWhereItIsHeard) {
  const SlotId id = owned();
  table_.owner_back(kAgent, flow(2), kContact, now_);
  table_.heard_on(id, Party::Caller, flow(1).flow);
  EXPECT_FALSE(call(id).party(Party::Caller).heard_on);
  table_.heard_on(id, Party::Caller, flow(2).flow);
  EXPECT_EQ(call(id).party(Party::Caller).heard_on, FlowId(0, 2, 1));
}

TEST_F(OwnerTest, OneThatIsGoneForGoodIsLostAtOnce) {
  owned();
  table_.owner_gone(kAgent, now_);
  EXPECT_EQ(pass(8ms), Due::PartyLost);
}

TEST_F(OwnerTest, ARingingCallWaitsForItsCallerLikeAnAnsweredOne) {
  const SlotId id = open().call;
  answer(id, {.status = 180});
  table_.set_party(id, Party::Caller, flow(1), kAgent, kContact);
  table_.owner_away(kAgent, now_);
  EXPECT_EQ(pass(11s), Due::Nothing);
  EXPECT_EQ(pass(2s), Due::PartyLost);
}

TEST_F(OwnerTest, OthersCallsAreTheirOwn) {
  const SlotId id = owned();
  table_.set_party(id, Party::Callee, flow(3), kAgent + 1, 0);
  table_.owner_away(kAgent + 2, now_);
  EXPECT_EQ(pass(60s), Due::Nothing);
  table_.owner_away(kAgent + 1, now_);
  EXPECT_EQ(pass(13s), Due::PartyLost);
  EXPECT_EQ(table_.lost_party(id, now_), Party::Callee);
}

TEST_F(OwnerTest, ManyCallsOfOneOwnerAreAllFound) {
  std::array<SlotId, 4> ids;
  for (std::uint64_t i = 0; i < 4; ++i) {
    ids[i] = open({}, make_leg((i + 1) << 8)).call;
    table_.set_party(ids[i], Party::Caller, flow(1), kAgent, 0);
  }
  table_.end(ids[2], CallEnder::Caller, CallEndReason::Bye, now_);
  table_.owner_away(kAgent, now_);
  for (std::uint64_t i = 0; i < 4; ++i) {
    EXPECT_EQ(call(ids[i]).party(Party::Caller).away, i != 2) << i;
  }
}

TEST_F(OwnerTest, OneThatTakesItsBindingBackIsFoundByItsFlow) {
  const SlotId id = owned();
  table_.rename_owner(kAgent, 99);
  table_.owner_away(kAgent, now_);
  EXPECT_FALSE(call(id).party(Party::Caller).away);
  table_.owner_away(99, now_);
  EXPECT_TRUE(call(id).party(Party::Caller).away);
}

}  // namespace
}  // namespace ringway
