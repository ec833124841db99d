#include "protocol/sip/build.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "protocol/sip/validate.h"
#include "tests/protocol/sip/messages.h"

namespace ringway::sip {
namespace {

class Build : public testing::Test {
 protected:
  void read(const std::string& text) {
    text_ = text;
    ASSERT_TRUE(test::parse(text_, view_));
  }
  std::string response(Status status, const ResponseOptions& options, std::uint16_t skip = 0) {
    Writer out(memory_);
    write_response(view_, status, options, out, skip);
    EXPECT_FALSE(out.overflowed());
    return std::string(out.written_text());
  }

  const std::string invite_ =
      "INVITE sip:b@h SIP/2.0\r\n"
      "v: SIP/2.0/UDP one;branch=z9hG4bK1, SIP/2.0/UDP two\r\n"
      "Via:\r\n SIP/2.0/TCP three\r\n"
      "f: <sip:a@h>;tag=1\r\n"
      "t: <sip:b@h>\r\n"
      "i: c\r\n"
      "CSeq: 9\r\n  INVITE\r\n"
      "Timestamp: 54\r\n"
      "Route: <sip:p1;lr>\r\n"
      "Route: <sip:p2;lr>\r\n"
      "Require: 100rel\r\n"
      "l: 0\r\n\r\n";
  std::string text_;
  MessageView view_;
  std::array<std::uint8_t, 65'535> memory_;
};

TEST_F(Build, ErrorResponseRfc3261_8_2_6) {
  read(invite_);
  EXPECT_EQ(response(404, {.to_tag = "t7", .extra = "Retry-After: 1\r\n"}),
            "SIP/2.0 404 Not Found\r\n"
            "Via: SIP/2.0/UDP one;branch=z9hG4bK1, SIP/2.0/UDP two\r\n"
            "Via: SIP/2.0/TCP three\r\n"
            "From: <sip:a@h>;tag=1\r\n"
            "To: <sip:b@h>;tag=t7\r\n"
            "Call-ID: c\r\n"
            "CSeq: 9 INVITE\r\n"
            "Retry-After: 1\r\n"
            "Content-Length: 0\r\n\r\n");
}

TEST_F(Build, TryingRepeatsTheTimestamp) {
  read(invite_);
  const std::string trying = response(100, {});
  EXPECT_TRUE(trying.starts_with("SIP/2.0 100 Trying\r\n"));
  EXPECT_NE(trying.find("Timestamp: 54\r\n"), std::string::npos);
  EXPECT_NE(trying.find("To: <sip:b@h>\r\n"), std::string::npos);
  EXPECT_EQ(response(180, {}).find("Timestamp"), std::string::npos);
}

TEST_F(Build, TopViaIsReplacedAndValuesAreSkipped) {
  read(invite_);
  EXPECT_NE(response(400, {.reason = "Why", .top_via = "SIP/2.0/UDP one;received=1.1.1.1"})
                .find("SIP/2.0 400 Why\r\nVia: SIP/2.0/UDP one;received=1.1.1.1\r\n"
                      "Via: SIP/2.0/UDP two\r\nVia: SIP/2.0/TCP three\r\nFrom"),
            std::string::npos);
  EXPECT_NE(response(400, {}, 1).find("Request\r\nVia: SIP/2.0/UDP two\r\nVia: SIP/2.0/TCP three"),
            std::string::npos);
  EXPECT_NE(response(400, {}, 2).find("Request\r\nVia: SIP/2.0/TCP three\r\nFrom"),
            std::string::npos);
  EXPECT_NE(response(400, {.top_via = "new"}, 2).find("Request\r\nVia: new\r\nFrom"),
            std::string::npos);
  EXPECT_NE(response(400, {.top_via = "new"}, 3).find("Request\r\nFrom"), std::string::npos);
}

TEST_F(Build, AnExistingToTagStays) {
  read("BYE sip:b SIP/2.0\r\nTo: \"x;tag=y\" <sip:b;tag=u>;TAG=z\r\n\r\n");
  EXPECT_NE(response(481, {.to_tag = "new"}).find("To: \"x;tag=y\" <sip:b;tag=u>;TAG=z\r\n"),
            std::string::npos);
}

TEST_F(Build, NoLineEndOfAStrangerGetsOut) {
  read("BYE sip:b SIP/2.0\nVia: a\rX: 1\nTo: <sip:b>\r\r\n Injected: 1\r\nCall-ID: \r\n \r\n\r\n");
  EXPECT_NE(view_.defect(), Defect::None);
  const std::string text = response(400, {.to_tag = "t"});
  EXPECT_EQ(text,
            "SIP/2.0 400 Bad Request\r\nVia: a X: 1\r\nTo: <sip:b> Injected: 1;tag=t\r\n"
            "Call-ID: \r\nContent-Length: 0\r\n\r\n");
}

TEST_F(Build, AckRfc3261_17_1_1_3) {
  read(invite_);
  const std::string answer =
      "SIP/2.0 486 Busy Here\r\nVia: x\r\nTo: <sip:b@h>;tag=callee\r\nCSeq: 9 INVITE\r\n\r\n";
  MessageView busy;
  ASSERT_TRUE(test::parse(answer, busy));
  Writer out(memory_);
  write_ack(view_, busy, out);
  EXPECT_EQ(out.written_text(),
            "ACK sip:b@h SIP/2.0\r\n"
            "Via: SIP/2.0/UDP one;branch=z9hG4bK1\r\n"
            "Max-Forwards: 70\r\n"
            "Route: <sip:p1;lr>\r\n"
            "Route: <sip:p2;lr>\r\n"
            "From: <sip:a@h>;tag=1\r\n"
            "To: <sip:b@h>;tag=callee\r\n"
            "Call-ID: c\r\n"
            "CSeq: 9 ACK\r\n"
            "Content-Length: 0\r\n\r\n");
}

TEST_F(Build, CancelRfc3261_9_1) {
  read(invite_);
  Writer out(memory_);
  write_cancel(view_, "Reason: SIP;cause=200\r\n", out);
  EXPECT_EQ(out.written_text(),
            "CANCEL sip:b@h SIP/2.0\r\n"
            "Via: SIP/2.0/UDP one;branch=z9hG4bK1\r\n"
            "Max-Forwards: 70\r\n"
            "Route: <sip:p1;lr>\r\n"
            "Route: <sip:p2;lr>\r\n"
            "From: <sip:a@h>;tag=1\r\n"
            "To: <sip:b@h>\r\n"
            "Call-ID: c\r\n"
            "CSeq: 9 CANCEL\r\n"
            "Reason: SIP;cause=200\r\n"
            "Content-Length: 0\r\n\r\n");
}

TEST_F(Build, WhatWeWriteIsValid) {
  for (const char* file : {"rfc4475/wsinv.dat", "rfc4475/intmeth.dat", "rfc4475/longreq.dat",
                           "rfc4475/esc01.dat", "rfc5118/mult-ip-in-header"}) {
    read(test::read_corpus(file));
    const std::string answer = response(100, {});
    MessageView again;
    ASSERT_TRUE(test::parse(answer, again, Framing::Stream));
    EXPECT_TRUE(validate_response(again).ok()) << file << validate_response(again).reason;
    Writer out(memory_);
    write_cancel(view_, "", out);
    ASSERT_TRUE(test::parse(out.written_text(), again, Framing::Stream));
    EXPECT_TRUE(validate_request(again).ok()) << file << validate_request(again).reason;
  }
}

TEST_F(Build, OverflowIsSticky) {
  read(invite_);
  const std::size_t needed = response(404, {}).size();
  for (std::size_t size = 0; size <= needed; ++size) {
    Writer out(MutableBytes(memory_).first(size));
    write_response(view_, 404, {}, out);
    EXPECT_EQ(out.overflowed(), size < needed) << size;
  }
}

}  // namespace
}  // namespace ringway::sip
