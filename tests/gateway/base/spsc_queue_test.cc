#include "gateway/base/spsc_queue.h"

#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include <gtest/gtest.h>

namespace ringway {
namespace {

TEST(SpscQueue, KeepsTheOrderAndItsBound) {
  SpscQueue<std::string> queue(4);
  EXPECT_EQ(queue.front(), nullptr);
  for (int round = 0; round < 5; ++round) {
    for (const char* text : {"a", "b", "c", "d"}) EXPECT_TRUE(queue.push(text));
    std::string refused = "e";
    EXPECT_FALSE(queue.push(std::move(refused)));
    EXPECT_EQ(refused, "e") << "untouched";
    for (const char* text : {"a", "b", "c", "d"}) {
      ASSERT_NE(queue.front(), nullptr);
      EXPECT_EQ(*queue.front(), text);
      queue.pop();
    }
    EXPECT_EQ(queue.front(), nullptr);
  }
}

TEST(SpscQueue, TwoThreadsLoseNothing) {
  constexpr std::uint64_t kCount = 200'000;
  SpscQueue<std::uint64_t> queue(64);
  std::thread producer([&] {
    for (std::uint64_t i = 0; i < kCount;) {
      std::uint64_t value = i;
      if (queue.push(std::move(value))) {
        ++i;
      } else {
        std::this_thread::yield();
      }
    }
  });
  std::uint64_t wrong = 0;
  for (std::uint64_t i = 0; i < kCount;) {
    if (const std::uint64_t* value = queue.front()) {
      wrong += *value != i++;
      queue.pop();
    } else {
      std::this_thread::yield();
    }
  }
  producer.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(queue.front(), nullptr);
}

// A consumer that knows that there is an entry may pop it without a look.
TEST(SpscQueue, ForgetsItsEntriesOnceAlsoIfNobodyLookedAtThem) {
  const auto witness = std::make_shared<int>(7);
  {
    SpscQueue<std::shared_ptr<int>> queue(4);
    for (int i = 0; i < 10; ++i) {
      EXPECT_TRUE(queue.push(std::shared_ptr<int>(witness)));
      queue.pop();
    }
    EXPECT_TRUE(queue.push(std::shared_ptr<int>(witness)));
    EXPECT_EQ(witness.use_count(), 2);
  }
  EXPECT_EQ(witness.use_count(), 1);
}

}  // namespace
}  // namespace ringway
