#include "gateway/reactor/mailbox.h"

#include <gtest/gtest.h>

#include <array>
#include <thread>

#include "protocol/base/bytes.h"

namespace ringway {
namespace {

TEST(Waker, ASleeperIsWokenByExactlyOneOfSeveral) {
  Waker waker;
  EXPECT_FALSE(waker.must_wake()) << "it is awake";
  waker.announce_sleep();
  EXPECT_TRUE(waker.must_wake());
  EXPECT_FALSE(waker.must_wake()) << "somebody does it already";
  waker.announce_sleep();
  waker.announce_awake();
  EXPECT_FALSE(waker.must_wake());
}

TEST(Waker, HasNoHandleUntilItRuns) {
  Waker waker;
  EXPECT_EQ(waker.handle(), -1);
  waker.set_handle(12);
  EXPECT_EQ(waker.handle(), 12);
}

TEST(Mailbox, KeepsTheBufferUntilTheReceiverIsDoneWithTheMessage) {
  BufferPool pool(1 << 20);
  Mailbox<int> box(4);
  EXPECT_TRUE(box.push(1, pool.take(100)));
  EXPECT_TRUE(box.reclaim()) << "it is still lent";
  EXPECT_EQ(pool.in_use(), 1u);
  ASSERT_NE(box.front(), nullptr);
  EXPECT_TRUE(box.reclaim()) << "seen is not dealt with";
  box.pop();
  EXPECT_FALSE(box.reclaim());
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST(Mailbox, AFullOneRefusesAndLeavesTheMessageUntouched) {
  BufferPool pool(1 << 20);
  Mailbox<std::unique_ptr<int>> box(2);
  EXPECT_TRUE(box.push(std::make_unique<int>(1), {}));
  EXPECT_TRUE(box.push(std::make_unique<int>(2), {}));
  auto third = std::make_unique<int>(3);
  EXPECT_FALSE(box.push(std::move(third), pool.take(10)));
  ASSERT_TRUE(third);
  EXPECT_EQ(pool.in_use(), 0u) << "the refused buffer went back";
  EXPECT_EQ(**box.front(), 1);
  box.pop();
  EXPECT_TRUE(box.push(std::move(third), {})) << "there is room again";
}

TEST(Mailbox, AbandonedAfterBothThreadsItGivesEveryBufferBack) {
  BufferPool pool(1 << 20);
  Mailbox<int> box(8);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(box.push(int{i}, pool.take(10)));
  box.front();
  box.pop();
  box.abandon();
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST(Mailbox, CarriesEverythingInOrderBetweenTwoThreads) {
  constexpr std::uint64_t kCount = 100'000;
  BufferPool pool(1 << 20);
  Mailbox<Bytes> box(64);
  bool in_order = true;
  std::thread receiver([&] {
    for (std::uint64_t expected = 0; expected < kCount;) {
      const Bytes* message = box.front();
      if (!message) {
        std::this_thread::yield();
        continue;
      }
      in_order &= read_u64(*message) == expected++;
      box.pop();
    }
  });
  for (std::uint64_t i = 0; i < kCount;) {
    BufferRef buffer = pool.take(8);
    ASSERT_TRUE(buffer);
    write_u64(buffer.space(), i);
    buffer.set_size(8);
    const Bytes bytes = buffer.bytes();
    if (box.push(Bytes(bytes), std::move(buffer))) {
      ++i;
    } else {
      std::this_thread::yield();
    }
  }
  receiver.join();
  EXPECT_TRUE(in_order);
  EXPECT_FALSE(box.reclaim());
  EXPECT_EQ(pool.in_use(), 0u);
}

}  // namespace
}  // namespace ringway
