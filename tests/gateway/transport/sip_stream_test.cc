#include "tests/gateway/transport/host.h"

// SIP over TCP: framing (RFC 3261 18.3), keepalives (RFC 5626 3.5.1), ends.

namespace ringway::test {
namespace {

using Kind = StreamEvent::Kind;

class SipStream : public testing::Test {
 protected:
  SipStream() : host_(config_with({listen_on(Transport::Tcp)})) {
    client_ = connected_socket(host_.endpoint());
    flow_ = host_.opened_flow();
  }
  void wait_for_messages(std::size_t count) {
    ASSERT_TRUE(host_.until([&] { return host_.count(Kind::Message) >= count; }));
  }
  // The flow ended so, and the client sees the end of the stream.
  void expect_closed(FlowEnd end) {
    EXPECT_EQ(host_.last(Kind::FlowClosed).end, end);
    EXPECT_EQ(host_.last(Kind::FlowClosed).flow.flow, flow_);
  }

  Host host_;
  Socket client_;
  FlowId flow_;
};

TEST_F(SipStream, OpensAFlowThatNamesItsPeer) {
  const auto event = host_.last(Kind::FlowOpened);
  EXPECT_EQ(event.flow.remote, local_of(client_.fd()));
  EXPECT_EQ(event.flow.transport, Transport::Tcp);
  EXPECT_EQ(event.flow.listener, 0u);
  EXPECT_FALSE(event.flow.opened_by_us);
  EXPECT_EQ(event.flow.flow.shard(), 3u);
  EXPECT_TRUE(host_.streams().is_open(flow_));
  EXPECT_EQ(host_.counters().flows_opened[1].value(), 1u);
  EXPECT_EQ(host_.counters().flows[1].value(), 1u);
}

TEST_F(SipStream, Rfc3261_18_3_AMessageCutAtEachByteComesOutWhole) {
  const std::string message = options("cut");
  for (std::size_t cut = 1; cut < message.size(); ++cut) {
    const std::size_t before = host_.count(Kind::Message);
    const auto bytes = host_.counters().bytes_in[1].value();
    write_all(client_, message.substr(0, cut));
    ASSERT_TRUE(host_.until([&] { return host_.counters().bytes_in[1].value() == bytes + cut; }));
    write_all(client_, message.substr(cut));
    wait_for_messages(before + 1);
    EXPECT_EQ(host_.messages().back(), message) << "cut at " << cut;
  }
  EXPECT_EQ(host_.messages().size(), message.size() - 1);
}

TEST_F(SipStream, PeersThatEndWaitForAQuietMomentAndHoldNobodyUp) {
  constexpr std::size_t kLeaving = 30;
  std::vector<Socket> leaving;
  for (std::size_t i = 0; i < kLeaving; ++i) {
    leaving.push_back(connected_socket(host_.endpoint()));
  }
  ASSERT_TRUE(host_.until([&] { return host_.count(Kind::FlowOpened) == kLeaving + 1; }));
  const FlowId first = host_.last(Kind::FlowOpened).flow.flow;
  host_.closing_steps = 0;
  leaving.clear();
  ASSERT_TRUE(host_.until([&] { return !host_.streams().is_open(first); }));
  host_.settle();
  EXPECT_EQ(host_.count(Kind::FlowClosed), 0u);
  host_.streams().send(first, host_.buffer("late"), 7, host_.now());
  write_all(client_, options("stays"));
  wait_for_messages(1);
  EXPECT_EQ(host_.last(Kind::SendFailed).failure, TransportFailure::FlowGone);
  EXPECT_EQ(host_.count(Kind::FlowClosed), 0u);
  std::size_t steps = 0;
  host_.closing_steps = 1;
  for (; host_.streams().open_streams() != 1; ++steps) {
    ASSERT_TRUE(steps < 10 * kLeaving || host_.streams().has_closings());
    host_.turn();
  }
  EXPECT_GE(steps, 2 * kLeaving) << "an end and a release each";
  EXPECT_EQ(host_.count(Kind::FlowClosed), kLeaving);
}

TEST_F(SipStream, Rfc3261_18_3_ByteByByte) {
  const std::string message = options("dribble", 10) + options("second");
  std::size_t sent = 0;
  for (const char c : message) {
    write_all(client_, {&c, 1});
    ++sent;
    ASSERT_TRUE(host_.until([&] { return host_.counters().bytes_in[1].value() == sent; }));
  }
  wait_for_messages(2);
  EXPECT_EQ(host_.messages()[0] + host_.messages()[1], message);
}

TEST_F(SipStream, Rfc3261_18_3_SeveralMessagesInOneSegmentAndAPieceOfTheNext) {
  std::string text;
  for (int i = 0; i < 5; ++i) text += options("many-" + std::to_string(i), 100);
  const std::string next = options("rest", 300);
  write_all(client_, text + next.substr(0, 150));
  wait_for_messages(5);
  write_all(client_, next.substr(150));
  wait_for_messages(6);
  EXPECT_EQ(host_.messages()[4], options("many-4", 100));
  EXPECT_EQ(host_.messages()[5], next);
  EXPECT_EQ(host_.last(Kind::Message).source.flow, flow_);
}

TEST_F(SipStream, AMessageLargerThanAReceiveBufferIsPutTogether) {
  const std::string message = options("large", 49'000);
  write_all(client_, message);
  wait_for_messages(1);
  EXPECT_EQ(host_.messages()[0], message);
}

TEST_F(SipStream, Rfc5626_4_4_1_APingIsAnsweredWithAPong) {
  write_all(client_, "\r\n\r\n");
  EXPECT_EQ(host_.read(client_.fd(), 2), "\r\n");
  write_all(client_, "\r\n");
  host_.settle();
  write_all(client_, "\r\n" + options("after"));  // a ping in two pieces, then a message
  wait_for_messages(1);
  EXPECT_EQ(host_.read(client_.fd(), 2), "\r\n");
  EXPECT_EQ(host_.messages()[0], options("after"));
  EXPECT_EQ(host_.counters().keepalives_answered.value(), 2u);
}

// RFC 3261 7.5: empty lines before a message are ignored.
TEST_F(SipStream, Rfc3261_7_5_ALineEndBeforeAMessageIsIgnored) {
  write_all(client_, "\r\n" + options("first") + "\r\n" + options("second"));
  wait_for_messages(2);
  EXPECT_EQ(host_.messages()[0], options("first"));
  EXPECT_EQ(host_.messages()[1], options("second"));
}

// Some phones keep their NAT open with a single CRLF. It is no message that waits for its rest.
TEST_F(SipStream, ALoneLineEndIsNoUnfinishedMessage) {
  write_all(client_, "\r\n");
  ASSERT_TRUE(host_.until([&] { return host_.counters().bytes_in[1].value() == 2; }));
  host_.settle();
  host_.advance(60s);
  EXPECT_EQ(host_.count(Kind::FlowClosed), 0u);
  write_all(client_, options("after"));
  wait_for_messages(1);
}

TEST_F(SipStream, LostFramingGivesTheCoreItsChanceAndCloses) {
  const std::string broken = "OPTIONS sip:a SIP/2.0\r\nCall-ID: no-length\r\n\r\n";
  write_all(client_, broken);
  EXPECT_EQ(host_.read_to_end(client_.fd()), "");
  ASSERT_EQ(host_.messages().size(), 1u);
  EXPECT_EQ(host_.messages()[0], broken);
  expect_closed(FlowEnd::ProtocolError);
  EXPECT_EQ(host_.counters().framing_lost.value(), 1u);
}

TEST_F(SipStream, NoiseClosesAndNothingBehindItIsRead) {
  write_all(client_, std::string("\x16\x03\x01\x00\x05hello", 10) + options("hidden"));
  expect_closed(FlowEnd::ProtocolError);
  EXPECT_EQ(host_.count(Kind::Message), 1u) << "only the broken one";
}

TEST_F(SipStream, AHeadThatNeverEndsClosesAtItsLimit) {
  write_all(client_, "OPTIONS sip:a SIP/2.0\r\n");
  std::string filler;
  for (int i = 0; i < 1'000; ++i) filler += "X-Filler: " + std::string(80, 'x') + "\r\n";
  static_cast<void>(::send(client_.fd(), filler.data(), filler.size(), MSG_NOSIGNAL));
  expect_closed(FlowEnd::ProtocolError);
}

TEST_F(SipStream, ThePeersEndIsAnsweredWithOurs) {
  write_all(client_, options("last words"));
  shutdown(client_.fd(), SHUT_WR);
  EXPECT_EQ(host_.read_to_end(client_.fd()), "");
  EXPECT_EQ(host_.messages().size(), 1u);
  expect_closed(FlowEnd::Closed);
  ASSERT_TRUE(host_.until([&] { return host_.streams().open_streams() == 0; }));
  EXPECT_EQ(host_.counters().flows[1].value(), 0u);
}

TEST_F(SipStream, AResetEndsTheFlow) {
  const linger hard{1, 0};
  setsockopt(client_.fd(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  client_.reset();
  expect_closed(FlowEnd::Reset);
  ASSERT_TRUE(host_.until([&] { return host_.streams().open_streams() == 0; }));
}

TEST_F(SipStream, AMessageThatIsNotFinishedInTimeClosesTheFlow) {
  write_all(client_, options("half").substr(0, 40));
  ASSERT_TRUE(host_.until([&] { return host_.counters().bytes_in[1].value() == 40; }));
  host_.settle();
  host_.advance(9s);
  EXPECT_EQ(host_.count(Kind::FlowClosed), 0u);
  host_.advance(2s);
  expect_closed(FlowEnd::TimedOut);
}

// A dribbler cannot extend the deadline with another byte.
TEST_F(SipStream, EachByteOfADribblerDoesNotBeginTheDeadlineAnew) {
  const std::string message = options("dribble");
  for (std::size_t i = 0; i < 12; ++i) {
    static_cast<void>(::send(client_.fd(), message.data() + i, 1, MSG_NOSIGNAL));
    host_.settle();
    host_.advance(1s);
  }
  expect_closed(FlowEnd::TimedOut);
}

TEST_F(SipStream, AnIdleFlowIsClosedAndATalkingOneIsNot) {
  host_.advance(119s);
  EXPECT_EQ(host_.count(Kind::FlowClosed), 0u);
  write_all(client_, "\r\n\r\n");
  host_.read(client_.fd(), 2);
  host_.advance(119s);
  EXPECT_EQ(host_.count(Kind::FlowClosed), 0u);
  host_.advance(2s);
  expect_closed(FlowEnd::TimedOut);
  EXPECT_EQ(host_.read_to_end(client_.fd()), "");
  EXPECT_EQ(host_.counters().flows_timed_out.value(), 1u);
}

TEST_F(SipStream, AClosedFlowsNameMeansNobodyElse) {
  host_.streams().close(flow_, 0, host_.now());
  EXPECT_EQ(host_.read_to_end(client_.fd()), "");
  client_.reset();
  ASSERT_TRUE(host_.until([&] { return host_.streams().open_streams() == 0; }));
  const Socket next = connected_socket(host_.endpoint());
  ASSERT_TRUE(host_.until([&] { return host_.count(Kind::FlowOpened) == 2; }));
  EXPECT_EQ(host_.opened_flow().slot(), flow_.slot()) << "the place is used again";
  EXPECT_FALSE(host_.streams().is_open(flow_));
  host_.send(flow_, "for the dead", 77);
  const auto failed = host_.last(Kind::SendFailed);
  EXPECT_EQ(failed.ticket, 77u);
  EXPECT_EQ(failed.failure, TransportFailure::FlowGone);
  host_.settle();
  EXPECT_FALSE(readable(next.fd(), 0));
}

// A completion that comes late names an old generation; its buffer goes back all the same.
TEST_F(SipStream, ACompletionOfAnOldGenerationIsIgnoredAndItsBufferGoesBack) {
  Completion stale;
  stale.operation = {OperationKind::ReceiveStream, {flow_.slot(), flow_.generation() + 1}};
  stale.result = 4;
  host_.streams().received(stale, host_.now());
  stale.operation.kind = OperationKind::SendStream;
  host_.streams().sent(stale, host_.now());
  stale.operation.kind = OperationKind::Connect;
  host_.streams().connected(stale, host_.now());
  host_.settle();
  EXPECT_EQ(host_.count(Kind::Message), 0u);
  EXPECT_TRUE(host_.streams().is_open(flow_));
  write_all(client_, options("alive"));
  wait_for_messages(1);
}

// 256 receive buffers of 4 kB for all: more bytes than that at once.
TEST(SipStreams, MoreBytesThanTheReceiveBuffersHoldArriveWholeAndWithoutSpinning) {
  Host host(config_with({listen_on(Transport::Tcp)}));
  constexpr std::size_t kClients = 60;
  std::vector<Socket> clients;
  const std::string message = options("flood", 49'000);
  for (std::size_t i = 0; i < kClients; ++i) {
    clients.push_back(connected_socket(host.endpoint()));
    write_all(clients.back(), message);
  }
  ASSERT_TRUE(host.until([&] { return host.count(Kind::Message) == kClients; }));
  for (const std::string& text : host.messages()) EXPECT_EQ(text, message);
  EXPECT_LE(host.counters().receive_no_buffers.value(), 20 * kClients);
  EXPECT_LE(host.counters().ring_submissions.value(), 40 * kClients);
}

}  // namespace
}  // namespace ringway::test
