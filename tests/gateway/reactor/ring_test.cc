#include "gateway/reactor/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

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

// What got into the process could write any operation into the ring's memory: the kernel refuses
// what is not on the list.
TEST_F(RingTest, AnOperationThatIsNotOnItsListIsRefusedByTheKernel) {
  constexpr std::size_t kEntries = Ring::kSubmissions * sizeof(io_uring_sqe);
  void* const memory = mmap(nullptr, kEntries, PROT_READ | PROT_WRITE, MAP_SHARED, kernel_.handle(),
                            IORING_OFF_SQES);
  ASSERT_NE(memory, MAP_FAILED) << std::strerror(errno);
  auto* const first = static_cast<io_uring_sqe*>(memory);
  const int event = eventfd(1, EFD_CLOEXEC);
  std::uint64_t value = 0;
  kernel_.read_event(event, &value, name(OperationKind::WakeEvent, 1));
  ASSERT_EQ(first->opcode, IORING_OP_READ);
  first->opcode = IORING_OP_OPENAT;
  first->fd = AT_FDCWD;
  first->addr = reinterpret_cast<std::uint64_t>("/etc/passwd");
  first->len = first->open_flags = 0;
  EXPECT_EQ(wait_for(1).front().result, -EACCES);
  munmap(memory, kEntries);
  close(event);
}

TEST_F(RingTest, NothingMayBeRegisteredThatIsNotOnItsList) {
  const int event = eventfd(0, EFD_CLOEXEC);
  EXPECT_EQ(syscall(SYS_io_uring_register, kernel_.handle(), IORING_REGISTER_EVENTFD, &event, 1), -1);
  EXPECT_EQ(errno, EACCES);
  EXPECT_EQ(syscall(SYS_io_uring_register, kernel_.handle(), IORING_REGISTER_FILES, &event, 1), -1);
  EXPECT_EQ(errno, EACCES);
  close(event);
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
