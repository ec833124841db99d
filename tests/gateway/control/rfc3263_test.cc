#include "gateway/control/rfc3263.h"

#include <gtest/gtest.h>

#include <map>

namespace ringway {
namespace {

std::string targets(const std::vector<SrvRecord>& records) {
  std::string text;
  for (const SrvRecord& record : records) text += record.target;
  return text;
}

TEST(OrderSrv, Rfc2782_PrioritiesAscendWhateverIsDrawn) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Random random(seed);
    const auto ordered =
        order_srv({{20, 1, 1, "c"}, {10, 0, 1, "b"}, {30, 9, 1, "d"}, {5, 1, 1, "a"}}, random);
    EXPECT_EQ(targets(ordered), "abcd") << "seed " << seed;
  }
}

TEST(OrderSrv, Rfc2782_WithinAPriorityInProportionToTheWeights) {
  std::map<std::string, int> first;
  constexpr int kDraws = 20'000;
  constexpr std::uint64_t kSeed = 7;
  Random random(kSeed);
  for (int i = 0; i < kDraws; ++i) {
    const auto ordered =
        order_srv({{1, 10, 1, "a"}, {1, 30, 1, "b"}, {1, 60, 1, "c"}, {1, 0, 1, "z"}}, random);
    ASSERT_EQ(ordered.size(), 4u);
    ++first[ordered[0].target];
  }
  EXPECT_NEAR(first["a"], kDraws * 0.10, kDraws * 0.02) << "seed " << kSeed;
  EXPECT_NEAR(first["b"], kDraws * 0.30, kDraws * 0.02) << "seed " << kSeed;
  EXPECT_NEAR(first["c"], kDraws * 0.60, kDraws * 0.02) << "seed " << kSeed;
  EXPECT_GT(first["z"], 0) << "a weight of zero is rare, not never; seed " << kSeed;
  EXPECT_LT(first["z"], kDraws * 0.03);
}

TEST(OrderSrv, EachRecordStaysExactlyOnce) {
  Random random(3);
  for (std::size_t count = 0; count < 20; ++count) {
    std::vector<SrvRecord> records;
    for (std::size_t i = 0; i < count; ++i) {
      records.push_back({static_cast<std::uint16_t>(i % 3), static_cast<std::uint16_t>(i % 4),
                         static_cast<std::uint16_t>(i), "x"});
    }
    const auto ordered = order_srv(records, random);
    ASSERT_EQ(ordered.size(), count);
    std::uint64_t seen = 0;
    for (const SrvRecord& record : ordered) seen |= std::uint64_t{1} << record.port;
    EXPECT_EQ(seen, (std::uint64_t{1} << count) - 1);
  }
}

TEST(OrderSrv, TheHeaviestWeightsDoNotOverflow) {
  Random random(1);
  EXPECT_EQ(order_srv(std::vector<SrvRecord>(500, {1, 65'535, 1, "x"}), random).size(), 500u);
}

TEST(OrderNaptr, Rfc3263_4_1_OrderThenPreferenceAndOnlyServicesWeSpeak) {
  const auto ordered = order_naptr({{20, 1, "s", "SIP+D2U", "d"},
                                    {10, 50, "S", "sips+d2t", "c"},
                                    {10, 10, "s", "SIP+D2T", "b"},
                                    {10, 5, "s", "SIP+D2W", "websocket"},
                                    {10, 5, "u", "SIP+D2U", "uri"},
                                    {10, 5, "s", "E2U+sip", "enum"}},
                                   false);
  ASSERT_EQ(ordered.size(), 3u);
  EXPECT_EQ(ordered[0].replacement, "b");
  EXPECT_EQ(ordered[1].replacement, "c");
  EXPECT_EQ(ordered[2].replacement, "d");
}

TEST(OrderNaptr, Rfc3263_4_1_ASipsUriTakesOnlyTls) {
  const auto ordered =
      order_naptr({{1, 1, "s", "SIP+D2U", "a"}, {2, 1, "s", "SIPS+D2T", "b"}}, true);
  ASSERT_EQ(ordered.size(), 1u);
  EXPECT_EQ(ordered[0].replacement, "b");
}

TEST(TransportOfService, Rfc3263_4_1) {
  EXPECT_EQ(transport_of_service({0, 0, "s", "SIP+D2U", ""}), Transport::Udp);
  EXPECT_EQ(transport_of_service({0, 0, "s", "SIP+D2T", ""}), Transport::Tcp);
  EXPECT_EQ(transport_of_service({0, 0, "s", "SIPS+D2T", ""}), Transport::Tls);
  EXPECT_EQ(transport_of_service({0, 0, "a", "SIP+D2T", ""}), std::nullopt);
  EXPECT_EQ(transport_of_service({0, 0, "s", "SIPS+D2U", ""}), std::nullopt);
}

TEST(SrvName, Rfc3263_4_1) {
  EXPECT_EQ(srv_name(Transport::Udp, "example.org"), "_sip._udp.example.org");
  EXPECT_EQ(srv_name(Transport::Tcp, "example.org"), "_sip._tcp.example.org");
  EXPECT_EQ(srv_name(Transport::Tls, "example.org"), "_sips._tcp.example.org");
}

// A DNS answer with one question and two records; the first by a pointer, the second by its name.
std::string dns_answer() {
  using namespace std::string_literals;
  return "\x12\x34\x81\x80\0\x01\0\x02\0\0\0\0"s +
         "\x01"s
         "a\x04test\0\0\x21\0\x01"s +
         "\xc0\x0c\0\x21\0\x01\0\0\x01\x2c\0\x02xx"s +
         "\x01"s
         "b\0\0\x21\0\x01\0\0\0\x3c\0\x01y"s;
}

TEST(SmallestTtl, IsThatOfTheAnswers) {
  EXPECT_EQ(smallest_ttl(as_bytes(dns_answer()), 7), 60u);
  EXPECT_EQ(smallest_ttl({}, 7), 7u);
}

TEST(SmallestTtl, ATornMessageHasNone) {
  const std::string whole = dns_answer();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    // A copy of its own, so that a byte read behind the end is seen.
    const std::vector<std::uint8_t> part(whole.begin(), whole.begin() + static_cast<long>(size));
    EXPECT_EQ(smallest_ttl(part, 7), 7u) << size;
  }
}

}  // namespace
}  // namespace ringway
