#include "gateway/admission/stun_budget.h"

#include <gtest/gtest.h>

namespace ringway {
namespace {

Endpoint at(std::string_view text) {
  return *parse_endpoint(text);
}

class StunBudgetTest : public testing::Test {
 protected:
  // So many of 1,000 requests at once are answered.
  std::uint32_t answers(std::string_view remote, bool is_known) {
    std::uint32_t count = 0;
    for (int i = 0; i < 1'000; ++i) count += budget.take(at(remote), is_known, now) ? 1 : 0;
    return count;
  }

  StunBudget budget{HashKey{3, 4}};
  Instant now = Instant(1'000s);
};

TEST_F(StunBudgetTest, AFloodGetsItsBurstAndThenItsRate) {
  EXPECT_EQ(answers("192.0.2.7:5060", false), StunBudget::kStranger.burst);
  now += 3s;
  EXPECT_EQ(answers("192.0.2.7:5060", false), 3 * StunBudget::kStranger.each_second);
  EXPECT_EQ(answers("192.0.2.9:5060", true), StunBudget::kKnown.burst);
  now += 3s;
  EXPECT_EQ(answers("192.0.2.9:5060", true), 3 * StunBudget::kKnown.each_second);
  now += 1'000'000s;
  EXPECT_EQ(answers("192.0.2.9:5060", true), StunBudget::kKnown.burst);
}

TEST_F(StunBudgetTest, PortsOfAStrangerAndAddressesOfASlash64AreOneSource) {
  EXPECT_EQ(answers("192.0.2.7:5060", false), StunBudget::kStranger.burst);
  EXPECT_EQ(answers("192.0.2.7:5061", false), 0u);
  EXPECT_EQ(answers("[2001:db8::1]:5060", false), StunBudget::kStranger.burst);
  EXPECT_EQ(answers("[2001:db8::2]:5060", false), 0u);
  EXPECT_EQ(answers("[2001:db8:0:1::1]:5060", false), StunBudget::kStranger.burst);
}

TEST_F(StunBudgetTest, AFloodOfAnOfficeTakesNothingFromItsPhones) {
  answers("192.0.2.7:9", false);
  EXPECT_EQ(answers("192.0.2.7:5060", true), StunBudget::kKnown.burst);
  EXPECT_EQ(answers("192.0.2.7:5061", true), StunBudget::kKnown.burst);
}

TEST_F(StunBudgetTest, TheKeepaliveOfAPhoneIsAlwaysWithinItsBudget) {
  for (int i = 0; i < 1'000; ++i, now += 24s) {
    ASSERT_TRUE(budget.take(at("192.0.2.7:5060"), true, now)) << i;
  }
}

// RFC 8489 6.2.1: repeated after 0.5, 1, 2, 4, 8 and 16 s.
TEST_F(StunBudgetTest, WhoRepeatsAsRfc8489SaysIsAnsweredEachTime) {
  for (Duration gap = 500ms; gap <= 16s; now += gap, gap *= 2) {
    ASSERT_TRUE(budget.take(at("192.0.2.7:5060"), true, now));
  }
}

TEST_F(StunBudgetTest, ManyMoreSourcesThanPlacesAreAnswered) {
  for (std::uint32_t i = 0; i < 4 * StunBudget::kPlaces; ++i) {
    Endpoint remote = at("10.0.0.0:5060");
    remote.address.bytes[1] = static_cast<std::uint8_t>(i >> 16);
    remote.address.bytes[2] = static_cast<std::uint8_t>(i >> 8);
    remote.address.bytes[3] = static_cast<std::uint8_t>(i);
    ASSERT_TRUE(budget.take(remote, false, now)) << i;
  }
}

}  // namespace
}  // namespace ringway
