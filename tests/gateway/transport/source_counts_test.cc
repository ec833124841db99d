#include "gateway/base/source_counts.h"

#include <gtest/gtest.h>

namespace ringway {
namespace {

Address address(std::string_view text) {
  return *parse_address(text);
}

TEST(SourceCounts, CountEachAddress) {
  SourceCounts counts(HashKey{1, 2});
  for (int i = 0; i < 3; ++i) counts.add(address("192.0.2.1"));
  counts.add(address("192.0.2.2"));
  EXPECT_EQ(counts.count(address("192.0.2.1")), 3u);
  EXPECT_EQ(counts.count(address("192.0.2.2")), 1u);
  EXPECT_EQ(counts.count(address("192.0.2.3")), 0u);
  counts.remove(address("192.0.2.1"));
  EXPECT_EQ(counts.count(address("192.0.2.1")), 2u);
}

TEST(SourceCounts, OfIpv6TheWholeSubscriberNetwork) {
  SourceCounts counts(HashKey{1, 2});
  counts.add(address("2001:db8:1:2::1"));
  counts.add(address("2001:db8:1:2:ffff::9"));
  EXPECT_EQ(counts.count(address("2001:db8:1:2::77")), 2u);
  EXPECT_EQ(counts.count(address("2001:db8:1:3::1")), 0u);
}

// Many sources share cells: an answer may be too high, never too low.
TEST(SourceCounts, NeverCountTooFew) {
  SourceCounts counts(HashKey{3, 4});
  for (std::uint32_t i = 0; i < 50'000; ++i) {
    Address source;
    write_u32(source.bytes, i * 7'919);
    counts.add(source);
    EXPECT_GE(counts.count(source), 1u);
  }
}

}  // namespace
}  // namespace ringway
