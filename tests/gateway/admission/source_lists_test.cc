#include "gateway/admission/source_lists.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "gateway/admission/prefix_list.h"

namespace ringway {
namespace {

Address address(std::string_view text) {
  return *parse_address(text);
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

TEST(PrefixSet, CoversAndTouchesPrefixes) {
  const PrefixSet set(parse_prefix_list("192.0.2.0/25\n192.0.2.128/25\n2001:db8::/32\n").prefixes);
  for (const char* in : {"192.0.2.0/24", "192.0.2.7/32", "2001:db8:1::/48"}) {
    EXPECT_TRUE(set.covers(*parse_prefix(in))) << in;
    EXPECT_TRUE(set.touches(*parse_prefix(in))) << in;
  }
  for (const char* part : {"192.0.0.0/16", "2001:d00::/24"}) {
    EXPECT_FALSE(set.covers(*parse_prefix(part))) << part;
    EXPECT_TRUE(set.touches(*parse_prefix(part))) << part;
  }
  for (const char* out : {"192.0.3.0/24", "10.0.0.0/8", "2001:db9::/32", "0.0.0.0/1"}) {
    EXPECT_FALSE(set.covers(*parse_prefix(out))) << out;
  }
  EXPECT_FALSE(set.touches(*parse_prefix("192.0.3.0/24")));
  EXPECT_FALSE(PrefixSet().touches(*parse_prefix("0.0.0.0/0")));
}

}  // namespace
}  // namespace ringway
