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

constexpr HashKey kBranchKey{0x0123'4567'89ab'cdef, 42};

std::string branch_text(const Branch& branch, const HashKey& key = kBranchKey) {
  std::array<std::uint8_t, 64> memory;
  Writer out(memory);
  write_branch(branch, key, out);
  return std::string(out.written_text());
}

TEST(Branch, RoundTrip) {
  for (const Branch branch : {Branch{}, Branch{255, 0xff'ffff, 0xffff'ffff, 0xffff'ffff},
                              Branch{3, 77, 12, 0x1234'5678}}) {
    const std::string text = branch_text(branch);
    ASSERT_EQ(text.size(), kBranchBytes);
    EXPECT_EQ(parse_branch(text, kBranchKey), branch) << text;
    for (std::size_t cut = 0; cut < text.size(); ++cut) {
      EXPECT_FALSE(parse_branch(text.substr(0, cut), kBranchKey));
    }
  }
}

TEST(Branch, NobodyMakesOneThatHeHasNotSeen) {
  const std::string text = branch_text({3, 77, 12, 0x1234'5678});
  for (std::size_t i = 0; i < text.size(); ++i) {
    for (const char c : {'a', 'b', 'z', '2', '7', '0', 'A', '.'}) {
      if (text[i] == c) continue;
      std::string changed = text;
      changed[i] = c;
      EXPECT_FALSE(parse_branch(changed, kBranchKey)) << changed;
    }
  }
  EXPECT_FALSE(parse_branch(text + "a", kBranchKey));
  EXPECT_FALSE(parse_branch(text, HashKey{0x0123'4567'89ab'cdef, 43})) << "of another process";
}

// What one shows says nothing of the next: the loop hash changes the nonce, and so does the place.
TEST(Branch, NoncesHaveNothingInCommon) {
  const std::string one = branch_text({3, 77, 12, 0}), two = branch_text({3, 77, 13, 0}),
                    three = branch_text({3, 77, 12, 1});
  const auto nonce = [](const std::string& text) { return text.substr(text.size() - 12); };
  EXPECT_NE(nonce(one), nonce(two));
  EXPECT_NE(nonce(one), nonce(three));
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
