// Methods, status codes, header names, branches and the small header values.

#include <gtest/gtest.h>

#include <array>
#include <cctype>
#include <string>

#include "protocol/sip/branch.h"
#include "protocol/sip/header_name.h"
#include "protocol/sip/header_values.h"
#include "protocol/sip/limits.h"
#include "protocol/sip/method.h"
#include "protocol/sip/status.h"
#include "tests/protocol/sip/messages.h"

namespace ringway::sip {
namespace {

TEST(Method, EachTokenIsReadBack) {
  for (int i = 0; i < static_cast<int>(Method::Other); ++i) {
    const auto method = static_cast<Method>(i);
    EXPECT_EQ(parse_method(to_text(method)), method) << to_text(method);
  }
}

TEST(Method, CaseMattersRfc3261_7_1) {
  EXPECT_EQ(parse_method("invite"), Method::Other);
  EXPECT_EQ(parse_method("INVITES"), Method::Other);
  EXPECT_EQ(parse_method("INVIT"), Method::Other);
  EXPECT_EQ(parse_method("ACC"), Method::Other);
  EXPECT_EQ(parse_method("OTHER"), Method::Other);
  EXPECT_EQ(parse_method(""), Method::Other);
}

TEST(Status, ReasonPhrases) {
  EXPECT_EQ(default_reason(100), "Trying");
  EXPECT_EQ(default_reason(430), "Flow Failed");
  EXPECT_EQ(default_reason(606), "Not Acceptable");
  EXPECT_EQ(default_reason(199), "Early Dialog Terminated");
  EXPECT_EQ(default_reason(299), "Unknown");
  EXPECT_TRUE(is_provisional(199));
  EXPECT_TRUE(is_success(200));
  EXPECT_FALSE(is_success(300));
  EXPECT_TRUE(is_final(200));
}

TEST(HeaderName, EachNameInAnyCase) {
  for (int i = 1; i <= static_cast<int>(HeaderName::Identity); ++i) {
    const auto name = static_cast<HeaderName>(i);
    std::string text(to_text(name));
    EXPECT_EQ(parse_header_name(text), name) << text;
    for (char& c : text) c = static_cast<char>(std::toupper(c));
    EXPECT_EQ(parse_header_name(text), name) << text;
    for (char& c : text) c = static_cast<char>(std::tolower(c));
    EXPECT_EQ(parse_header_name(text), name) << text;
  }
}

TEST(HeaderName, OneWrongByteIsAnotherName) {
  for (int i = 1; i <= static_cast<int>(HeaderName::Identity); ++i) {
    const std::string good(to_text(static_cast<HeaderName>(i)));
    for (std::size_t at = 0; at < good.size(); ++at) {
      for (int c = 0; c < 256; ++c) {
        std::string text = good;
        text[at] = static_cast<char>(c);
        if (std::tolower(good[at]) == (c < 128 ? std::tolower(c) : c)) continue;
        EXPECT_NE(parse_header_name(text), static_cast<HeaderName>(i)) << good << " " << at;
      }
    }
    EXPECT_EQ(parse_header_name(good + "x"), HeaderName::Other);
    EXPECT_NE(parse_header_name(good.substr(1)), static_cast<HeaderName>(i));
  }
  EXPECT_EQ(parse_header_name(""), HeaderName::Other);
  EXPECT_EQ(parse_header_name(std::string(200, 'a')), HeaderName::Other);
}

TEST(HeaderName, CompactFormsRfc3261_7_3_3) {
  const std::array<std::pair<const char*, HeaderName>, 13> forms = {{
      {"v", HeaderName::Via},
      {"f", HeaderName::From},
      {"t", HeaderName::To},
      {"i", HeaderName::CallId},
      {"m", HeaderName::Contact},
      {"l", HeaderName::ContentLength},
      {"c", HeaderName::ContentType},
      {"e", HeaderName::ContentEncoding},
      {"k", HeaderName::Supported},
      {"o", HeaderName::Event},
      {"r", HeaderName::ReferTo},
      {"x", HeaderName::SessionExpires},
      {"V", HeaderName::Via},
  }};
  for (const auto& [text, name] : forms) EXPECT_EQ(parse_header_name(text), name) << text;
  EXPECT_EQ(parse_header_name("s"), HeaderName::Other);
  EXPECT_EQ(parse_header_name(":"), HeaderName::Other);
}

TEST(Branch, RoundTrip) {
  for (const Branch branch : {Branch{}, Branch{255, 0xff'ffff, 0xffff'ffff, ~std::uint64_t{0}},
                              Branch{3, 77, 12, 0x1234'5678'9abc'def0}}) {
    std::array<std::uint8_t, 64> memory;
    Writer out(memory);
    write_branch(branch, out);
    ASSERT_EQ(out.size(), kBranchBytes);
    EXPECT_EQ(parse_branch(out.written_text()), branch) << out.written_text();
    for (std::size_t cut = 0; cut < out.size(); ++cut) {
      EXPECT_FALSE(parse_branch(out.written_text().substr(0, cut)));
    }
  }
}

TEST(Branch, OthersAreNotOurs) {
  EXPECT_FALSE(parse_branch("z9hG4bK-r03000000000000000000000000000000G"));
  EXPECT_FALSE(parse_branch("z9hG4bK-r0300000000000000000000000000000A"));
  EXPECT_TRUE(parse_branch("z9hG4bK-r0300000000000000000000000000000a"));
  EXPECT_FALSE(parse_branch("z9hG4bK-s0300000000000000000000000000000a"));
  EXPECT_FALSE(parse_branch("z9hG4bK-r0300000000000000000000000000000a0"));
}

TEST(CSeq, LimitsRfc3261_8_1_1_5) {
  const auto cseq = parse_cseq("2147483647 INVITE");
  ASSERT_TRUE(cseq);
  EXPECT_EQ(cseq->number, kCSeqMax);
  EXPECT_EQ(cseq->method, Method::Invite);
  EXPECT_EQ(parse_cseq("0000000001\r\n\tNEW-one")->method_text, "NEW-one");
  for (const char* bad :
       {"", "1", "INVITE", "1INVITE", "2147483648 INVITE", "4294967297 INVITE", "-1 INVITE",
        "1 IN VITE", "1 ", "0x1 INVITE", "1 INVITE;a", "36893488147419103232 REGISTER"}) {
    EXPECT_FALSE(parse_cseq(bad)) << bad;
  }
}

TEST(MaxForwards, LimitsRfc3261_20_22) {
  EXPECT_EQ(parse_max_forwards("0"), 0U);
  EXPECT_EQ(parse_max_forwards("0068"), 68U);
  EXPECT_EQ(parse_max_forwards("255"), kMaxForwardsMax);
  for (const char* bad : {"", "256", "-1", "7 0", "+7", "99999999999"}) {
    EXPECT_FALSE(parse_max_forwards(bad)) << bad;
  }
}

TEST(Seconds, WithParametersAndComment) {
  EXPECT_EQ(parse_seconds("3600"), 3600U);
  EXPECT_EQ(parse_seconds("90;refresher=uac"), 90U);
  EXPECT_EQ(parse_seconds("120 (in a meeting)"), 120U);
  EXPECT_EQ(parse_seconds("4294967295"), 0xffff'ffffU);
  for (const char* bad : {"", "4294967296", "1x", "1 2", "-5", "1000000000000000000000000"}) {
    EXPECT_FALSE(parse_seconds(bad)) << bad;
  }
}

TEST(ListsToken, InAnyLineAndCase) {
  MessageView view;
  const std::string text =
      "OPTIONS sip:a SIP/2.0\r\nSupported: timer , Path\r\nk: gruu\r\nRequire:\r\n\r\n";
  ASSERT_TRUE(test::parse(text, view));
  EXPECT_TRUE(lists_token(view, HeaderName::Supported, "path"));
  EXPECT_TRUE(lists_token(view, HeaderName::Supported, "gruu"));
  EXPECT_FALSE(lists_token(view, HeaderName::Supported, "gru"));
  EXPECT_FALSE(lists_token(view, HeaderName::Require, "path"));
}

TEST(FindTag, InEveryShape) {
  EXPECT_EQ(find_tag("<sip:a@b>;tag=x"), "x");
  EXPECT_EQ(find_tag("sip:a@b;tag=x"), "x");
  EXPECT_EQ(find_tag("\"a;tag=1 <\" <sip:a@b;tag=2> ; TAG = x ;y"), "x");
  EXPECT_EQ(find_tag("Bob <sip:a@b;tag=2>"), "");
  EXPECT_EQ(find_tag("<sip:a@b>;mytag=1"), "");
  EXPECT_EQ(find_tag(""), "");
  EXPECT_EQ(find_tag("\"open"), "");
  EXPECT_EQ(find_tag("<sip:a;tag=1"), "");
}

}  // namespace
}  // namespace ringway::sip
