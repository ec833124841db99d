#include <netinet/in.h>

#include <cstring>
#include <thread>

#include "tests/gateway/reactor/kernel_fixture.h"

// What kernels do that a reader of the manual would not expect. The transport is built around
// these; a kernel that behaves otherwise shows here first.

namespace ringway::test {
namespace {

class KernelTrapTest : public RingTest {
 protected:
  struct OutHead {  // struct io_uring_recvmsg_out
    std::uint32_t name_size, control_size, payload_size, flags;
  };
  static constexpr std::uint32_t kHeadSize = 16 + sizeof(sockaddr_in6);

  void open_buffers(std::uint32_t count, std::uint32_t size) {
    const auto opened = buffers_.open(kernel_, {kGroup, count, size, size});
    ASSERT_TRUE(opened) << opened.error();
    header_.msg_namelen = sizeof(sockaddr_in6);
  }
  void arm(const Socket& socket, std::uint32_t generation = 1) {
    kernel_.receive_message(socket.fd(), &header_, kGroup,
                            name(OperationKind::ReceiveDatagram, 0, generation));
    submit();
  }
  OutHead head_of(const Completion& completion) {
    OutHead head{};
    std::memcpy(&head, bytes_of(completion).data(), sizeof head);
    return head;
  }
  Bytes bytes_of(const Completion& completion) {
    return buffers_.bytes(completion.buffer, static_cast<std::size_t>(completion.result));
  }

  msghdr header_{};
};

TEST_F(KernelTrapTest, AnEmptyDatagramEndsTheMultishotReceive) {
  const Socket server = bound_socket(SOCK_DGRAM), client = bound_socket(SOCK_DGRAM);
  open_buffers(16, 512);
  arm(server);
  send_datagram(client, local_of(server.fd()), "before");
  send_datagram(client, local_of(server.fd()), "");
  send_datagram(client, local_of(server.fd()), "after");
  const auto completions = wait_for(2);
  ASSERT_EQ(completions.size(), 2u) << "nothing more comes until it is armed again";
  EXPECT_TRUE(completions[0].more);
  EXPECT_FALSE(completions[1].more);
  EXPECT_EQ(as_text(bytes_of(completions[0]).subspan(kHeadSize)), "before");
  arm(server);
  EXPECT_EQ(as_text(bytes_of(wait_for(1)[0]).subspan(kHeadSize)), "after")
      << "what came meanwhile waits in the socket";
}

TEST_F(KernelTrapTest, ADryRingOfBuffersEndsTheReceiveAndArmingOnItFailsAtOnce) {
  const Socket server = bound_socket(SOCK_DGRAM), client = bound_socket(SOCK_DGRAM);
  open_buffers(2, 512);
  arm(server);
  for (int i = 0; i < 3; ++i) send_datagram(client, local_of(server.fd()), std::to_string(i));
  const auto completions = wait_for(3);
  EXPECT_TRUE(completions[0].has_buffer && completions[1].has_buffer);
  EXPECT_EQ(completions[2].result, -ENOBUFS);
  EXPECT_FALSE(completions[2].more);
  arm(server);
  EXPECT_EQ(wait_for(1)[0].result, -ENOBUFS) << "arming without buffers would spin";
  for (const Completion& completion : {completions[0], completions[1]}) {
    buffers_.taken();
    buffers_.give_back(completion.buffer);
  }
  buffers_.publish();
  arm(server);
  EXPECT_EQ(as_text(bytes_of(wait_for(1)[0]).subspan(kHeadSize)), "2");
}

TEST_F(KernelTrapTest, ADatagramLargerThanItsBufferSaysSoAndItsTrueSize) {
  const Socket server = bound_socket(SOCK_DGRAM), client = bound_socket(SOCK_DGRAM);
  open_buffers(4, 256);
  arm(server);
  send_datagram(client, local_of(server.fd()), std::string(600, 'x'));
  const auto completions = wait_for(1);
  const OutHead head = head_of(completions[0]);
  EXPECT_NE(head.flags & MSG_TRUNC, 0u);
  EXPECT_EQ(head.payload_size, 600u);
  EXPECT_EQ(completions[0].result, 256);
}

TEST_F(KernelTrapTest, ThePayloadLiesBehindTheNameAreaThatWasAskedForNotTheOneThatWasFilled) {
  const Socket server = bound_socket(SOCK_DGRAM), client = bound_socket(SOCK_DGRAM);
  open_buffers(4, 256);
  arm(server);
  send_datagram(client, local_of(server.fd()), "payload");
  const auto completion = wait_for(1)[0];
  EXPECT_EQ(head_of(completion).name_size, sizeof(sockaddr_in));
  EXPECT_EQ(as_text(bytes_of(completion).subspan(kHeadSize)), "payload");
}

TEST_F(KernelTrapTest, AReceiveOnAStreamTakesNoMoreThanItsCapInOneGo) {
  const Socket listener = listening_socket();
  const Socket client = connected_socket(local_of(listener.fd()));
  const Socket server(accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC));
  open_buffers(64, 512);
  kernel_.receive(server.fd(), kGroup, 48, name(OperationKind::ReceiveStream, 1));
  ASSERT_EQ(send(client.fd(), std::string(200, 'x').data(), 200, 0), 200);
  std::size_t size = 0;
  for (const Completion& completion : wait_for(5)) {
    EXPECT_LE(completion.result, 48);
    size += static_cast<std::size_t>(completion.result);
  }
  EXPECT_EQ(size, 200u);
}

TEST_F(KernelTrapTest, CloseAloneSendsNoFinWhileAReceiveIsArmed) {
  const Socket listener = listening_socket();
  const Socket client = connected_socket(local_of(listener.fd()));
  Socket server(accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC));
  open_buffers(8, 512);
  kernel_.receive(server.fd(), kGroup, 0, name(OperationKind::ReceiveStream, 1));
  submit();
  server.reset();
  submit();
  EXPECT_FALSE(readable(client.fd(), 0)) << "the ring holds the socket open";
  kernel_.cancel(server.fd(), name(OperationKind::ReceiveStream, 1));
  wait_for(2);
  EXPECT_TRUE(readable(client.fd()));
  EXPECT_EQ(read_once(client.fd()), "");
}

TEST_F(KernelTrapTest, ShutdownSendsTheFinAtOnceAndEndsTheReceive) {
  const Socket listener = listening_socket();
  const Socket client = connected_socket(local_of(listener.fd()));
  const Socket server(accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC));
  open_buffers(8, 512);
  kernel_.receive(server.fd(), kGroup, 0, name(OperationKind::ReceiveStream, 1));
  submit();
  shutdown(server.fd(), SHUT_RDWR);
  EXPECT_TRUE(readable(client.fd()));
  const auto completions = wait_for(1);
  EXPECT_EQ(completions[0].result, 0);
  EXPECT_FALSE(completions[0].more);
}

TEST_F(KernelTrapTest, AMessageFromAnotherRingWakesTheWaitAndTheSenderGetsNoCompletion) {
  Counters counters;
  std::thread sender([&] {
    Ring ring(counters);
    ASSERT_TRUE(ring.open());
    ring.wake(kernel_.handle());
    std::string error;
    EXPECT_TRUE(ring.wait(Duration::zero(), error)) << error;
    EXPECT_FALSE(ring.has_completions());
  });
  const auto completions = wait_for(1);
  sender.join();
  ASSERT_EQ(completions.size(), 1u);
  EXPECT_EQ(completions[0].operation.kind, OperationKind::WakeShard);
}

// Whatever the kernel cannot do without blocking it would give to worker threads of its own, which
// then compete with the shards for their cores.
TEST_F(KernelTrapTest, NothingThatWeSubmitMakesTheKernelStartAWorkerThread) {
  const std::size_t before = thread_count();
  const Socket listener = listening_socket();
  kernel_.accept(listener.fd(), name(OperationKind::Accept, 1));
  SocketAddress address{};
  const socklen_t size = write_socket_address(local_of(listener.fd()), address);
  const Socket client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  kernel_.connect(client.fd(), &address.any, size, name(OperationKind::Connect, 1));
  open_buffers(8, 512);
  Socket server;
  for (const Completion& completion : wait_for(2)) {
    if (completion.operation.kind == OperationKind::Accept) server = Socket(completion.result);
  }
  ASSERT_TRUE(server);
  kernel_.receive(server.fd(), kGroup, 0, name(OperationKind::ReceiveStream, 1));
  const std::string large(4 << 20, 'x');  // more than the socket takes: it has to wait for space
  kernel_.send(client.fd(), as_bytes(large), Kernel::Chain::Last,
               name(OperationKind::SendStream, 1));
  const Socket udp = bound_socket(SOCK_DGRAM);
  msghdr header{};
  iovec vector{const_cast<char*>("x"), 1};
  SocketAddress to{};
  header.msg_name = &to;
  header.msg_namelen = write_socket_address(local_of(udp.fd()), to);
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  kernel_.send_datagram_later(udp.fd(), &header, name(OperationKind::SendDatagram, 1));
  arm(udp);
  for (int i = 0; i < 20; ++i) submit();
  EXPECT_EQ(thread_count(), before);
  shutdown(client.fd(), SHUT_RDWR);
  kernel_.cancel(client.fd(), name(OperationKind::SendStream, 1));
  for (int i = 0; i < 20; ++i) submit();
  EXPECT_EQ(thread_count(), before);
}

}  // namespace
}  // namespace ringway::test
