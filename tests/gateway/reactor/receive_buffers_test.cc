#include "gateway/reactor/receive_buffers.h"

#include <set>

#include "tests/gateway/reactor/kernel_fixture.h"

namespace ringway::test {
namespace {

class ReceiveBuffersTest : public KernelTest {
 protected:
  void open(std::uint32_t count) {
    const auto opened = buffers_.open(kernel_, {kGroup, count, 1'000, 1'024 + 64});
    ASSERT_TRUE(opened) << opened.error();
  }
};

TEST_F(ReceiveBuffersTest, AllBelongToTheKernelAtFirst) {
  open(16);
  EXPECT_EQ(buffers_.available(), 16u);
  EXPECT_EQ(buffers_.group(), kGroup);
}

TEST_F(ReceiveBuffersTest, EachIsLentOnceUntilItIsGivenBack) {
  open(4);
  const Socket socket = bound_socket(SOCK_DGRAM);
  msghdr header{};
  for (int round = 0; round < 40; ++round) {  // the 16-bit tail and the ring both go around
    kernel_.receive_message(socket.fd(), &header, kGroup, name(OperationKind::ReceiveDatagram, 1));
    submit();
    for (int i = 0; i < 4; ++i) send_datagram(socket, local_of(socket.fd()), "datagram");
    std::set<std::uint16_t> lent;
    for (const Completion& completion : wait_for(5)) {
      if (!completion.has_buffer) continue;
      buffers_.taken();
      EXPECT_TRUE(lent.insert(completion.buffer).second) << "lent twice";
      EXPECT_EQ(as_text(buffers_.bytes(completion.buffer, 24).subspan(16)), "datagram");
    }
    ASSERT_EQ(lent.size(), 4u);
    EXPECT_EQ(buffers_.available(), 0u);
    for (const std::uint16_t buffer : lent) buffers_.give_back(buffer);
    buffers_.publish();
    EXPECT_EQ(buffers_.available(), 4u);
  }
}

TEST_F(ReceiveBuffersTest, WhatIsGivenBackReachesTheKernelOnlyWhenPublished) {
  open(1);
  const Socket socket = bound_socket(SOCK_DGRAM);
  msghdr header{};
  const auto arm = [&] {
    kernel_.receive_message(socket.fd(), &header, kGroup, name(OperationKind::ReceiveDatagram, 1));
    submit();
  };
  arm();
  send_datagram(socket, local_of(socket.fd()), "one");
  const auto completions = wait_for(2);
  buffers_.taken();
  buffers_.give_back(completions[0].buffer);
  arm();
  EXPECT_EQ(wait_for(1)[0].result, -ENOBUFS);
  buffers_.publish();
  arm();
  send_datagram(socket, local_of(socket.fd()), "two");
  EXPECT_TRUE(wait_for(1)[0].has_buffer);
}

TEST_F(ReceiveBuffersTest, ABufferBehindTheLastOneIsACheck) {
  open(4);
  EXPECT_DEATH(static_cast<void>(buffers_.bytes(4, 1)), "CHECK failed");
  EXPECT_DEATH(static_cast<void>(buffers_.bytes(0, 1'001)), "CHECK failed");
}

TEST_F(ReceiveBuffersTest, AGroupThatIsTakenIsRefusedWithASentence) {
  open(4);
  ReceiveBuffers again;
  const auto opened = again.open(kernel_, {kGroup, 4, 1'000, 1'024});
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().find("receive buffers"), std::string::npos) << opened.error();
}

}  // namespace
}  // namespace ringway::test
