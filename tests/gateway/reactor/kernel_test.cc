#include "gateway/reactor/kernel.h"

#include <sys/eventfd.h>

#include <cstring>
#include <set>
#include <string>
#include <thread>

#include "tests/gateway/reactor/kernel_fixture.h"

namespace ringway::test {
namespace {

TEST_F(KernelTest, CompletionsCarryTheNameOfTheirOperation) {
  const Socket event(eventfd(3, EFD_CLOEXEC));
  std::uint64_t value = 0;
  kernel_.read_event(event.fd(), &value, name(OperationKind::WakeEvent, 0xff'ffff, 0xdead'beef));
  const auto completions = wait_for(1);
  ASSERT_EQ(completions.size(), 1u);
  EXPECT_EQ(completions[0].operation.kind, OperationKind::WakeEvent);
  EXPECT_EQ(completions[0].operation.id, (SlotId{0xff'ffff, 0xdead'beef}));
  EXPECT_EQ(completions[0].result, 8);
  EXPECT_FALSE(completions[0].more);
  EXPECT_FALSE(completions[0].has_buffer);
  EXPECT_EQ(value, 3u);
}

TEST_F(KernelTest, OneAcceptBringsEachConnection) {
  const Socket listener = listening_socket();
  kernel_.accept(listener.fd(), name(OperationKind::Accept, 4));
  const Socket a = connected_socket(local_of(listener.fd()));
  const Socket b = connected_socket(local_of(listener.fd()));
  const auto completions = wait_for(2);
  ASSERT_EQ(completions.size(), 2u);
  for (const Completion& completion : completions) {
    EXPECT_EQ(completion.operation.id.slot, 4u);
    EXPECT_TRUE(completion.more);
    EXPECT_GE(Socket(completion.result).fd(), 0);
  }
}

TEST_F(KernelTest, ASingleAcceptLeavesTheNextConnectionInTheBacklog) {
  const Socket listener = listening_socket();
  const Socket a = connected_socket(local_of(listener.fd()));
  const Socket b = connected_socket(local_of(listener.fd()));
  for (std::uint32_t i = 1; i <= 2; ++i) {
    kernel_.accept_one(listener.fd(), name(OperationKind::Accept, i));
    const auto completions = wait_for(1);
    ASSERT_EQ(completions.size(), 1u);
    EXPECT_EQ(completions[0].operation.id.slot, i);
    EXPECT_FALSE(completions[0].more);
    EXPECT_GE(Socket(completions[0].result).fd(), 0);
  }
}

TEST_F(KernelTest, ConnectReportsSuccessAndRefusal) {
  const Socket listener = listening_socket();
  Socket closed = listening_socket();
  SocketAddress good{}, bad{};
  const socklen_t size = write_socket_address(local_of(listener.fd()), good);
  write_socket_address(local_of(closed.fd()), bad);
  closed.reset();
  const Socket a(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Socket b(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  kernel_.connect(a.fd(), &good.any, size, name(OperationKind::Connect, 1));
  kernel_.connect(b.fd(), &bad.any, size, name(OperationKind::Connect, 2));
  for (const Completion& completion : wait_for(2)) {
    EXPECT_EQ(completion.result, completion.operation.id.slot == 1 ? 0 : -ECONNREFUSED);
  }
}

TEST_F(KernelTest, ADatagramThatCannotBeSentIsReported) {
  const Socket sender = bound_socket(SOCK_DGRAM);
  SocketAddress address{};
  std::string large(65'508, 'x');  // one more than IPv4 and UDP carry
  iovec vector{large.data(), large.size()};
  msghdr header{};
  header.msg_name = &address;
  header.msg_namelen = write_socket_address(local_of(sender.fd()), address);
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  kernel_.send_datagram_now(sender.fd(), &header, name(OperationKind::SendDatagram, 9));
  const auto completions = wait_for(1);
  ASSERT_EQ(completions.size(), 1u);
  EXPECT_EQ(completions[0].operation.id.slot, 9u);
  EXPECT_EQ(completions[0].result, -EMSGSIZE);
}

TEST_F(KernelTest, ASendOnAStreamIsOneCompletionForAllItsBytesHoweverSlowTheReader) {
  const Socket listener = listening_socket();
  const Socket sender = connected_socket(local_of(listener.fd()));
  const Socket reader(accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC));
  std::string head(100, 'a'), body(8 << 20, 'b');
  iovec vectors[2] = {{head.data(), head.size()}, {body.data(), body.size()}};
  msghdr header{};
  header.msg_iov = vectors;
  header.msg_iovlen = 2;
  kernel_.send_message(sender.fd(), &header, name(OperationKind::SendStream, 1));
  std::size_t read = 0;
  std::vector<Completion> completions;
  for (const Patience patience; read < head.size() + body.size() && patience.left();) {
    for (const Completion& completion : look()) completions.push_back(completion);
    char bytes[65'536];
    const ssize_t size = recv(reader.fd(), bytes, sizeof bytes, MSG_DONTWAIT);
    if (size > 0) read += static_cast<std::size_t>(size);
  }
  EXPECT_EQ(read, head.size() + body.size());
  if (completions.empty()) completions = wait_for(1);
  ASSERT_EQ(completions.size(), 1u);
  EXPECT_EQ(completions[0].result, static_cast<std::int32_t>(head.size() + body.size()));
}

TEST_F(KernelTest, LinkedSendsKeepTheirOrder) {
  const Socket listener = listening_socket();
  const Socket sender = connected_socket(local_of(listener.fd()));
  const Socket reader(accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC));
  std::string expected;
  std::vector<std::string> pieces;
  for (int i = 0; i < 20; ++i) pieces.push_back("piece " + std::to_string(i) + ";");
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    expected += pieces[i];
    kernel_.send(sender.fd(), as_bytes(pieces[i]),
                 i + 1 < pieces.size() ? Kernel::Chain::Linked : Kernel::Chain::Last,
                 name(OperationKind::SendStream, 1));
  }
  wait_for(pieces.size());
  std::string text;
  while (text.size() < expected.size()) {
    const std::string piece = read_once(reader.fd());
    if (piece.empty()) break;
    text += piece;
  }
  EXPECT_EQ(text, expected);
}

TEST_F(KernelTest, CancelEndsAllOperationsOfThatNameAndNoOthers) {
  const Socket a = bound_socket(SOCK_DGRAM), b = bound_socket(SOCK_DGRAM);
  ASSERT_TRUE(buffers_.open(kernel_, {kGroup, 8, 512, 512}));
  msghdr header{};
  kernel_.receive_message(a.fd(), &header, kGroup, name(OperationKind::ReceiveDatagram, 1, 1));
  kernel_.receive_message(b.fd(), &header, kGroup, name(OperationKind::ReceiveDatagram, 1, 2));
  submit();
  kernel_.cancel(a.fd(), name(OperationKind::ReceiveDatagram, 1, 1));
  std::vector<Completion> ended;
  for (const Completion& completion : wait_for(2)) {
    if (completion.operation.kind == OperationKind::ReceiveDatagram) ended.push_back(completion);
  }
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].operation.id.generation, 1u);
  EXPECT_EQ(ended[0].result, -ECANCELED);
  EXPECT_FALSE(ended[0].more);
  send_datagram(a, local_of(b.fd()), "still there");
  const auto completions = wait_for(1);
  EXPECT_EQ(completions[0].operation.id.generation, 2u);
  EXPECT_TRUE(completions[0].more);
}

TEST_F(KernelTest, ABatchThatIsTooSmallLeavesTheRestForLater) {
  const Socket receiver = bound_socket(SOCK_DGRAM);
  ASSERT_TRUE(buffers_.open(kernel_, {kGroup, 64, 512, 512}));
  msghdr header{};
  kernel_.receive_message(receiver.fd(), &header, kGroup, name(OperationKind::ReceiveDatagram, 1));
  submit();
  for (int i = 0; i < 10; ++i) send_datagram(receiver, local_of(receiver.fd()), std::to_string(i));
  std::string error;
  std::size_t count = 0;
  for (const Patience patience; count < 10 && patience.left();) {
    ASSERT_TRUE(kernel_.wait(100ms, error)) << error;
    std::array<Completion, 3> batch;
    const auto reaped = kernel_.reap(batch);
    EXPECT_LE(reaped.size(), 3u);
    count += reaped.size();
  }
  EXPECT_EQ(count, 10u);
  EXPECT_FALSE(kernel_.has_completions());
}

TEST_F(KernelTest, WaitReturnsAtItsTimeoutWithoutACompletion) {
  std::string error;
  EXPECT_TRUE(kernel_.wait(1ms, error)) << error;
  EXPECT_FALSE(kernel_.has_completions());
  EXPECT_EQ(counters_.ring_completions.value(), 0u);
}

TEST_F(KernelTest, WaitMakesNoSystemCallWhileThereAreCompletions) {
  const Socket event(eventfd(1, EFD_CLOEXEC));
  std::uint64_t value = 0;
  kernel_.read_event(event.fd(), &value, name(OperationKind::WakeEvent, 1));
  std::string error;
  for (const Patience patience; !kernel_.has_completions() && patience.left();) {
    ASSERT_TRUE(kernel_.wait(100ms, error)) << error;
  }
  const auto before = counters_.ring_enters.value();
  EXPECT_TRUE(kernel_.wait(Duration::max(), error));
  EXPECT_EQ(counters_.ring_enters.value(), before);
}

}  // namespace
}  // namespace ringway::test
