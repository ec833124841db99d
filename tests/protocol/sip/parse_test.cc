#include "protocol/sip/parse.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "protocol/sip/limits.h"
#include "tests/protocol/sip/messages.h"

namespace ringway::sip {
namespace {

class Parse : public testing::Test {
 protected:
  Defect defect(const std::string& text, Framing framing = Framing::Datagram) {
    text_ = text;
    EXPECT_TRUE(parse_message(as_bytes(text_), framing, view_).has_value());
    return view_.defect();
  }
  ParseError error(const std::string& text) {
    text_ = text;
    const auto result = parse_message(as_bytes(text_), Framing::Datagram, view_);
    EXPECT_FALSE(result.has_value()) << text.substr(0, 100);
    return result ? ParseError{} : result.error();
  }
  // A request with these header lines.
  static std::string with(const std::string& headers, const std::string& body = "") {
    return "OPTIONS sip:a SIP/2.0\r\n" + headers + "\r\n" + body;
  }

  std::string text_;
  MessageView view_;
};

TEST_F(Parse, IndexesARequest) {
  EXPECT_EQ(defect(test::browser_invite()), Defect::None);
  EXPECT_TRUE(view_.is_request());
  EXPECT_EQ(view_.method(), Method::Invite);
  EXPECT_EQ(view_.method_text(), "INVITE");
  EXPECT_EQ(view_.request_uri(), "sip:bob@example.org");
  EXPECT_EQ(view_.start_line(), "INVITE sip:bob@example.org SIP/2.0");
  EXPECT_EQ(view_.headers().size(), 13U);
  EXPECT_EQ(view_.value(HeaderName::CSeq), "4711 INVITE");
  EXPECT_EQ(view_.top_via(), "SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK5619233;rport");
  EXPECT_TRUE(view_.body().starts_with("v=0"));
  EXPECT_EQ(view_.text(), text_);
  EXPECT_EQ(view_.text().substr(view_.headers_end(), 2), "\r\n");
  EXPECT_FALSE(view_.has(HeaderName::Route));
  const Header* to = view_.find(HeaderName::To);
  ASSERT_TRUE(to);
  EXPECT_EQ(view_.text().substr(to->begin, to->end - to->begin), "To: <sip:bob@example.org>\r\n");
  EXPECT_EQ(view_.text(to->name_text), "To");
}

TEST_F(Parse, IndexesAResponse) {
  EXPECT_EQ(defect(test::ok_response()), Defect::None);
  EXPECT_FALSE(view_.is_request());
  EXPECT_EQ(view_.status(), 200);
  EXPECT_EQ(view_.reason(), "OK");
  EXPECT_EQ(view_.top_via(), "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-one");
}

TEST_F(Parse, TheIndexFollowsACopy) {
  defect(test::browser_invite());
  std::string copy = text_;
  text_.assign(text_.size(), 'x');
  view_.rebase(copy.data());
  EXPECT_EQ(view_.value(HeaderName::CallId), "3n0jrgd7lfl2v0sqkkg8");
}

TEST_F(Parse, RepeatedHeadersAreWalkedInOrder) {
  defect(with("Via: 1\r\nX: y\r\nv: 2\r\nTo: t\r\nVIA : 3\r\n"));
  std::vector<std::string_view> values;
  for (const Header* via = view_.find(HeaderName::Via); via; via = view_.next(via)) {
    values.push_back(view_.text(via->value));
  }
  EXPECT_EQ(values, (std::vector<std::string_view>{"1", "2", "3"}));
  EXPECT_EQ(view_.count(HeaderName::Via), 3);
  EXPECT_EQ(view_.count(HeaderName::To), 1);
  EXPECT_EQ(view_.count(HeaderName::Route), 0);
  EXPECT_TRUE(view_.repeats(HeaderName::Via));
  EXPECT_FALSE(view_.repeats(HeaderName::To));
}

TEST_F(Parse, AReusedViewForgets) {
  defect(with("Via: 1\r\nVia: 2\r\nRoute: r\r\nContent-Length: 9\r\n"));
  EXPECT_EQ(view_.defect(), Defect::BodyTooShort);
  defect(with("To: t\r\n"));
  EXPECT_EQ(view_.defect(), Defect::None);
  EXPECT_FALSE(view_.has(HeaderName::Via));
  EXPECT_FALSE(view_.has(HeaderName::Route));
  EXPECT_FALSE(view_.repeats(HeaderName::Via));
  EXPECT_TRUE(view_.top_via().empty());
  error("x");
  EXPECT_TRUE(view_.headers().empty());
}

TEST_F(Parse, FoldsBelongToTheirHeaderRfc3261_7_3_1) {
  EXPECT_EQ(defect(with("Subject:\r\n a\r\n\t b\r\nTo: t\r\n \r\n")), Defect::None);
  ASSERT_EQ(view_.headers().size(), 2U);
  EXPECT_EQ(view_.text(view_.headers()[0].value), "a\r\n\t b");
  EXPECT_EQ(view_.value(HeaderName::To), "t");
  EXPECT_EQ(defect(with(" Subject: x\r\n")), Defect::HeaderSyntax);
}

TEST_F(Parse, EmptyValues) {
  EXPECT_EQ(defect(with("Supported:\r\nk: \r\n \r\nTo:t\r\n")), Defect::None);
  EXPECT_EQ(view_.value(HeaderName::Supported), "");
  EXPECT_EQ(view_.value(HeaderName::To), "t");
  EXPECT_EQ(view_.count(HeaderName::Supported), 2);
}

TEST_F(Parse, LeadingLineEndsAreSkippedRfc3261_7_5) {
  EXPECT_EQ(defect("\r\n\r\n" + with("To: t\r\n")), Defect::None);
  EXPECT_TRUE(view_.text().starts_with("OPTIONS"));
  EXPECT_EQ(error("\r\n\r\n"), ParseError::NoStartLine);
  EXPECT_EQ(error("\r\n"), ParseError::NoStartLine);
  EXPECT_EQ(error(""), ParseError::NoStartLine);
}

TEST_F(Parse, WhatCannotBeAnswered) {
  EXPECT_EQ(error("OPTIONS sip:a SIP/2.0\r\nTo: t\r\n"), ParseError::NoHeaderEnd);
  EXPECT_EQ(error("hello"), ParseError::NoHeaderEnd);
  EXPECT_EQ(error("hello\r\n\r\n"), ParseError::NoStartLine);
  EXPECT_EQ(error("GET / HTTP/1.1\r\n\r\n"), ParseError::NoStartLine);
  EXPECT_EQ(error("SIP/2.0\r\n\r\n"), ParseError::NoStartLine);
  EXPECT_EQ(error("OPTIONS SIP/2.0\r\n\r\n"), ParseError::NoStartLine);
  EXPECT_EQ(error(" OPTIONS\r\n\r\n"), ParseError::NoStartLine);
  EXPECT_EQ(error("\n\n"), ParseError::NoHeaderEnd);
  EXPECT_EQ(error(std::string(kMessageBytesMax + 1, 'a')), ParseError::TooLarge);
  EXPECT_EQ(to_text(ParseError::TooLarge), "message too large");
}

TEST_F(Parse, StartLineDefects) {
  const auto start = [&](const std::string& line) { return defect(line + "\r\n\r\n"); };
  EXPECT_EQ(start("OPTIONS sip:a SIP/2.0"), Defect::None);
  EXPECT_EQ(start("OPTIONS sip:a sip/2.0"), Defect::None);
  EXPECT_EQ(start("OPTIONS sip:a SIP/7.0"), Defect::Version);
  EXPECT_EQ(start("OPTIONS  sip:a SIP/2.0"), Defect::RequestUri);
  EXPECT_EQ(start("OPTIONS sip:a  SIP/2.0"), Defect::RequestUri);
  EXPECT_EQ(start("OPTIONS sip:a b SIP/2.0"), Defect::RequestUri);
  EXPECT_EQ(start("OPTIONS sip:a SIP/2.0 "), Defect::RequestUri);
  EXPECT_EQ(start("OPTIONS <sip:a> SIP/2.0"), Defect::RequestUri);
  EXPECT_EQ(start("OPT@IONS sip:a SIP/2.0"), Defect::MethodToken);
  EXPECT_EQ(start("SIP/2.0 200"), Defect::None);
  EXPECT_EQ(start("SIP/2.0 200 "), Defect::None);
  EXPECT_EQ(start("SIP/3.0 200 OK"), Defect::Version);
  for (const char* bad : {"99", "099", "700", "1000", "0200", "2 00", "-20", "4294967496", "abc"}) {
    EXPECT_EQ(start(std::string("SIP/2.0 ") + bad + " x"), Defect::StatusCode) << bad;
    EXPECT_EQ(view_.status(), 0);
  }
}

TEST_F(Parse, HeaderDefects) {
  for (const char* bad : {"no colon\r\n", ": empty\r\n", "b@d: x\r\n", "bad name: x\r\n",
                          "T\xc3\xb6: x\r\n", "To\v: x\r\n"}) {
    EXPECT_EQ(defect(with(bad)), Defect::HeaderSyntax) << bad;
  }
}

TEST_F(Parse, BareLineEndsAreRefusedEverywhere) {
  for (const char* bad : {"To: t\nFrom: f\r\n", "To: t\rx\r\n", "To: t\r\n \n", "To: t\n"}) {
    EXPECT_EQ(defect(with(bad)), Defect::HeaderSyntax) << bad;
  }
  EXPECT_EQ(defect("OPTIONS sip:a SIP/2.0\nTo: t\n\nbody"), Defect::HeaderSyntax);
  EXPECT_EQ(view_.value(HeaderName::To), "t");
  EXPECT_EQ(view_.body(), "body");
  EXPECT_EQ(defect(with("To: t\r\n", "a\nb\rc")), Defect::None);
}

TEST_F(Parse, ControlsStandInQuotedPairsOnly) {
  using std::string_literals::operator""s;
  EXPECT_EQ(defect(with("To: \"a\\\0b\" <sip:a@h>\r\n"s)), Defect::None);
  EXPECT_EQ(defect(with("To: \"a\0b\" <sip:a@h>\r\n"s)), Defect::HeaderSyntax);
  EXPECT_EQ(defect(with("To: a\\\0b <sip:a@h>\r\n"s)), Defect::HeaderSyntax);
  EXPECT_EQ(defect(with("X: a\x01\r\n"s)), Defect::HeaderSyntax);
  EXPECT_EQ(defect("OPTIONS sip:\0a SIP/2.0\r\n\r\n"s), Defect::HeaderSyntax);
  EXPECT_EQ(defect(with("X: a\r\n", "\0\x01"s)), Defect::None);
}

TEST_F(Parse, ContentLengthRfc3261_20_14) {
  EXPECT_EQ(defect(with("l: 2\r\n", "abcd")), Defect::None);
  EXPECT_EQ(view_.body(), "ab");
  EXPECT_TRUE(view_.text().ends_with("\r\n\r\nab"));
  EXPECT_EQ(defect(with("To: t\r\n", "abcd")), Defect::None);
  EXPECT_EQ(view_.body(), "abcd");
  EXPECT_EQ(defect(with("To: t\r\n", "abcd"), Framing::WebSocket), Defect::None);
  EXPECT_EQ(defect(with("To: t\r\n", "abcd"), Framing::Stream), Defect::ContentLength);
  EXPECT_EQ(defect(with("Content-Length:\r\n 4\r\n", "abcd"), Framing::Stream), Defect::None);
  EXPECT_EQ(defect(with("l: 5\r\n", "abcd")), Defect::BodyTooShort);
  for (const char* bad : {"-1", "", "x", "1x", "0x1", "4, 4", "99999999999", "1 2"}) {
    EXPECT_EQ(defect(with(std::string("l: ") + bad + "\r\n", "abcd")), Defect::ContentLength)
        << bad;
  }
  EXPECT_EQ(defect(with("l: 1\r\nContent-Length: 1\r\n", "abcd")), Defect::ContentLength);
  EXPECT_EQ(defect(with("l: 1\r\nContent-Length: 2\r\n", "abcd")), Defect::ContentLength);
}

TEST_F(Parse, LimitsAtBelowAndAbove) {
  const auto lines = [](std::size_t count) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) out += "X: y\r\n";
    return out;
  };
  EXPECT_EQ(defect(with(lines(kHeaderCountMax))), Defect::None);
  EXPECT_EQ(defect(with(lines(kHeaderCountMax + 1))), Defect::TooManyHeaders);
  EXPECT_EQ(view_.headers().size(), kHeaderCountMax);
  EXPECT_EQ(defect(with(lines(2000), "body")), Defect::TooManyHeaders);
  EXPECT_EQ(view_.body(), "body");

  const auto folded = [](std::size_t count) {
    std::string out = "X: y\r\n";
    for (std::size_t i = 0; i < count; ++i) out += " z\r\n";
    return out;
  };
  EXPECT_EQ(defect(with(folded(500))), Defect::None);
  EXPECT_EQ(defect(with(folded(600))), Defect::TooManyHeaders);

  // "X: " and CRLF are five bytes of the line.
  const auto line = [&](std::size_t size) { return "X: " + std::string(size - 5, 'y') + "\r\n"; };
  EXPECT_EQ(defect(with(line(kHeaderLineBytesMax))), Defect::None);
  EXPECT_EQ(defect(with(line(kHeaderLineBytesMax + 1))), Defect::HeaderSyntax);

  EXPECT_EQ(defect(with(std::string(kHeaderNameBytesMax, 'n') + ": v\r\n")), Defect::None);
  EXPECT_EQ(defect(with(std::string(kHeaderNameBytesMax + 1, 'n') + ": v\r\n")),
            Defect::HeaderSyntax);

  const std::size_t rest = with("").size();
  const auto head = [&](std::size_t size) {
    const std::size_t second = size - rest - kHeaderLineBytesMax;
    return with(line(kHeaderLineBytesMax) + line(second));
  };
  EXPECT_EQ(defect(head(kHeadBytesMax)), Defect::None);
  EXPECT_EQ(defect(head(kHeadBytesMax + 1)), Defect::HeadTooLarge);

  EXPECT_EQ(defect(with("", std::string(kBodyBytesMax, 'b'))), Defect::None);
  EXPECT_EQ(defect(with("", std::string(kBodyBytesMax + 1, 'b'))), Defect::BodyTooLarge);
  EXPECT_EQ(defect(with("l: 49152\r\n", std::string(kBodyBytesMax + 1, 'b'))),
            Defect::BodyTooLarge);
  EXPECT_EQ(defect(with("l: 4294967295\r\n", "b")), Defect::BodyTooLarge);

  const auto start = [](std::size_t size) {
    return "OPTIONS sip:" + std::string(size - 20, 'a') + " SIP/2.0\r\n\r\n";
  };
  EXPECT_EQ(defect(start(kStartLineBytesMax)), Defect::None);
  EXPECT_EQ(defect(start(kStartLineBytesMax + 1)), Defect::StartLineTooLong);

  EXPECT_EQ(defect(std::string(kMethodBytesMax, 'M') + " sip:a SIP/2.0\r\n\r\n"), Defect::None);
  EXPECT_EQ(defect(std::string(kMethodBytesMax + 1, 'M') + " sip:a SIP/2.0\r\n\r\n"),
            Defect::MethodToken);

  const std::string largest = with(line(4096), std::string(kBodyBytesMax, 'b'));
  EXPECT_EQ(defect(largest + std::string(kMessageBytesMax - largest.size(), 'b')),
            Defect::BodyTooLarge);
  EXPECT_EQ(view_.text().size(), kMessageBytesMax);
}

}  // namespace
}  // namespace ringway::sip
