#include "gateway/admission/source_lists.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace ringway {
namespace {

Address address(std::string_view text) {
  return *parse_address(text);
}

TEST(PrefixList, OneALineWithCommentsInAnyLineEnd) {
  const auto loaded = parse_prefix_list(
      "# APIBAN\r\n192.0.2.1\r\n\r\n  198.51.100.0/24 ; a comment\n2001:db8::/32#x\n[2001:db9::1]");
  EXPECT_EQ(loaded.wrong_line, 0u) << loaded.wrong_text;
  ASSERT_EQ(loaded.prefixes.size(), 4u);
  EXPECT_EQ(loaded.prefixes[0].bits, 32);
  EXPECT_EQ(loaded.prefixes[1].bits, 24);
  EXPECT_EQ(loaded.prefixes[2].bits, 32);
  EXPECT_EQ(loaded.prefixes[3].bits, 128);
}

TEST(PrefixList, AByteOrderMarkIsPassedOver) {
  const auto loaded = parse_prefix_list("\xef\xbb\xbf""192.0.2.1\n");
  EXPECT_EQ(loaded.wrong_line, 0u) << loaded.wrong_text;
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
  // An answer that is cut is not half believed.
  for (const char* cut : {"{\"ipaddress\":[\"192.0.2.1\",\"192.0", "{", "[\"", "{\"192.0.2.1"}) {
    EXPECT_EQ(parse_prefix_list(cut).wrong_line, 1u) << cut;
  }
}

TEST(PrefixList, TheFirstLineThatIsWrongIsNamed) {
  for (const std::string wrong : {"hello", "192.0.2.1/33", "192.0.2.1/0", "::/0", "192.0.2.1 x",
                                  "1.2.3", "192.0.2.1/", "192.0.2.1/x", "/24"}) {
    const auto loaded = parse_prefix_list("192.0.2.9\n" + wrong + "\n192.0.2.10");
    EXPECT_EQ(loaded.wrong_line, 2u) << wrong;
    EXPECT_EQ(loaded.wrong_text, wrong);
    EXPECT_EQ(loaded.prefixes.size(), 2u);
  }
  EXPECT_EQ(parse_prefix_list(std::string(1'000, 'x')).wrong_text.size(), 60u);
}

TEST(PrefixList, BitsBehindThePrefixAreIgnored) {
  const auto loaded = parse_prefix_list("192.0.2.77/24");
  ASSERT_EQ(loaded.prefixes.size(), 1u);
  EXPECT_TRUE(PrefixSet(loaded.prefixes).contains(address("192.0.2.1")));
}

TEST(PrefixSet, ContainsWhatItsPrefixesContain) {
  const PrefixSet set(parse_prefix_list("192.0.2.0/24\n192.0.2.128/25\n10.0.0.0/8\n10.1.0.0/16\n"
                                        "203.0.113.7\n2001:db8::/33\n2001:db8:ffff::1/128\n")
                          .prefixes);
  for (const char* in : {"192.0.2.0", "192.0.2.255", "10.0.0.0", "10.255.255.255", "203.0.113.7",
                         "2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff",
                         "2001:db8:ffff::1"}) {
    EXPECT_TRUE(set.contains(address(in))) << in;
  }
  for (const char* out : {"192.0.1.255", "192.0.3.0", "9.255.255.255", "11.0.0.0", "203.0.113.6",
                          "203.0.113.8", "2001:db8:8000::", "2001:db7:ffff::", "::", "::1",
                          "::c000:200", "0.0.0.0", "255.255.255.255", "2001:db8:ffff::2"}) {
    EXPECT_FALSE(set.contains(address(out))) << out;
  }
  EXPECT_FALSE(PrefixSet().contains(address("192.0.2.1")));
}

TEST(PrefixSet, AgreesWithOneByOne) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<Prefix> prefixes;
    for (int i = 0; i < 20; ++i) {
      const std::string text = "10." + std::to_string(random() % 4) + "." +
                               std::to_string(random() % 256) + ".0/" +
                               std::to_string(9 + random() % 24);
      prefixes.push_back(parse_prefix_list(text).prefixes.at(0));
    }
    const PrefixSet set(prefixes);
    for (int i = 0; i < 200; ++i) {
      Address one = address("10.0.0.0");
      one.bytes[1] = static_cast<std::uint8_t>(random() % 5);
      one.bytes[2] = static_cast<std::uint8_t>(random());
      one.bytes[3] = static_cast<std::uint8_t>(random());
      const bool expected = std::ranges::any_of(
          prefixes, [&](const Prefix& prefix) { return prefix.contains(one); });
      ASSERT_EQ(set.contains(one), expected);
    }
  }
}

}  // namespace
}  // namespace ringway
