#include "gateway/reactor/ring.h"

#include <sys/eventfd.h>

#include <cstring>
#include <set>
#include <string>
#include <thread>

#include "tests/gateway/reactor/kernel_fixture.h"

namespace ringway::test {
namespace {

TEST_F(RingTest, OperationsReachTheKernelTogetherInOneCall) {
  const Socket receiver = bound_socket(SOCK_DGRAM);
  const Socket sender = bound_socket(SOCK_DGRAM);
  SocketAddress address{};
  iovec vector{const_cast<char*>("x"), 1};
  msghdr header{};
  header.msg_name = &address;
  header.msg_namelen = write_socket_address(local_of(receiver.fd()), address);
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  const auto before = counters_.ring_enters.value();
  for (int i = 0; i < 100; ++i) {
    kernel_.send_datagram_now(sender.fd(), &header, name(OperationKind::SendDatagram, 1));
  }
  EXPECT_EQ(counters_.ring_enters.value(), before);
  EXPECT_TRUE(look().empty()) << "only failures are reported";
  EXPECT_EQ(counters_.ring_enters.value(), before + 1);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(read_once(receiver.fd()), "x");
}

TEST_F(RingTest, MoreOperationsThanTheQueueHoldsAreSubmittedInBetween) {
  const Socket receiver = bound_socket(SOCK_DGRAM);
  SocketAddress address{};
  iovec vector{const_cast<char*>("x"), 1};
  msghdr header{};
  header.msg_name = &address;
  header.msg_namelen = write_socket_address(local_of(receiver.fd()), address);
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  constexpr unsigned kCount = 3 * Ring::kSubmissions + 5;
  for (unsigned i = 0; i < kCount; ++i) {
    kernel_.send_datagram_later(receiver.fd(), &header, name(OperationKind::SendDatagram, i));
  }
  std::set<std::uint32_t> seen;
  for (const Completion& completion : wait_for(kCount)) seen.insert(completion.operation.id.slot);
  EXPECT_EQ(seen.size(), kCount);
  EXPECT_EQ(counters_.ring_submissions.value(), kCount);
}

// More completions than the queue has places: the kernel keeps them and hands them over later
// (IORING_FEAT_NODROP); none is lost, and the operator is told to make the queue larger.
TEST_F(RingTest, AnOverflowOfTheCompletionQueueLosesNothingAndIsCounted) {
  constexpr std::uint32_t kCount = Ring::kCompletions + 500;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    kernel_.cancel(-1, name(OperationKind::Connect, i));  // finds nothing
  }
  std::string error;
  ASSERT_TRUE(kernel_.wait(Duration::zero(), error)) << error;
  ASSERT_TRUE(kernel_.wait(Duration::zero(), error)) << error;
  EXPECT_GT(counters_.ring_overflows.value(), 0u);
  EXPECT_EQ(wait_for(kCount).size(), kCount);
  EXPECT_TRUE(look().empty());
}

}  // namespace
}  // namespace ringway::test
