#include "gateway/transport/bounds.h"
#include "tests/gateway/transport/host.h"

// What leaves on a stream: order, one send at a time, bounds, and the end.

namespace ringway::test {
namespace {

using Kind = StreamEvent::Kind;

class StreamSend : public testing::Test {
 protected:
  static Config config() {
    Config config = config_with({listen_on(Transport::Tcp)});
    config.limits.send_queue_bytes = 1 << 20;
    return config;
  }
  StreamSend() : host_(config()) {
    client_ = connect_small();
    flow_ = host_.opened_flow();
  }
  // A client whose kernel takes little before it is read.
  Socket connect_small() {
    Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int size = 4'096;
    setsockopt(socket.fd(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    SocketAddress address{};
    const socklen_t length = write_socket_address(host_.endpoint(), address);
    EXPECT_EQ(connect(socket.fd(), &address.any, length), 0);
    return socket;
  }
  // Sends until a send hangs in the kernel; what was sent.
  std::string fill() {
    std::string sent;
    for (int quiet = 0; quiet < 10;) {
      const std::string piece(60'000, static_cast<char>('a' + sent.size() / 60'000 % 26));
      const auto out = host_.counters().bytes_out[1].value();
      host_.send(flow_, piece);
      sent += piece;
      host_.settle();
      quiet = host_.counters().bytes_out[1].value() == out ? 10 : 0;
    }
    return sent;
  }

  Host host_;
  Socket client_;
  FlowId flow_;
};

TEST_F(StreamSend, MessagesOfATurnLeaveInOrderInOneSend) {
  const auto submissions = host_.counters().ring_submissions.value();
  std::string expected;
  for (int i = 0; i < 50; ++i) {
    host_.send(flow_, "message " + std::to_string(i) + "\n");
    expected += "message " + std::to_string(i) + "\n";
  }
  EXPECT_EQ(host_.read(client_.fd(), expected.size()), expected);
  EXPECT_EQ(host_.counters().ring_submissions.value(), submissions + 1);
  ASSERT_TRUE(host_.until([&] { return host_.buffers().in_use() == 0; }));
}

TEST_F(StreamSend, MoreThanOneGatheringKeepsItsOrder) {
  std::string expected;
  for (int i = 0; i < 1'000; ++i) {
    host_.send(flow_, std::to_string(i) + " ");
    expected += std::to_string(i) + " ";
  }
  EXPECT_EQ(host_.read(client_.fd(), expected.size()), expected);
}

TEST_F(StreamSend, OnlyOneSendIsInFlightAndTheRestGathersBehindIt) {
  std::string expected = fill();
  const auto submissions = host_.counters().ring_submissions.value();
  for (int i = 0; i < 20; ++i) {
    host_.send(flow_, "late " + std::to_string(i));
    expected += "late " + std::to_string(i);
    host_.turn();
  }
  EXPECT_EQ(host_.counters().ring_submissions.value(), submissions);
  EXPECT_EQ(host_.read(client_.fd(), expected.size()), expected);
}

// Who pipelines requests and reads the answers has them all.
TEST_F(StreamSend, WhatOneTurnAsksOfAReaderLeavesThoughItIsMoreThanItsQueueHolds) {
  std::string expected;
  for (int i = 0; i < 6'000; ++i) {  // with their charges 3 MB, three times the queue
    const std::string text = "answer " + std::to_string(i) + std::string(200, ' ');
    host_.send(flow_, text);
    expected += text;
  }
  EXPECT_EQ(host_.read(client_.fd(), expected.size()), expected);
  EXPECT_EQ(host_.counters().send_queue_overflows.value(), 0u);
}

TEST_F(StreamSend, ASlowReaderIsClosedAtItsBoundAndNobodyElseIsHeldUp) {
  const Socket other = connected_socket(host_.endpoint());
  ASSERT_TRUE(host_.until([&] { return host_.count(Kind::FlowOpened) == 2; }));
  const FlowId other_flow = host_.opened_flow();
  fill();
  host_.advance(bounds::kSendGrace);  // it had time to read
  Ticket ticket = 0;
  while (host_.count(Kind::SendFailed) == 0 && ticket < 100) {
    host_.send(flow_, std::string(60'000, 'x'), ++ticket);
    host_.turn();
    host_.send(other_flow, "not held up");
    EXPECT_EQ(host_.read(other.fd(), 11), "not held up");
  }
  const auto closed = host_.last(Kind::FlowClosed);
  EXPECT_EQ(closed.flow.flow, flow_);
  EXPECT_EQ(closed.end, FlowEnd::TimedOut);
  EXPECT_EQ(host_.counters().send_queue_overflows.value(), 1u);
  // Every message that did not leave is told, the one that was too much among them.
  EXPECT_EQ(host_.count(Kind::SendFailed), ticket);
  for (const auto& event : host_.events) {
    if (event.kind == Kind::SendFailed) {
      EXPECT_EQ(event.failure, TransportFailure::QueueFull);
    }
  }
  EXPECT_TRUE(host_.streams().is_open(other_flow));
  ASSERT_TRUE(host_.until([&] { return host_.streams().open_streams() == 1; }));
  EXPECT_TRUE(host_.until([&] { return host_.buffers().in_use() == 0; }))
      << "what the kernel held came back";
}

TEST_F(StreamSend, ASendWithoutProgressClosesTheFlow) {
  fill();
  host_.advance(9s);
  EXPECT_EQ(host_.count(Kind::FlowClosed), 0u);
  host_.advance(2s);
  EXPECT_EQ(host_.last(Kind::FlowClosed).end, FlowEnd::TimedOut);
}

TEST_F(StreamSend, CloseSendsWhatIsQueuedAndThenTheEnd) {
  host_.send(flow_, "the last ");
  host_.send(flow_, "words");
  host_.streams().close(flow_, 0, host_.now());
  EXPECT_EQ(host_.read_to_end(client_.fd()), "the last words");
  EXPECT_EQ(host_.last(Kind::FlowClosed).end, FlowEnd::Closed);
  EXPECT_EQ(host_.count(Kind::SendFailed), 0u);
  // The peer has not closed yet: it gets a while to read, then the place is freed.
  EXPECT_EQ(host_.streams().open_streams(), 1u);
  client_.reset();
  ASSERT_TRUE(host_.until([&] { return host_.streams().open_streams() == 0; }));
}

TEST_F(StreamSend, ALingeringPeerIsNotWaitedForForEver) {
  host_.streams().close(flow_, 0, host_.now());
  EXPECT_EQ(host_.read_to_end(client_.fd()), "");
  host_.advance(2s);
  ASSERT_TRUE(host_.until([&] { return host_.streams().open_streams() == 0; }));
}

TEST_F(StreamSend, APeerThatReadsNothingCannotKeepAClosingFlow) {
  fill();
  host_.streams().close(flow_, 0, host_.now());
  host_.settle();
  EXPECT_EQ(host_.streams().open_streams(), 1u);
  host_.advance(3s);
  ASSERT_TRUE(host_.until([&] { return host_.streams().open_streams() == 0; }));
}

TEST_F(StreamSend, AClosingFlowTakesNoMessagesAndSaysSo) {
  host_.streams().close(flow_, 0, host_.now());
  host_.send(flow_, "too late", 5);
  EXPECT_EQ(host_.last(Kind::SendFailed).ticket, 5u);
  EXPECT_EQ(host_.last(Kind::SendFailed).failure, TransportFailure::FlowGone);
  EXPECT_EQ(host_.read_to_end(client_.fd()), "");
}

TEST_F(StreamSend, WhatWasQueuedWhenThePeerResetIsReportedByTicket) {
  fill();
  host_.send(flow_, "waits", 11);
  host_.turn();
  const linger hard{1, 0};
  setsockopt(client_.fd(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  client_.reset();
  const auto failed = host_.last(Kind::SendFailed);
  EXPECT_EQ(failed.ticket, 11u);
  EXPECT_EQ(failed.failure, TransportFailure::Reset);
  EXPECT_EQ(host_.last(Kind::FlowClosed).end, FlowEnd::Reset);
  ASSERT_TRUE(host_.until([&] { return host_.buffers().in_use() == 0; }));
}

TEST_F(StreamSend, APeerThatOnlyEndedItsSideStillGetsItsAnswers) {
  write_all(client_, options("question"));
  ASSERT_TRUE(host_.until([&] { return host_.count(Kind::Message) == 1; }));
  host_.send(flow_, "answer");
  shutdown(client_.fd(), SHUT_WR);
  EXPECT_EQ(host_.read_to_end(client_.fd()), "answer");
}

TEST_F(StreamSend, NothingLeftInTheKernelWhenAllIsClosed) {
  const std::size_t threads = thread_count();
  host_.send(flow_, "x");
  host_.close_all(1001);
  EXPECT_EQ(host_.read_to_end(client_.fd()), "x");
  EXPECT_EQ(host_.last(Kind::FlowClosed).end, FlowEnd::ShuttingDown);
  client_.reset();
  ASSERT_TRUE(host_.until([&] { return host_.streams().open_streams() == 0; }));
  EXPECT_EQ(thread_count(), threads) << "no worker threads of the kernel's";
}

TEST_F(StreamSend, AfterStopAcceptingNewConnectionsAreRefusedAndOldOnesGoOn) {
  host_.streams().stop_accepting();
  host_.settle();
  EXPECT_FALSE(connected_socket(host_.endpoint()));
  write_all(client_, options("still here"));
  ASSERT_TRUE(host_.until([&] { return host_.count(Kind::Message) == 1; }));
  host_.send(flow_, "and served");
  EXPECT_EQ(host_.read(client_.fd(), 10), "and served");
}

}  // namespace
}  // namespace ringway::test
