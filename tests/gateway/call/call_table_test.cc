#include "gateway/call/call_table.h"

#include "tests/gateway/call/messages.h"

namespace ringway {
namespace {

using Due = CallTable::Due;
using Opened = CallTable::Opened;

class CallTableTest : public CallTest {};

TEST_F(CallTableTest, TwoPassesOfOneCallIdAreTwoCalls) {
  const SlotId first = open({}, make_leg(0x10)).call, second = open({}, make_leg(0x20)).call;
  EXPECT_NE(first, second);
  EXPECT_EQ(table_.find("call@example.org", make_leg(0x10)), first);
  EXPECT_EQ(table_.find("call@example.org", make_leg(0x10) | kLegAccessIsCaller), first);
  EXPECT_EQ(table_.find("call@example.org", make_leg(0x20)), second);
  EXPECT_FALSE(table_.find("call@example.org", make_leg(0x30)));
  EXPECT_FALSE(table_.find("other@example.org", make_leg(0x10)));
  EXPECT_FALSE(table_.find("call@example.org", 0));
  EXPECT_EQ(counters_->dialogs.value(), 2u);
}

TEST_F(CallTableTest, StatesFromInviteToBye) {
  const SlotId id = open().call;
  EXPECT_EQ(call(id).state, CallState::Calling);
  answer(id, {.status = 100, .to_tag = ""});
  EXPECT_EQ(call(id).state, CallState::Calling);
  pass(300ms);
  const SlotId dialog = answer(id, {.status = 180});
  EXPECT_EQ(call(id).state, CallState::Ringing);
  EXPECT_EQ(table_.dialog(dialog)->state, DialogState::Early);
  pass(2s);
  EXPECT_EQ(answer(id), dialog);
  EXPECT_EQ(call(id).state, CallState::Answered);
  EXPECT_EQ(table_.dialog(dialog)->state, DialogState::Confirmed);
  EXPECT_EQ(call(id).first_provisional_ms, 300u);
  EXPECT_EQ(call(id).answer_ms, 2300u);
  const Request bye{.method = "BYE", .to_tag = "b", .cseq = 2};
  ASSERT_EQ(passes(id, Party::Caller, bye), dialog);
  EXPECT_EQ(call(id).state, CallState::Answered);
  EXPECT_TRUE(answered(id, dialog, Party::Caller, bye, {.method = "BYE", .cseq = 2}));
  EXPECT_EQ(call(id).state, CallState::Ended);
  EXPECT_EQ(call(id).ended_by, CallEnder::Caller);
  EXPECT_EQ(call(id).reason, CallEndReason::Bye);
  EXPECT_EQ(table_.live(), 0u);
  EXPECT_EQ(table_.dialogs(), 0u);
}

TEST_F(CallTableTest, AChallengedCallGoesOnWithCredentialsOrEnds) {
  const SlotId id = open().call;
  table_.invite_refused(id, 407, CallEnder::NextHop, CallEndReason::Refused, now_);
  EXPECT_EQ(call(id).state, CallState::Challenged);
  EXPECT_EQ(pass(9s), Due::Nothing);
  const auto again = open({.cseq = 2});
  EXPECT_EQ(again.outcome, Opened::Again);
  EXPECT_EQ(again.call, id);
  EXPECT_EQ(call(id).state, CallState::Calling);
  EXPECT_EQ(call(id).invite_cseq, 2u);
  EXPECT_EQ(pass(20s), Due::Nothing);
  table_.invite_refused(id, 401, CallEnder::NextHop, CallEndReason::Refused, now_);
  EXPECT_EQ(pass(11s), Due::ChallengeOver);
}

TEST_F(CallTableTest, ARefusedCallIsOver) {
  constexpr sip::Status kRefusals[] = {404, 408, 486, 488, 603};
  for (const sip::Status status : kRefusals) {
    const SlotId id = open({}, make_leg(std::uint64_t{status} << 4)).call;
    answer(id, {.status = 180});
    table_.invite_refused(id, status, CallEnder::Callee, CallEndReason::Refused, now_);
    EXPECT_EQ(call(id).state, CallState::Ended) << status;
    EXPECT_EQ(call(id).status, status);
    EXPECT_EQ(table_.dialogs(), 0u);
  }
}

// RFC 3261 13.2.2.4, 16.7 item 5.
TEST_F(CallTableTest, SeveralSuccessesAreSeveralDialogs) {
  const SlotId id = open().call;
  const SlotId first = answer(id, {.to_tag = "A"}), second = answer(id, {.to_tag = "B"});
  EXPECT_NE(first, second);
  EXPECT_EQ(table_.confirmed_dialogs(id), 2u);
  const Request bye{.method = "BYE", .to_tag = "A", .cseq = 2};
  EXPECT_FALSE(answered(id, passes(id, Party::Caller, bye), Party::Caller, bye,
                        {.to_tag = "A", .method = "BYE", .cseq = 2}));
  EXPECT_EQ(call(id).state, CallState::Answered);
  const Request other{.method = "BYE", .to_tag = "B", .cseq = 2};
  EXPECT_TRUE(answered(id, passes(id, Party::Caller, other), Party::Caller, other,
                       {.to_tag = "B", .method = "BYE", .cseq = 2}));
}

// RFC 3261 15: an early dialog may be ended by BYE, and only that one.
TEST_F(CallTableTest, AByeEndsTheDialogWithItsTagsAndNoOther) {
  const SlotId id = open().call;
  answer(id, {.status = 183, .to_tag = "B"});
  answer(id, {.to_tag = "A"});
  const Request bye{.method = "BYE", .to_tag = "B", .cseq = 2};
  const SlotId early = passes(id, Party::Caller, bye);
  ASSERT_TRUE(early);
  EXPECT_FALSE(answered(id, early, Party::Caller, bye, {.to_tag = "B", .method = "BYE"}));
  EXPECT_EQ(call(id).state, CallState::Answered);
  EXPECT_EQ(table_.dialog(early)->state, DialogState::Ended);
}

TEST_F(CallTableTest, AByeOfForeignTagsEndsNothing) {
  const SlotId id = talking();
  for (const Request& bye :
       {Request{.method = "BYE", .to_tag = "foreign", .cseq = 2},
        Request{.method = "BYE", .from_tag = "foreign", .to_tag = "b", .cseq = 2},
        Request{.method = "BYE", .from_tag = "b", .to_tag = "a", .cseq = 2}}) {
    const SlotId dialog = passes(id, Party::Caller, bye);
    EXPECT_FALSE(dialog);
    EXPECT_FALSE(answered(id, dialog, Party::Caller, bye, {.status = 481, .method = "BYE"}));
  }
  EXPECT_EQ(call(id).state, CallState::Answered);
}

TEST_F(CallTableTest, AByeCountsOnceItsFinalResponseHasPassed) {
  const SlotId id = talking();
  const Request bye{.method = "BYE", .to_tag = "b", .cseq = 2};
  const SlotId dialog = passes(id, Party::Caller, bye);
  EXPECT_FALSE(answered(id, dialog, Party::Caller, bye, {.status = 401, .method = "BYE"}));
  EXPECT_FALSE(answered(id, dialog, Party::Caller, bye, {.status = 500, .method = "BYE"}));
  EXPECT_EQ(call(id).state, CallState::Answered);
  EXPECT_TRUE(table_.request_failed(id, dialog, Party::Caller, sip::Method::Bye, 408, now_));
}

// RFC 3261 12.2.1.2.
TEST_F(CallTableTest, ADialogThatTheFarEndDoesNotKnowIsOver) {
  const SlotId id = talking();
  const Request invite{.to_tag = "b", .cseq = 2};
  const SlotId dialog = passes(id, Party::Caller, invite);
  EXPECT_FALSE(answered(id, dialog, Party::Caller, invite, {.status = 488}));
  EXPECT_TRUE(answered(id, dialog, Party::Caller, invite, {.status = 481}));
  EXPECT_EQ(call(id).reason, CallEndReason::DialogGone);
}

TEST_F(CallTableTest, CSeqOfEachSideIsRemembered) {
  const SlotId id = talking();
  const SlotId dialog =
      passes(id, Party::Callee, {.method = "INFO", .from_tag = "b", .to_tag = "a", .cseq = 7001});
  ASSERT_TRUE(dialog);
  passes(id, Party::Callee, {.method = "INFO", .from_tag = "b", .to_tag = "a", .cseq = 12});
  passes(id, Party::Caller, {.method = "INFO", .to_tag = "b", .cseq = 4});
  Dialog& entry = *table_.dialog(dialog);
  EXPECT_EQ(entry.next_cseq(Party::Callee), 7002u);
  EXPECT_EQ(entry.next_cseq(Party::Caller), 5u);
  EXPECT_EQ(entry.next_cseq(Party::Caller), 6u);
}

TEST_F(CallTableTest, TheTombstoneKeepsLateRequestsFromWakingIt) {
  const SlotId id = talking();
  table_.end(id, CallEnder::Gateway, CallEndReason::FlowLost, now_);
  EXPECT_EQ(table_.find("call@example.org", kLeg), id);
  EXPECT_EQ(open({.cseq = 3}).outcome, Opened::Taken);
  EXPECT_EQ(pass(31s), Due::Nothing);
  EXPECT_EQ(pass(2s), Due::TombstoneOver);
  table_.release(id);
  EXPECT_FALSE(table_.find("call@example.org", kLeg));
  EXPECT_EQ(table_.size(), 0u);
  EXPECT_EQ(wheel_.size(), 0u);
  EXPECT_EQ(buffers_.in_use(), 0u);
}

TEST_F(CallTableTest, AFullTableForgetsTombstonesFirstAndThenRefuses) {
  std::array<SlotId, 4> ids;
  for (std::uint64_t i = 0; i < 4; ++i) ids[i] = open({}, make_leg((i + 1) << 4)).call;
  EXPECT_EQ(open({}, make_leg(0x100)).outcome, Opened::Full);
  EXPECT_EQ(counters_->calls_refused.value(), 1u);
  table_.end(ids[1], CallEnder::Caller, CallEndReason::Bye, now_);
  EXPECT_EQ(open({}, make_leg(0x100)).outcome, Opened::New);
  EXPECT_EQ(counters_->call_tombstones_cut_short.value(), 1u);
  EXPECT_EQ(open({}, make_leg(0x200)).outcome, Opened::Full);
  EXPECT_EQ(table_.live(), 4u);
}

TEST_F(CallTableTest, OfTooManyForksTheOldestThatHasNotAnsweredIsForgotten) {
  const SlotId id = open().call;
  const auto tag = [](std::uint32_t i) { return "t" + std::to_string(i); };
  for (std::uint32_t i = 0; i <= CallTable::kDialogsMax; ++i) {
    EXPECT_TRUE(answer(id, {.status = 180, .to_tag = tag(i)}));
  }
  EXPECT_EQ(table_.dialogs(), CallTable::kDialogsMax);
  EXPECT_FALSE(table_.find_dialog(id, "a", tag(0)));
  EXPECT_TRUE(table_.find_dialog(id, "a", tag(1)));
  for (std::uint32_t i = 1; i <= CallTable::kDialogsMax; ++i) answer(id, {.to_tag = tag(i)});
  EXPECT_FALSE(answer(id, {.to_tag = "one-more"})) << "all have answered";
  EXPECT_EQ(counters_->dialogs_refused.value(), 1u);
  EXPECT_EQ(table_.confirmed_dialogs(id), CallTable::kDialogsMax);
}

TEST_F(CallTableTest, ASilentSetupEnds) {
  const SlotId id = open().call;
  EXPECT_EQ(pass(200s), Due::Nothing);
  answer(id, {.status = 180});
  EXPECT_EQ(pass(200s), Due::Nothing);
  EXPECT_EQ(pass(31s), Due::SetupOver);
}

TEST_F(CallTableTest, ACallWithoutAnEndHasALongestDuration) {
  talking();
  EXPECT_EQ(pass(std::chrono::hours(23)), Due::Nothing);
  EXPECT_EQ(pass(std::chrono::hours(2)), Due::TooLong);
}

// RFC 4028 8.3, 10.
TEST_F(CallTableTest, TheSessionEndsWithItsTimerUnlessItIsRefreshed) {
  const SlotId id = open().call;
  answer(id, {.extra = "Session-Expires: 90;refresher=uac\r\n"});
  EXPECT_EQ(pass(60s), Due::Nothing);
  const Request update{.method = "UPDATE", .to_tag = "b", .cseq = 2};
  const SlotId dialog = passes(id, Party::Caller, update);
  answered(id, dialog, Party::Caller, update,
           {.extra = "Session-Expires: 90\r\n", .method = "UPDATE", .cseq = 2});
  EXPECT_EQ(pass(60s), Due::Nothing);
  // A refresh that is refused refreshes nothing.
  answered(id, dialog, Party::Caller, update, {.status = 500, .method = "UPDATE", .cseq = 3});
  EXPECT_EQ(pass(31s), Due::SessionOver);
}

TEST_F(CallTableTest, ASessionWithoutATimerIsNotEndedByOne) {
  const SlotId id = open().call;
  answer(id, {.extra = "Session-Expires: 90\r\n"});
  const Request invite{.to_tag = "b", .cseq = 2};
  answered(id, passes(id, Party::Caller, invite), Party::Caller, invite, {});
  EXPECT_EQ(pass(600s), Due::Nothing);
}

TEST_F(CallTableTest, AfterARestartACallIsTakenUpFromARequestInIt) {
  const Text info(Request{.method = "INFO",
                          .uri = "sip:alice@192.0.2.1:5062",
                          .from_tag = "b",
                          .to_tag = "a",
                          .cseq = 30}
                      .text());
  const SlotId id = table_.adopt(info.view(), info.essentials(), kLeg, Party::Callee, now_);
  ASSERT_TRUE(id);
  EXPECT_EQ(call(id).state, CallState::Answered);
  EXPECT_EQ(call(id).caller_tag(), "a");
  const SlotId dialog = table_.find_dialog(id, "a", "b");
  ASSERT_TRUE(dialog);
  EXPECT_EQ(as_text(table_.dialog(dialog)->remote_target[0].bytes()), "sip:alice@192.0.2.1:5062");
  EXPECT_EQ(table_.dialog(dialog)->next_cseq(Party::Callee), 31u);
  const Request bye{.method = "BYE", .to_tag = "b", .cseq = 2};
  EXPECT_TRUE(answered(id, passes(id, Party::Caller, bye), Party::Caller, bye, {.method = "BYE"}));
}

TEST_F(CallTableTest, Rfc3261_12_2_1_1_AfterARestartANumberThatNobodyKnowsIsAboveAllThatAreUsed) {
  const Text info(Request{.method = "INFO", .to_tag = "b", .cseq = 7}.text());
  const SlotId id = table_.adopt(info.view(), info.essentials(), kLeg, Party::Caller, now_);
  Dialog& dialog = *table_.dialog(table_.find_dialog(id, "a", "b"));
  EXPECT_EQ(dialog.next_cseq(Party::Caller), 8u);
  const std::uint32_t unknown = dialog.next_cseq(Party::Callee);
  EXPECT_GT(unknown, 1'000'000'000u);
  EXPECT_LT(unknown, 1u << 31);
}

TEST_F(CallTableTest, AfterARestartAUriThatOnlyOneSideHasWrittenIsProvenByItsAnswer) {
  const Text first(Request{.method = "INFO",
                           .uri = "sip:x@203.0.113.9",
                           .to_tag = "b",
                           .extra = "Route: <sip:own;lr>\r\nRoute: <sip:far;lr>\r\n"}
                       .text());
  const SlotId id = table_.adopt(first.view(), first.essentials(), kLeg, Party::Caller, now_);
  const SlotId at = table_.find_dialog(id, "a", "b");
  EXPECT_FALSE(table_.dialog(at)->target_proven[1]);
  const Text answered(Request{.method = "INFO",
                              .uri = "sip:bob@192.0.2.2",
                              .to_tag = "b",
                              .extra = "Route: <sip:own;lr>\r\nRoute: <sip:far;lr>\r\n"}
                          .text());
  table_.far_side_answered(id, at, Party::Caller, answered.view(), 1);
  EXPECT_TRUE(table_.dialog(at)->target_proven[1]);
  EXPECT_EQ(as_text(table_.dialog(at)->remote_target[1].bytes()), "sip:bob@192.0.2.2");
  EXPECT_EQ(as_text(table_.dialog(at)->route_set[1].bytes()), "Route: <sip:far;lr>\r\n");
  table_.far_side_answered(id, at, Party::Caller, first.view(), 1);
  EXPECT_EQ(as_text(table_.dialog(at)->remote_target[1].bytes()), "sip:bob@192.0.2.2");
}

TEST_F(CallTableTest, WithoutTagsNothingIsTakenUp) {
  const Text info(Request{.method = "INFO", .to_tag = ""}.text());
  EXPECT_FALSE(table_.adopt(info.view(), info.essentials(), kLeg, Party::Caller, now_));
  EXPECT_EQ(table_.size(), 0u);
}

}  // namespace
}  // namespace ringway
