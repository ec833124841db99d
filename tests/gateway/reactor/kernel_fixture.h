#pragma once

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "gateway/base/counters.h"
#include "gateway/reactor/receive_buffers.h"
#include "tests/gateway/reactor/peer.h"
#include "tests/gateway/reactor/test_kernel.h"

namespace ringway::test {

constexpr std::uint16_t kGroup = 7;

// A kernel on the test's own thread.
class KernelTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto opened = kernel_.open();
    ASSERT_TRUE(opened) << opened.error();
  }

  void submit() {
    std::string error;
    EXPECT_TRUE(kernel_.wait(Duration::zero(), error)) << error;
  }
  // Submits and takes what has completed, without waiting.
  std::vector<Completion> look() {
    submit();
    std::array<Completion, 256> batch;
    const auto reaped = kernel_.reap(batch);
    return {reaped.begin(), reaped.end()};
  }
  // Waits until count completions have come; failing that, empty ones make up the number.
  std::vector<Completion> wait_for(std::size_t count) {
    std::vector<Completion> all;
    for (const Patience patience; all.size() < count && patience.left();) {
      std::string error;
      EXPECT_TRUE(kernel_.wait(100ms, error)) << error;
      std::array<Completion, 256> batch;
      const auto reaped = kernel_.reap(batch);
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
  ReceiveBuffers buffers_;  // outlives the kernel
  std::unique_ptr<Kernel> owned_ = make_kernel(counters_);
  Kernel& kernel_ = *owned_;
};

// What only io_uring does.
class RingTest : public KernelTest {
 protected:
  void SetUp() override {
    if (uses_epoll()) GTEST_SKIP() << "about io_uring";
    KernelTest::SetUp();
  }
};

}  // namespace ringway::test
