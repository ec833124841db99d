#include "gateway/call/release.h"

#include "tests/gateway/call/messages.h"

namespace ringway {
namespace {

class ReleaseTest : public CallTest {
 protected:
  std::string bye(SlotId call_id, SlotId dialog, Party towards) {
    const BufferRef text = write_bye(call(call_id), *table_.dialog(dialog), towards, 480,
                                     "Connection lost", buffers_);
    return text ? std::string(as_text(text.bytes())) : "";
  }
};

// RFC 3261 12.1.1, 12.1.2, 12.2.1.1.
TEST_F(ReleaseTest, TowardsEachSideAByeInTheNameOfTheOther) {
  const SlotId id = open({.cseq = 5,
                          .extra = "Contact: <sip:alice@192.0.2.1:5061>\r\n"
                                   "Record-Route: <sip:p2.example.org;lr>\r\n"
                                   "Record-Route: <sip:p1.example.org;lr>\r\n"})
                        .call;
  const SlotId dialog = answer(id,
                               {.extra = "Contact: \"B, b\" <sip:bob@192.0.2.9;transport=tcp>\r\n"
                                         "Record-Route: <sip:q2.example.org;lr>, "
                                         "<sip:q1.example.org;lr>\r\n"
                                         "Record-Route: <sip:ours.example.org;lr>\r\n"
                                         "Record-Route: <sip:p2.example.org;lr>\r\n"},
                               2);
  EXPECT_EQ(bye(id, dialog, Party::Callee),
            "BYE sip:bob@192.0.2.9;transport=tcp SIP/2.0\r\n"
            "Route: <sip:q1.example.org;lr>\r\nRoute: <sip:q2.example.org;lr>\r\n"
            "From: <sip:alice@example.org>;tag=a\r\nTo: <sip:bob@example.org>;tag=b\r\n"
            "Call-ID: call@example.org\r\nCSeq: 6 BYE\r\nMax-Forwards: 70\r\n"
            "Reason: SIP;cause=480;text=\"Connection lost\"\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(bye(id, dialog, Party::Caller),
            "BYE sip:alice@192.0.2.1:5061 SIP/2.0\r\n"
            "Route: <sip:p2.example.org;lr>\r\nRoute: <sip:p1.example.org;lr>\r\n"
            "From: <sip:bob@example.org>;tag=b\r\nTo: <sip:alice@example.org>;tag=a\r\n"
            "Call-ID: call@example.org\r\nCSeq: 1 BYE\r\nMax-Forwards: 70\r\n"
            "Reason: SIP;cause=480;text=\"Connection lost\"\r\nContent-Length: 0\r\n\r\n");
}

TEST_F(ReleaseTest, ItsCSeqIsAboveAllThatThatSideHasUsed) {
  const SlotId id = talking();
  const Request hold{.from_tag = "b", .to_tag = "a", .cseq = 900};
  const SlotId dialog = passes(id, Party::Callee, hold);
  EXPECT_NE(bye(id, dialog, Party::Caller).find("CSeq: 901 BYE\r\n"), std::string::npos);
  EXPECT_NE(bye(id, dialog, Party::Callee).find("CSeq: 2 BYE\r\n"), std::string::npos);
}

TEST_F(ReleaseTest, ItGoesToTheNewestTarget) {
  const SlotId id = talking();
  const Request invite{
      .to_tag = "b", .cseq = 2, .extra = "Contact: <sip:alice@198.51.100.4>\r\n"};
  const SlotId dialog = passes(id, Party::Caller, invite);
  answered(id, dialog, Party::Caller, invite, {.extra = "Contact: <sip:bob@198.51.100.5>\r\n"});
  EXPECT_TRUE(bye(id, dialog, Party::Caller).starts_with("BYE sip:alice@198.51.100.4 "));
  EXPECT_TRUE(bye(id, dialog, Party::Callee).starts_with("BYE sip:bob@198.51.100.5 "));
}

TEST_F(ReleaseTest, ATargetOfARefusedRefreshIsNotTaken) {
  const SlotId id = talking();
  const Request invite{
      .to_tag = "b", .cseq = 2, .extra = "Contact: <sip:alice@198.51.100.4>\r\n"};
  const SlotId dialog = passes(id, Party::Caller, invite);
  answered(id, dialog, Party::Caller, invite, {.status = 488});
  EXPECT_TRUE(bye(id, dialog, Party::Caller).starts_with("BYE sip:alice@192.0.2.1 "));
}

TEST_F(ReleaseTest, WhoNamedNoContactGetsNone) {
  const SlotId id = open().call;
  EXPECT_EQ(bye(id, answer(id), Party::Callee), "");
}

}  // namespace
}  // namespace ringway
