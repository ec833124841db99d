#include "gateway/admission/prefix_list.h"

#include <gtest/gtest.h>

#include "gateway/admission/source_lists.h"

namespace ringway {
namespace {

Address address(std::string_view text) {
  return *parse_address(text);
}

TEST(PrefixList, OneALineWithCommentsInAnyLineEnd) {
  const auto loaded = parse_prefix_list(
      "# APIBAN\r\n192.0.2.1\r\n\r\n  198.51.100.0/24 ; a comment\n2001:db8::/32#x\n[2001:db9::1]");
  EXPECT_EQ(loaded.wrong_line, 0u) << loaded.mistake;
  ASSERT_EQ(loaded.prefixes.size(), 4u);
  EXPECT_EQ(loaded.prefixes[0].bits, 32);
  EXPECT_EQ(loaded.prefixes[1].bits, 24);
  EXPECT_EQ(loaded.prefixes[2].bits, 32);
  EXPECT_EQ(loaded.prefixes[3].bits, 128);
}

TEST(PrefixList, AByteOrderMarkIsPassedOver) {
  const auto loaded = parse_prefix_list(
      "\xef\xbb\xbf"
      "192.0.2.1\n");
  EXPECT_EQ(loaded.wrong_line, 0u) << loaded.mistake;
  EXPECT_EQ(loaded.prefixes.size(), 1u);
}

TEST(PrefixList, AnswersOfApibanAreRead) {
  const auto loaded = parse_prefix_list(
      " {\"ipaddress\": [\"192.0.2.1\",\r\n \"2001:db8::1\"], \"ID\": \"1609459200\"}\n");
  EXPECT_EQ(loaded.wrong_line, 0u);
  ASSERT_EQ(loaded.prefixes.size(), 2u);
  EXPECT_TRUE(PrefixSet(loaded.prefixes).contains(address("2001:db8::1")));
  EXPECT_EQ(parse_prefix_list("[ \"198.51.100.0/24\" ]").prefixes.size(), 1u);
  EXPECT_EQ(parse_prefix_list("[2001:db8::1]").prefixes.size(), 1u);
  const auto none = parse_prefix_list("{\"ipaddress\":[\"no new bans\"],\"ID\":\"none\"}");
  EXPECT_EQ(none.wrong_line, 0u);
  EXPECT_EQ(none.prefixes.size(), 0u);
}

TEST(PrefixList, TheFirstLineThatIsWrongIsNamed) {
  for (const std::string wrong : {"hello", "192.0.2.1/33", "192.0.2.1/0", "::/0", "192.0.2.1 x",
                                  "1.2.3", "192.0.2.1/", "192.0.2.1/x", "/24"}) {
    const auto loaded = parse_prefix_list("192.0.2.9\n" + wrong + "\n192.0.2.10");
    EXPECT_EQ(loaded.wrong_line, 2u) << wrong;
    EXPECT_NE(loaded.mistake.find("\"" + wrong + "\""), std::string::npos) << loaded.mistake;
    EXPECT_EQ(loaded.prefixes.size(), 2u);
  }
  EXPECT_NE(parse_prefix_list("1.2.3.4\n0.0.0.0/0").mistake.find("everybody"), std::string::npos);
  EXPECT_LT(parse_prefix_list(std::string(1'000, 'x')).mistake.size(), 150u);
  EXPECT_EQ(parse_prefix_list("a\x1b[2Jb").mistake.find('\x1b'), std::string::npos);
}

TEST(PrefixList, BitsBehindThePrefixAreIgnored) {
  const auto loaded = parse_prefix_list("192.0.2.77/24");
  ASSERT_EQ(loaded.prefixes.size(), 1u);
  EXPECT_TRUE(PrefixSet(loaded.prefixes).contains(address("192.0.2.1")));
}

// What other feeds answer: a list in an object, objects in a list, an object a line.
TEST(PrefixList, OtherShapesOfJsonAreRead) {
  for (const char* text :
       {R"({"meta":{"generatedAt":"2026-01-01"},"data":[{"ipAddress":"192.0.2.1","score":100},
          {"ipAddress":"2001:db8::1","score":99,"hostnames":[]}]})",
        R"([{"value":"192.0.2.1","scope":"Ip"},{"value":"2001:db8::/32","scope":"Range"}])",
        R"({"a":{"b":{"c":[["192.0.2.1"],["2001:db8::1"]]}}})",
        R"({"tags":["ssh","sip"],"ipaddress":["192.0.2.1","2001:db8::1"],"error":null})",
        "{\"cidr\":\"192.0.2.0/24\",\"rir\":\"arin\"}\n{\"cidr\":\"2001:db8::/32\"}\r\n"
        "{\"type\":\"metadata\",\"records\":2}\n"}) {
    const auto loaded = parse_prefix_list(text);
    EXPECT_EQ(loaded.mistake, "") << text;
    ASSERT_EQ(loaded.prefixes.size(), 2u) << text;
    EXPECT_TRUE(PrefixSet(loaded.prefixes).contains(address("2001:db8::1"))) << text;
  }
}

TEST(PrefixList, AnErrorInThePlaceOfAListIsNone) {
  for (const char* text : {"",
                           "\n \r\n",
                           "\xef\xbb\xbf",
                           "{}",
                           "[]",
                           "[[]]",
                           "{\"ipaddress\":[]}",
                           "null",
                           "true",
                           "0",
                           "\"192.0.2.1\"",
                           "{\"error\":\"rate limit exceeded\"}",
                           "{\"message\":\"Not Found\"}",
                           R"({"error":"no such key","client":"203.0.113.7"})",
                           R"({"your_ip":"203.0.113.7"})",
                           R"({"errors":[{"detail":"too many","ip":"203.0.113.7"}]})",
                           R"({"Error":{"code":429},"data":["192.0.2.1"]})",
                           R"({"ipaddress":["rate limit exceeded"],"ID":"none"})",
                           R"({"ipaddress":["192.0.2.1","rate limit exceeded"],"ID":"none"})",
                           R"({"ipaddress":["192.0.2.1",""]})",
                           R"(["192.0.2.1","192.0.2"])",
                           R"({"count":1,"ipaddress":"192.0.2.1"})",
                           "<!DOCTYPE html><html><body>502 Bad Gateway 192.0.2.1</body></html>",
                           "<html>\n192.0.2.1\n</html>\n",
                           "404: Not Found",
                           "{\"ipaddress\":[\"0.0.0.0/0\"]}",
                           R"([{"cidr":"192.0.2.0/24"},{"cidr":"::/0"}])",
                           "\x1f\x8b\x08 compressed"}) {
    const auto loaded = parse_prefix_list(text);
    EXPECT_NE(loaded.mistake, "") << text;
    EXPECT_NE(loaded.wrong_line, 0u) << text;
  }
}

// Cut at any byte, JSON is no list; only whole is it one.
TEST(PrefixList, AnAnswerThatIsCutIsNotHalfBelieved) {
  for (const std::string& whole :
       {std::string(R"({"ipaddress":["192.0.2.1","198.51.100.0/24"],"ID":"1609459200"})"),
        std::string(R"([{"ip":"192.0.2.1"},{"ip":"198.51.100.7"}])"),
        std::string(R"(["192.0.2.1","2001:db8::1"])")}) {
    ASSERT_EQ(parse_prefix_list(whole).mistake, "");
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const auto loaded = parse_prefix_list(whole.substr(0, size));
      EXPECT_NE(loaded.mistake, "") << whole.substr(0, size);
    }
    for (const std::string& tail :
         {std::string("x"), std::string("]"), std::string(","), std::string(" 7")}) {
      EXPECT_NE(parse_prefix_list(whole + tail).mistake, "") << whole + tail;
    }
  }
}

TEST(PrefixList, ALastLineWithoutEndIsDoubted) {
  EXPECT_EQ(parse_prefix_list("192.0.2.1\n192.0.2.23\n").doubt, "");
  EXPECT_EQ(parse_prefix_list("192.0.2.1").doubt, "");
  const auto cut = parse_prefix_list("192.0.2.1\n192.0.2.2");
  EXPECT_EQ(cut.mistake, "");
  EXPECT_NE(cut.doubt.find("192.0.2.2"), std::string::npos) << cut.doubt;
}

TEST(PrefixList, ACommentAloneIsAListOfNobody) {
  const auto loaded = parse_prefix_list("# nobody yet\n");
  EXPECT_EQ(loaded.mistake, "");
  EXPECT_TRUE(loaded.prefixes.empty());
}

TEST(PrefixList, WhatWouldKeepEverybodyOutIsRefused) {
  std::string all;
  for (int first = 0; first < 256; ++first) all += std::to_string(first) + ".0.0.0/8\n";
  for (const std::string& text :
       {std::string("0.0.0.0/1\n128.0.0.0/1\n"), std::string("64.0.0.0/2"),
        std::string("2.0.0.0/7"), std::string("2000::/3"), std::string("::/1"),
        std::string("2000::/4\n3000::/4"), all}) {
    EXPECT_NE(parse_prefix_list(text).mistake, "") << text.substr(0, 40);
  }
  // Lists of networks that nobody uses have wide ones; a whole /8 has been kept out before.
  for (const char* text : {"224.0.0.0/3", "240.0.0.0/4", "10.0.0.0/8\n127.0.0.0/8", "fc00::/7",
                           "4000::/3", "8000::/1", "2400::/8", "5.0.0.0/8"}) {
    EXPECT_EQ(parse_prefix_list(text).mistake, "") << text;
  }
}

}  // namespace
}  // namespace ringway
