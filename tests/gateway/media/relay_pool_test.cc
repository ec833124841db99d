#include "gateway/media/relay_pool.h"

#include <map>
#include <memory>

#include <gtest/gtest.h>

namespace ringway {
namespace {

constexpr std::uint64_t kSeed = 7;

class RelayPoolTest : public ::testing::Test {
 protected:
  RelayPoolTest() { use(3); }

  void use(std::size_t count) {
    config_.media.relays.assign(count, *parse_endpoint("127.0.0.1:2223"));
    pool_ = std::make_unique<RelayPool>(config_, *counters_, log_, random_);
  }
  // How often each was chosen; -1: none.
  std::map<int, int> drawn(int times = 2'000, RelayPool::Mask without = 0) {
    std::map<int, int> result;
    for (int i = 0; i < times; ++i) {
      const auto relay = pool_->choose(without, now_);
      ++result[relay ? *relay : -1];
    }
    return result;
  }
  using Chosen = std::map<int, int>;

  Config config_;
  std::unique_ptr<Counters> counters_ = std::make_unique<Counters>();
  Log::Queue queue_{256};
  Log log_{0, LogLevel::Info, queue_, *counters_};
  Random random_{kSeed};
  Instant now_{1000s};
  std::unique_ptr<RelayPool> pool_;
};

TEST_F(RelayPoolTest, SessionsSpreadOverRelaysThatAreThere) {
  EXPECT_EQ(drawn().size(), 3u) << "none is connected: any may be in time";
  pool_->connected(0);
  pool_->connected(2);
  auto all = drawn();
  EXPECT_EQ(all.count(1), 0u);
  EXPECT_NEAR(all[0], 1'000, 120) << "seed " << kSeed;
  pool_->lost(0);
  EXPECT_EQ(drawn(), (Chosen{{2, 2'000}}));
}

TEST_F(RelayPoolTest, SharesAreByWeight) {
  for (std::uint8_t relay = 0; relay < 3; ++relay) pool_->connected(relay);
  config_.media.relays[0].weight = 3;
  config_.media.relays[2].weight = 0;
  auto all = drawn(4'000);
  EXPECT_NEAR(all[0], 3'000, 150) << "seed " << kSeed;
  EXPECT_EQ(all.count(2), 0u) << "a weight of 0 is for the last";
  pool_->lost(0);
  pool_->lost(1);
  EXPECT_EQ(drawn(), (Chosen{{2, 2'000}}));
}

TEST_F(RelayPoolTest, ASilentRelayGetsNoSessionUntilItAnswers) {
  pool_->connected(0);
  pool_->connected(1);
  pool_->not_answered(0);
  EXPECT_EQ(pool_->state(0, now_), RelayState::Silent);
  EXPECT_EQ(counters_->relay_up[0].value(), 0u);
  EXPECT_EQ(drawn(), (Chosen{{1, 2'000}}));
  pool_->answered(0);
  EXPECT_EQ(pool_->state(0, now_), RelayState::Up);
  EXPECT_EQ(counters_->relay_up[0].value(), 1u);
  EXPECT_EQ(drawn().size(), 2u);
}

TEST_F(RelayPoolTest, OneWithoutRoomPausesAndIsNotDead) {
  pool_->connected(0);
  pool_->connected(1);
  pool_->refused(0, "Parallel session limit reached", now_);
  EXPECT_EQ(pool_->state(0, now_), RelayState::Paused);
  EXPECT_EQ(counters_->relay_up[0].value(), 1u);
  EXPECT_EQ(drawn(), (Chosen{{1, 2'000}}));
  pool_->refused(1, "Ran out of ports", now_);
  EXPECT_EQ(drawn().size(), 2u) << "asking is better than refusing";
  EXPECT_EQ(drawn(10, RelayPool::bit(0) | RelayPool::bit(1)), (Chosen{{-1, 10}}));
  now_ += RelayPool::kPause;
  EXPECT_EQ(pool_->state(0, now_), RelayState::Up);
}

TEST_F(RelayPoolTest, ADrainedOneGetsNothingNew) {
  for (std::uint8_t relay = 0; relay < 3; ++relay) pool_->connected(relay);
  config_.media.relays[1].drain = true;
  EXPECT_EQ(drawn().count(1), 0u);
  config_.media.relays[0].drain = config_.media.relays[2].drain = true;
  EXPECT_EQ(drawn(10), (Chosen{{-1, 10}}));
  EXPECT_FALSE(pool_->has_usable(0, now_));
}

TEST_F(RelayPoolTest, TheNextOneIsOneThatIsThere) {
  pool_->connected(0);
  EXPECT_EQ(drawn(10, RelayPool::bit(0)), (Chosen{{-1, 10}})) << "no second wait for nobody";
  pool_->connected(1);
  EXPECT_EQ(drawn(10, RelayPool::bit(0)), (Chosen{{1, 10}}));
}

}  // namespace
}  // namespace ringway
