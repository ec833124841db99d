#pragma once

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "gateway/base/counters.h"
#include "gateway/reactor/receive_buffers.h"
#include "gateway/reactor/ring.h"
#include "tests/gateway/reactor/peer.h"

namespace ringway::test {

constexpr std::uint16_t kGroup = 7;

// A ring on the test's own thread.
class RingTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto opened = ring_.open();
    ASSERT_TRUE(opened) << opened.error();
  }

  void submit() {
    std::string error;
    EXPECT_TRUE(ring_.wait(Duration::zero(), error)) << error;
  }
  // Submits and takes what has completed, without waiting.
  std::vector<Completion> look() {
    submit();
    std::array<Completion, 256> batch;
    const auto reaped = ring_.reap(batch);
    return {reaped.begin(), reaped.end()};
  }
  // Waits until count completions have come; failing that, empty ones make up the number.
  std::vector<Completion> wait_for(std::size_t count) {
    std::vector<Completion> all;
    for (const Patience patience; all.size() < count && patience.left();) {
      std::string error;
      EXPECT_TRUE(ring_.wait(100ms, error)) << error;
      std::array<Completion, 256> batch;
      const auto reaped = ring_.reap(batch);
      all.insert(all.end(), reaped.begin(), reaped.end());
    }
    EXPECT_GE(all.size(), count) << "completions did not come";
    if (all.size() < count) all.resize(count);
    return all;
  }

  static constexpr Operation name(OperationKind kind, std::uint32_t slot,
                                  std::uint32_t generation = 1) {
    return {kind, {slot, generation}};
  }

  Counters counters_;
  ReceiveBuffers buffers_;  // outlives the ring
  Ring ring_{counters_};
};

}  // namespace ringway::test
