#include "gateway/base/prefix.h"

#include <gtest/gtest.h>

namespace ringway {
namespace {

TEST(Prefix, ContainsWhatSharesItsBits) {
  const struct {
    std::string_view prefix, address;
    bool inside;
  } kCases[] = {
      {"192.0.2.0/24", "192.0.2.0", true},
      {"192.0.2.0/24", "192.0.2.255", true},
      {"192.0.2.0/24", "192.0.3.0", false},
      {"192.0.2.128/25", "192.0.2.127", false},
      {"192.0.2.128/25", "192.0.2.128", true},
      {"0.0.0.0/0", "203.0.113.1", true},
      {"0.0.0.0/0", "::1", false},
      {"192.0.2.7", "192.0.2.7", true},
      {"192.0.2.7", "192.0.2.6", false},
      {"192.0.2.6/31", "192.0.2.7", true},
      {"2001:db8::/32", "2001:db8:ffff::", true},
      {"2001:db8::/32", "2001:db9::", false},
      {"2001:db8::/33", "2001:db8:8000::", false},
      {"::/0", "2001:db8::1", true},
      {"::1", "::1", true},
      {"192.0.2.0/24", "::ffff:192.0.2.9", true},
  };
  for (const auto& [prefix, address, inside] : kCases) {
    const auto parsed = parse_prefix(prefix);
    ASSERT_TRUE(parsed) << prefix;
    EXPECT_EQ(parsed->contains(*parse_address(address)), inside) << prefix << " " << address;
  }
}

TEST(Prefix, MalformedOnesAreRefused) {
  for (const std::string_view text :
       {"", "/", "/24", "192.0.2.0/", "192.0.2.0/33", "192.0.2.0/-1", "192.0.2.0/024x",
        "192.0.2.1/24", "2001:db8::/129", "2001:db8::1/32", "host/8", "192.0.2.0/24/8"}) {
    EXPECT_FALSE(parse_prefix(text)) << text;
  }
}

}  // namespace
}  // namespace ringway
