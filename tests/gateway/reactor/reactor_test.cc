#include "gateway/reactor/reactor.h"

#include <sys/eventfd.h>

#include <atomic>
#include <thread>

#include "tests/gateway/reactor/kernel_fixture.h"

namespace ringway::test {
namespace {

class ReactorTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto opened = reactor_.open();
    ASSERT_TRUE(opened) << opened.error();
  }
  std::span<Completion> turn(Instant deadline) {
    return reactor_.turn(deadline, [] { return false; });
  }
  void write_event() {
    const std::uint64_t one = 1;
    ASSERT_EQ(write(event_.fd(), &one, sizeof one), 8);
  }

  Counters counters_;
  Waker waker_;
  Socket event_{eventfd(0, EFD_CLOEXEC)};
  Reactor reactor_{make_kernel(counters_), counters_, waker_, event_.fd()};
};

TEST_F(ReactorTest, ADeadlineEndsTheWaitWithoutACompletion) {
  const Instant deadline = read_clock() + 20ms;
  EXPECT_TRUE(turn(deadline).empty());
  EXPECT_GE(reactor_.now(), deadline) << "never a moment too early";
  EXPECT_GE(reactor_.overslept(), Duration::zero());
  EXPECT_EQ(counters_.ring_completions.value(), 0u);
  EXPECT_EQ(counters_.turns.value(), 1u);
}

TEST_F(ReactorTest, ADeadlineThatHasPassedOnlyLooks) {
  const Instant before = reactor_.now();
  EXPECT_TRUE(turn(before).empty());
  EXPECT_TRUE(turn(before - 1s).empty());
  EXPECT_EQ(reactor_.overslept(), Duration::zero()) << "it did not sleep at all";
}

// now() was read when the turn began; the work since then must not lengthen the sleep.
TEST_F(ReactorTest, WhatTheTurnTookIsTakenOffTheSleep) {
  const Instant deadline = reactor_.now() + 2ms;
  while (read_clock() < deadline) {
  }
  EXPECT_TRUE(turn(deadline).empty());
  EXPECT_GE(reactor_.now(), deadline);
}

TEST_F(ReactorTest, TheEventWakesASleepThatHasNoEndAndIsArmedAgain) {
  for (int round = 0; round < 3; ++round) {
    std::thread other([&] { write_event(); });
    const auto completions = turn(kNever);
    other.join();
    ASSERT_EQ(completions.size(), 1u);
    EXPECT_EQ(completions[0].operation.kind, OperationKind::WakeEvent);
    reactor_.arm_wake_event();
  }
}

TEST_F(ReactorTest, MailThatCameWhileItLaidDownKeepsItAwake) {
  bool asked = false;
  reactor_.turn(kNever, [&] {
    asked = true;
    return true;
  });
  EXPECT_TRUE(asked) << "after sleep was announced";
  EXPECT_FALSE(waker_.must_wake()) << "it is awake again";
}

TEST_F(ReactorTest, WhileThereIsWorkNobodyIsAskedForMail) {
  bool asked = false;
  reactor_.turn(reactor_.now(), [&] { return asked = true; });
  EXPECT_FALSE(asked);
}

// Two reactors on two threads. The first sleeps without end; the second wakes it by a message
// from ring to ring, and only if it sleeps.
TEST_F(ReactorTest, AnotherRingWakesASleeperAndCostsNothingWhileItIsAwake) {
  Mailbox<int> box(64);
  std::atomic<int> received{0};
  constexpr int kMessages = 200;
  std::atomic<bool> ready{false};
  Waker sleeper_waker;
  std::thread sleeper([&] {
    Counters counters;
    const Socket event(eventfd(0, EFD_CLOEXEC));
    Reactor reactor(make_kernel(counters), counters, sleeper_waker, event.fd());
    ASSERT_TRUE(reactor.open());
    ready = true;
    while (received < kMessages) {
      reactor.turn(kNever, [&] { return !box.empty(); });
      while (box.front()) {
        box.pop();
        ++received;
      }
    }
  });
  while (!ready) std::this_thread::yield();
  const auto submitted = counters_.ring_submissions.value();
  for (int i = 0; i < kMessages; ++i) {
    while (!box.push(int{i}, {})) std::this_thread::yield();
    reactor_.wake(sleeper_waker);
    turn(reactor_.now());  // submits
    if (i % 3 != 0) continue;
    while (received <= i) std::this_thread::yield();  // so that it falls asleep in between
  }
  sleeper.join();
  EXPECT_EQ(received, kMessages);
  EXPECT_LE(counters_.ring_submissions.value() - submitted, std::uint64_t{kMessages});
}

TEST_F(ReactorTest, AThreadThatIsAwakeIsNotWoken) {
  Waker awake;
  awake.set_handle(waker_.handle());
  const auto submitted = counters_.ring_submissions.value();
  const auto enters = counters_.ring_enters.value();
  reactor_.wake(awake);
  EXPECT_EQ(counters_.ring_submissions.value(), submitted);
  EXPECT_EQ(counters_.ring_enters.value(), enters);
  awake.announce_sleep();
  reactor_.wake(awake);
  reactor_.wake(awake);
  EXPECT_EQ(counters_.ring_submissions.value(), submitted + 1) << "once is enough";
}

TEST_F(ReactorTest, AThreadWithoutARingIsNotWokenIntoNothing) {
  Waker ended;
  ended.announce_sleep();
  const auto submitted = counters_.ring_submissions.value();
  reactor_.wake(ended);
  EXPECT_EQ(counters_.ring_submissions.value(), submitted);
}

// The ring of a shard that ended while others still ran.
TEST_F(ReactorTest, AWakeOfARingThatIsGoneHurtsNobody) {
  Waker other;
  other.announce_sleep();
  {
    Counters counters;
    Ring ring(counters);
    ASSERT_TRUE(ring.open());
    other.set_handle(ring.handle());
  }
  reactor_.wake(other);
  const auto completions = turn(reactor_.now());
  EXPECT_TRUE(reactor_.failure().empty()) << reactor_.failure();
  for (const Completion& completion : completions) {
    EXPECT_EQ(completion.operation.kind, OperationKind::None);
  }
}

TEST_F(ReactorTest, ATurnTakesABatchAndSaysThatThereIsMore) {
  constexpr std::size_t kCount = 2 * Reactor::kBatch + 10;
  for (std::size_t i = 0; i < kCount; ++i) {
    reactor_.kernel().cancel(-1, {OperationKind::Connect, {static_cast<std::uint32_t>(i), 9}});
  }
  EXPECT_EQ(turn(kNever).size(), Reactor::kBatch);
  EXPECT_FALSE(reactor_.drained());
  EXPECT_EQ(turn(kNever).size(), Reactor::kBatch);
  EXPECT_FALSE(reactor_.drained());
  EXPECT_EQ(turn(kNever).size(), 10u);
  EXPECT_TRUE(reactor_.drained());
}

TEST_F(ReactorTest, TellsWhereItCanBeWokenOnlyWhileItLives) {
  EXPECT_GE(waker_.handle(), 0);
  Waker waker;
  {
    Counters counters;
    Reactor reactor(make_kernel(counters), counters, waker, event_.fd());
    ASSERT_TRUE(reactor.open());
    EXPECT_GE(waker.handle(), 0);
  }
  EXPECT_EQ(waker.handle(), -1);
}

}  // namespace
}  // namespace ringway::test
