// RFC 4475 and RFC 5118 at the level of parser and validity check. What needs a proxy (483, 420,
// dropping a response without a transaction) is tested with the core.

#include <gtest/gtest.h>

#include <string>

#include "protocol/sip/parse.h"
#include "protocol/sip/validate.h"
#include "tests/protocol/sip/messages.h"

namespace ringway::sip {
namespace {

constexpr int kPasses = 0;
constexpr int kUnreadable = -1;  // a ParseError: nothing can be answered

struct Case {
  const char* file;
  int datagram;
  int web_socket;
};

class Torture : public testing::TestWithParam<Case> {};

int outcome(const std::string& text, Framing framing) {
  static MessageView view;
  if (!parse_message(as_bytes(text), framing, view)) return kUnreadable;
  return view.is_request() ? validate_request(view).status : validate_response(view).status;
}

TEST_P(Torture, HasItsVerdict) {
  const std::string text = test::read_corpus(GetParam().file);
  ASSERT_FALSE(text.empty());
  EXPECT_EQ(outcome(text, Framing::Datagram), GetParam().datagram);
  EXPECT_EQ(outcome(text, Framing::WebSocket), GetParam().web_socket);
}

INSTANTIATE_TEST_SUITE_P(
    Rfc4475, Torture,
    testing::Values(
        Case{"rfc4475/wsinv.dat", kPasses, kPasses}, Case{"rfc4475/intmeth.dat", kPasses, kPasses},
        Case{"rfc4475/esc01.dat", kPasses, kPasses}, Case{"rfc4475/escnull.dat", kPasses, kPasses},
        Case{"rfc4475/esc02.dat", kPasses, kPasses}, Case{"rfc4475/lwsdisp.dat", kPasses, kPasses},
        Case{"rfc4475/longreq.dat", kPasses, kPasses}, Case{"rfc4475/dblreq.dat", kPasses, kPasses},
        Case{"rfc4475/semiuri.dat", kPasses, kPasses},
        Case{"rfc4475/transports.dat", kPasses, kPasses},
        Case{"rfc4475/mpart01.dat", kPasses, kPasses},
        Case{"rfc4475/unreason.dat", kPasses, kPasses},
        Case{"rfc4475/noreason.dat", kPasses, kPasses}, Case{"rfc4475/badinv01.dat", 400, 400},
        Case{"rfc4475/clerr.dat", 400, 400}, Case{"rfc4475/ncl.dat", 400, 400},
        Case{"rfc4475/scalar02.dat", 400, 400}, Case{"rfc4475/scalarlg.dat", 400, 400},
        Case{"rfc4475/quotbal.dat", 400, 400}, Case{"rfc4475/ltgtruri.dat", 400, 400},
        Case{"rfc4475/lwsruri.dat", 400, 400}, Case{"rfc4475/lwsstart.dat", 400, 400},
        Case{"rfc4475/trws.dat", 400, 400}, Case{"rfc4475/escruri.dat", 400, 400},
        Case{"rfc4475/baddate.dat", kPasses, kPasses}, Case{"rfc4475/regbadct.dat", 400, 400},
        Case{"rfc4475/badaspec.dat", 400, 400}, Case{"rfc4475/baddn.dat", kUnreadable, kUnreadable},
        Case{"rfc4475/badvers.dat", 505, 505}, Case{"rfc4475/mismatch01.dat", 400, 400},
        Case{"rfc4475/mismatch02.dat", 400, 400}, Case{"rfc4475/bigcode.dat", 400, 400},
        Case{"rfc4475/badbranch.dat", 400, 400}, Case{"rfc4475/insuf.dat", 400, 400},
        Case{"rfc4475/unkscm.dat", 416, 416}, Case{"rfc4475/novelsc.dat", 416, 416},
        Case{"rfc4475/unksm2.dat", kPasses, kPasses}, Case{"rfc4475/bext01.dat", kPasses, kPasses},
        Case{"rfc4475/invut.dat", kPasses, kPasses}, Case{"rfc4475/regaut01.dat", kPasses, kPasses},
        Case{"rfc4475/multi01.dat", 400, 400}, Case{"rfc4475/mcl01.dat", 400, 400},
        Case{"rfc4475/bcast.dat", kPasses, kPasses}, Case{"rfc4475/zeromf.dat", kPasses, kPasses},
        Case{"rfc4475/cparam01.dat", kPasses, kPasses},
        Case{"rfc4475/cparam02.dat", kPasses, kPasses},
        Case{"rfc4475/regescrt.dat", kPasses, kPasses}, Case{"rfc4475/sdp01.dat", kPasses, kPasses},
        Case{"rfc4475/inv2543.dat", kPasses, kPasses},
        Case{"rfc4475/test.dat", kUnreadable, kUnreadable}),
    [](const auto& test_case) {
      const std::string file = test_case.param.file;
      return file.substr(8, file.size() - 12);
    });

INSTANTIATE_TEST_SUITE_P(
    Rfc5118, Torture,
    testing::Values(Case{"rfc5118/ipv6-good", kPasses, kPasses}, Case{"rfc5118/ipv6-bad", 400, 400},
                    Case{"rfc5118/port-ambiguous", kPasses, kPasses},
                    Case{"rfc5118/port-unambiguous", kPasses, kPasses},
                    Case{"rfc5118/via-received-param-with-delim", kPasses, kPasses},
                    Case{"rfc5118/via-received-param-no-delim", kPasses, kPasses},
                    Case{"rfc5118/ipv6-in-sdp", kPasses, kPasses},
                    Case{"rfc5118/mult-ip-in-header", kPasses, kPasses},
                    Case{"rfc5118/mult-ip-in-sdp", kPasses, kPasses},
                    Case{"rfc5118/ipv4-mapped-ipv6", kPasses, kPasses},
                    Case{"rfc5118/ipv6-bug-abnf-3-colons", kPasses, kPasses},
                    Case{"rfc5118/ipv6-correct-abnf-2-colons", kPasses, kPasses}),
    [](const auto& test_case) {
      std::string name = std::string(test_case.param.file).substr(8);
      for (char& c : name) {
        if (c == '-') c = '_';
      }
      return name;
    });

class TortureMessage : public testing::Test {
 protected:
  MessageView& read(const char* file) {
    text_ = test::read_corpus(file);
    EXPECT_TRUE(test::parse(text_, view_));
    EXPECT_TRUE(validate_request(view_, essentials_).ok());
    return view_;
  }
  std::string text_;
  MessageView view_;
  Essentials essentials_;
};

TEST_F(TortureMessage, Rfc4475_3_1_1_1_FoldsAndSpacesEverywhere) {
  read("rfc4475/wsinv.dat");
  EXPECT_EQ(essentials_.to_tag, "1918181833n");
  EXPECT_EQ(essentials_.from_tag, "98asjd8");
  EXPECT_EQ(essentials_.max_forwards, 68U);
  EXPECT_EQ(essentials_.cseq.number, 9U);
  EXPECT_EQ(essentials_.cseq.method, Method::Invite);
  EXPECT_EQ(essentials_.via.host, "192.0.2.2");
  EXPECT_EQ(essentials_.via.branch, "390skdjuw");
  EXPECT_EQ(view_.count(HeaderName::Via), 2);
  EXPECT_EQ(view_.body().size(), 150U);
}

TEST_F(TortureMessage, Rfc4475_3_1_1_2_RareCharactersAndQuotedNul) {
  read("rfc4475/intmeth.dat");
  EXPECT_EQ(view_.method(), Method::Other);
  EXPECT_EQ(view_.method_text(), "!interesting-Method0123456789_*+`.%indeed'~");
  EXPECT_EQ(essentials_.request_uri.user, "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*");
  EXPECT_EQ(essentials_.request_uri.host, "example.com");
  EXPECT_NE(view_.value(HeaderName::To).find('\0'), std::string_view::npos);
  EXPECT_EQ(essentials_.from_tag, "_token~1'+`*%!-.");
}

TEST_F(TortureMessage, Rfc4475_3_1_1_5_EscapesAreNoneInNames) {
  read("rfc4475/esc02.dat");
  EXPECT_EQ(view_.method(), Method::Other);
  EXPECT_EQ(view_.count(HeaderName::Contact), 2);
}

TEST_F(TortureMessage, Rfc4475_3_1_1_7_ManyVias) {
  read("rfc4475/longreq.dat");
  EXPECT_EQ(view_.text().size(), 3515U);
  EXPECT_EQ(view_.count(HeaderName::Via), 34);
}

TEST_F(TortureMessage, Rfc4475_3_1_1_8_SecondMessageIsCutOff) {
  read("rfc4475/dblreq.dat");
  EXPECT_EQ(view_.text().find("INVITE"), std::string_view::npos);
}

TEST_F(TortureMessage, Rfc4475_3_1_1_9_SemicolonInUser) {
  read("rfc4475/semiuri.dat");
  EXPECT_EQ(essentials_.request_uri.user, "user;par=u%40example.net");
}

TEST_F(TortureMessage, Rfc4475_3_1_1_11_BinaryBody) {
  read("rfc4475/mpart01.dat");
  EXPECT_EQ(view_.body().size(), 553U);
}

TEST_F(TortureMessage, Rfc4475_3_4_1_OldRequest) {
  read("rfc4475/inv2543.dat");
  EXPECT_FALSE(essentials_.max_forwards.has_value());
  EXPECT_TRUE(essentials_.from_tag.empty());
  EXPECT_FALSE(view_.body().empty());
  const auto stream = parse_message(as_bytes(text_), Framing::Stream, view_);
  ASSERT_TRUE(stream);
  EXPECT_EQ(view_.defect(), Defect::ContentLength);
}

TEST_F(TortureMessage, Rfc4475_3_1_2_15_ClosedHeadIsStillRefused) {
  text_ = test::read_corpus("rfc4475/baddn.dat") + "\r\n";
  ASSERT_TRUE(test::parse(text_, view_));
  EXPECT_EQ(validate_request(view_).status, 400);
}

TEST_F(TortureMessage, Rfc5118_4_3_AmbiguousPortIsPartOfTheAddress) {
  read("rfc5118/port-ambiguous");
  EXPECT_EQ(essentials_.request_uri.host, "2001:db8::10:5070");
  EXPECT_EQ(essentials_.request_uri.port, 0);
  read("rfc5118/port-unambiguous");
  EXPECT_EQ(essentials_.request_uri.host, "2001:db8::10");
  EXPECT_EQ(essentials_.request_uri.port, 5070);
}

TEST_F(TortureMessage, Rfc5118_4_5_ReceivedWithAndWithoutBrackets) {
  read("rfc5118/via-received-param-with-delim");
  EXPECT_EQ(essentials_.via.received, "[2001:db8::9:255]");
  EXPECT_EQ(essentials_.via.branch, "z9hG4bKas3-111");
  read("rfc5118/via-received-param-no-delim");
  EXPECT_EQ(essentials_.via.received, "2001:db8::9:255");
}

}  // namespace
}  // namespace ringway::sip
