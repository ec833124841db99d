#include "protocol/sip/validate.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "protocol/sip/limits.h"
#include "tests/protocol/sip/messages.h"

namespace ringway::sip {
namespace {

// A good request as parts that a test replaces.
class Validate : public testing::Test {
 protected:
  Validate() {
    lines_ = {{"Via", "Via: SIP/2.0/UDP h;branch=z9hG4bKx"},
              {"From", "From: <sip:a@h>;tag=1"},
              {"To", "To: <sip:b@h>;tag=2"},
              {"Call-ID", "Call-ID: c@h"},
              {"CSeq", "CSeq: 7 BYE"},
              {"Max-Forwards", "Max-Forwards: 70"}};
  }
  Verdict request() {
    text_ = start_ + "\r\n";
    for (const auto& [name, line] : lines_) {
      if (!line.empty()) text_ += line + "\r\n";
    }
    text_ += "\r\n";
    EXPECT_TRUE(test::parse(text_, view_));
    return view_.is_request() ? validate_request(view_, out_) : validate_response(view_, out_);
  }
  Verdict with(const std::string& name, const std::string& line) {
    const auto saved = lines_;
    lines_[name] = line;
    const Verdict verdict = request();
    lines_ = saved;
    return verdict;
  }
  Verdict to_uri(const std::string& uri) {
    start_ = "BYE " + uri + " SIP/2.0";
    return request();
  }

  std::string start_ = "BYE sip:b@h SIP/2.0";
  std::map<std::string, std::string> lines_;
  std::string text_;
  MessageView view_;
  Essentials out_;
};

TEST_F(Validate, HandsOnWhatItRead) {
  EXPECT_TRUE(request().ok());
  EXPECT_EQ(out_.via.branch, "z9hG4bKx");
  EXPECT_EQ(out_.cseq.number, 7U);
  EXPECT_EQ(out_.cseq.method, Method::Bye);
  EXPECT_EQ(out_.call_id, "c@h");
  EXPECT_EQ(out_.from_tag, "1");
  EXPECT_EQ(out_.to_tag, "2");
  EXPECT_EQ(out_.max_forwards, 70U);
  EXPECT_EQ(out_.request_uri.host, "h");
  EXPECT_TRUE(validate_request(view_).ok());
}

TEST_F(Validate, MandatoryHeadersRfc3261_8_1_1) {
  for (const char* name : {"Via", "From", "To", "Call-ID", "CSeq"}) {
    const Verdict verdict = with(name, "");
    EXPECT_EQ(verdict.status, 400) << name;
    EXPECT_FALSE(verdict.answerable) << name;
  }
  EXPECT_TRUE(with("Max-Forwards", "").ok());
  EXPECT_FALSE(out_.max_forwards);
  for (const char* line : {"f: <sip:a@h>;tag=1", "t: <sip:b@h>", "i: c@h", "CSeq: 7 BYE",
                           "Max-Forwards: 70", "l: 0\r\nl: 0"}) {
    const Verdict verdict = with("X", line);
    EXPECT_EQ(verdict.status, 400) << line;
    EXPECT_TRUE(verdict.answerable) << line;
  }
}

TEST_F(Validate, ValuesThatAProxyUses) {
  for (const char* line : {"Via: SIP/2.0/UDP", "Via: SIP/2.0/UDP h;;", "Via: ,SIP/2.0/UDP h",
                           "Via:", "Via: SIP/2.0/UDP h;branch=z9hG4bK"}) {
    EXPECT_EQ(with("Via", line).status, 400) << line;
  }
  EXPECT_TRUE(with("Via", "Via: SIP/2.0/UDP h;branch=z9hG4bKx,what,,ever;;").ok());
  for (const char* line : {"CSeq: 7 INVITE", "CSeq: BYE", "CSeq: 2147483648 BYE"}) {
    EXPECT_EQ(with("CSeq", line).status, 400) << line;
  }
  for (const char* line : {"Max-Forwards: 256", "Max-Forwards: x", "Max-Forwards:"}) {
    EXPECT_EQ(with("Max-Forwards", line).status, 400) << line;
  }
  for (const char* line : {"Call-ID: a b", "Call-ID:", "Call-ID: a\r\n b"}) {
    EXPECT_EQ(with("Call-ID", line).status, 400) << line;
  }
  for (const char* line : {"From: a", "From: <sip:a@h>;tag=1;tag=2", "From: <sip:a@h>;tag=",
                           "From: <sip:a@h>;tag", "From: *", "From: \"a"}) {
    EXPECT_EQ(with("From", line).status, 400) << line;
  }
  EXPECT_TRUE(with("From", "From: isbn:1").ok());
  EXPECT_EQ(with("To", "To: Bell, A <sip:a@h>").status, 400);
  for (const char* line : {"Contact: *", "Contact: <sip:a@h>,", "Contact: sip:a@h?x=y",
                           "Route: sip:a@h", "Route: <sip:a@h", "Route: ,<sip:a@h>"}) {
    EXPECT_EQ(with("X", line).status, 400) << line;
  }
  EXPECT_TRUE(with("X", "Contact: <sip:a@h>, \"b, c\" <sip:b@h>;q=1").ok());
  start_ = "REGISTER sip:h SIP/2.0";
  lines_["CSeq"] = "CSeq: 1 REGISTER";
  EXPECT_TRUE(with("X", "Contact: *").ok());
}

TEST_F(Validate, RequestUri) {
  EXPECT_TRUE(to_uri("tel:+1555").ok());
  EXPECT_TRUE(to_uri("sips:a@h").ok());
  EXPECT_EQ(to_uri("mailto:bob@example.org").status, 416);
  for (const char* uri : {"urn:service:sos", "URN:service:sos.police", "im:bob@example.org",
                          "pres:bob@example.org", "sip:us%41er@example.org"}) {
    EXPECT_TRUE(to_uri(uri).ok()) << uri;
  }
  for (const char* uri : {"sip:us%zz@example.org", "sip:us%4@example.org", "sip:u%@example.org"}) {
    EXPECT_EQ(to_uri(uri).status, 400) << uri;
  }
  EXPECT_EQ(to_uri("alice").status, 400);
  EXPECT_EQ(to_uri("sip:a@h?Route=x").status, 400);
  EXPECT_EQ(to_uri("sip:a@h:x").status, 400);
  EXPECT_TRUE(to_uri("sip:" + std::string(kUriBytesMax - 4, 'a')).ok());
  EXPECT_EQ(to_uri("sip:" + std::string(kUriBytesMax - 3, 'a')).status, 414);
  EXPECT_EQ(to_uri("sip:" + std::string(kStartLineBytesMax, 'a')).status, 414);
}

TEST_F(Validate, UnknownMethodsPassRfc3261_16_3) {
  start_ = "NEW sip:b@h SIP/2.0";
  lines_["CSeq"] = "CSeq: 1 NEW";
  EXPECT_TRUE(request().ok());
  lines_["CSeq"] = "CSeq: 1 new";
  EXPECT_EQ(request().status, 400);
  start_ = std::string(kMethodBytesMax + 1, 'N') + " sip:b@h SIP/2.0";
  EXPECT_EQ(request().status, 501);
  start_ = "N@W sip:b@h SIP/2.0";
  EXPECT_EQ(request().status, 400);
}

TEST_F(Validate, CountsAndSizesAtAndAboveTheirLimits) {
  const auto repeat = [](const char* line, std::size_t count) {
    std::string out = "X: y";
    for (std::size_t i = 0; i < count; ++i) out += std::string("\r\n") + line;
    return out;
  };
  EXPECT_TRUE(with("X", repeat("Via: SIP/2.0/UDP h", kViaCountMax - 1)).ok());
  EXPECT_EQ(with("X", repeat("Via: SIP/2.0/UDP h", kViaCountMax)).status, 513);
  EXPECT_EQ(with("X", repeat("Via: SIP/2.0/UDP h, SIP/2.0/UDP h", kViaCountMax / 2)).status, 513);
  EXPECT_TRUE(with("X", repeat("Route: <sip:h;lr>", kRouteCountMax)).ok());
  EXPECT_EQ(with("X", repeat("Route: <sip:h;lr>", kRouteCountMax + 1)).status, 400);
  EXPECT_TRUE(with("X", repeat("Contact: <sip:h>", kContactCountMax)).ok());
  EXPECT_EQ(with("X", repeat("m: <sip:h>", kContactCountMax + 1)).status, 400);
  const std::string token(kTokenBytesMax, 't');
  EXPECT_TRUE(with("Call-ID", "Call-ID: " + token).ok());
  EXPECT_EQ(with("Call-ID", "Call-ID: t" + token).status, 400);
  EXPECT_TRUE(with("To", "To: <sip:b@h>;tag=" + token).ok());
  EXPECT_EQ(with("To", "To: <sip:b@h>;tag=t" + token).status, 400);
  EXPECT_TRUE(with("Via", "Via: SIP/2.0/UDP h;branch=" + token).ok());
  EXPECT_EQ(with("Via", "Via: SIP/2.0/UDP h;branch=t" + token).status, 400);
}

TEST_F(Validate, ARefusalStillTellsWhereToAnswer) {
  EXPECT_EQ(with("CSeq", "CSeq: x").status, 400);
  EXPECT_EQ(out_.via.host, "h");
  EXPECT_EQ(with("X", "l: -1").status, 400);
  EXPECT_EQ(out_.via.host, "h");
  EXPECT_EQ(with("Via", "Via: nonsense").status, 400);
  EXPECT_TRUE(out_.via.text.empty());
}

TEST_F(Validate, Responses) {
  start_ = "SIP/2.0 200 OK";
  EXPECT_TRUE(request().ok());
  EXPECT_EQ(out_.cseq.number, 7U);
  for (const char* name : {"Via", "From", "To", "Call-ID", "CSeq"}) {
    EXPECT_FALSE(with(name, "").ok()) << name;
  }
  EXPECT_FALSE(with("X", "CSeq: 7 BYE").ok());
  start_ = "SIP/2.0 700 OK";
  EXPECT_FALSE(request().ok());
  EXPECT_FALSE(validate_response(view_).ok());
}

}  // namespace
}  // namespace ringway::sip
