#include "gateway/call/dialog.h"

#include <gtest/gtest.h>

namespace ringway {
namespace {

using enum DialogState;
using sip::Method;

TEST(Dialog, EachArrow) {
  struct Case {
    DialogState from;
    DialogEvent event;
    DialogState to;
  };
  const Case cases[] = {
      {Early, DialogEvent::Provisional, Early},
      {Early, DialogEvent::Success, Confirmed},
      {Early, DialogEvent::Refused, Ended},
      {Early, DialogEvent::ByeAnswered, Ended},
      {Early, DialogEvent::Gone, Ended},
      {Confirmed, DialogEvent::Provisional, Confirmed},
      {Confirmed, DialogEvent::Success, Confirmed},
      {Confirmed, DialogEvent::Refused, Confirmed},
      {Confirmed, DialogEvent::ByeAnswered, Ended},
      {Confirmed, DialogEvent::Gone, Ended},
      {Ended, DialogEvent::Provisional, Ended},
      {Ended, DialogEvent::Success, Ended},
      {Ended, DialogEvent::Refused, Ended},
      {Ended, DialogEvent::ByeAnswered, Ended},
      {Ended, DialogEvent::Gone, Ended},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(step(one.from, one.event), one.to)
        << static_cast<int>(one.from) << " on " << static_cast<int>(one.event);
  }
}

// RFC 3261 15.1.1, 12.2.1.2.
TEST(Dialog, WhatAFinalResponseSaysOfIt) {
  struct Case {
    Method method;
    sip::Status status;
    DialogVerdict verdict;
  };
  const Case cases[] = {
      {Method::Bye, 100, DialogVerdict::None},
      {Method::Bye, 200, DialogVerdict::ByeAnswered},
      {Method::Bye, 481, DialogVerdict::ByeAnswered},
      {Method::Bye, 408, DialogVerdict::ByeAnswered},
      {Method::Bye, 401, DialogVerdict::None},
      {Method::Bye, 407, DialogVerdict::None},
      {Method::Bye, 500, DialogVerdict::None},
      {Method::Bye, 503, DialogVerdict::None},
      {Method::Invite, 200, DialogVerdict::None},
      {Method::Invite, 481, DialogVerdict::Gone},
      {Method::Invite, 408, DialogVerdict::Gone},
      {Method::Invite, 488, DialogVerdict::None},
      {Method::Invite, 491, DialogVerdict::None},
      {Method::Update, 481, DialogVerdict::Gone},
      {Method::Update, 504, DialogVerdict::None},
      {Method::Info, 481, DialogVerdict::Gone},
      {Method::Info, 408, DialogVerdict::None},
      {Method::Notify, 481, DialogVerdict::None},
      {Method::Refer, 481, DialogVerdict::None},
      {Method::Prack, 481, DialogVerdict::None},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(judge_final(one.method, one.status), one.verdict)
        << sip::to_text(one.method) << " " << one.status;
  }
}

TEST(Leg, WhatItCarriesIsReadBackAndDoesNotTouchTheRest) {
  for (const std::uint64_t hash : {std::uint64_t{0}, ~std::uint64_t{0}, std::uint64_t{0x1234567}}) {
    const CallLeg leg = make_leg(hash);
    EXPECT_NE(leg, 0u);
    EXPECT_LE(leg, 0xffffu);
    for (const Party party : {Party::Caller, Party::Callee}) {
      EXPECT_EQ(access_party(with_access(leg, party)), party);
      EXPECT_EQ(pass_of(with_access(leg, party)), pass_of(leg));
    }
  }
  EXPECT_NE(pass_of(make_leg(0x10)), pass_of(make_leg(0x20)));
}

}  // namespace
}  // namespace ringway
