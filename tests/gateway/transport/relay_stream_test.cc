#include "tests/gateway/transport/host.h"

// The connections to media relays: `cookie SP dictionary` both ways, and what happens without one.

namespace ringway::test {
namespace {

using Kind = StreamEvent::Kind;

class RelayStream : public testing::Test {
 protected:
  RelayStream() : relay_(listening_socket()) {
    Config config = config_with({listen_on(Transport::Tcp)});
    config.media.relays = {local_of(relay_.fd())};
    host_ = std::make_unique<Host>(config);
  }
  void accept_one() {
    ASSERT_TRUE(host_->until([&] { return readable(relay_.fd(), 0); }));
    accepted_ = Socket(accept4(relay_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
    const auto before = host_->count(Kind::RelayConnected);
    ASSERT_TRUE(
        host_->until([&] { return host_->count(Kind::RelayConnected) > before || before != 0; }));
  }

  Socket relay_, accepted_;
  std::unique_ptr<Host> host_;
};

TEST_F(RelayStream, ConnectsAtStartAndIsNoFlow) {
  accept_one();
  EXPECT_EQ(host_->last(Kind::RelayConnected).relay, 0u);
  EXPECT_EQ(host_->count(Kind::FlowOpened), 0u);
  EXPECT_EQ(host_->streams().open_streams(), 0u);
  EXPECT_EQ(host_->counters().flows[1].value(), 0u);
}

TEST_F(RelayStream, RequestsGoOutInOrder) {
  accept_one();
  std::string expected;
  for (int i = 0; i < 70; ++i) {
    const std::string request = "c" + std::to_string(i) + " d7:command4:pinge";
    host_->streams().send_relay(0, host_->buffer(request), host_->now());
    expected += request;
  }
  EXPECT_EQ(host_->read(accepted_.fd(), expected.size()), expected);
  ASSERT_TRUE(host_->until([&] { return host_->buffers().in_use() == 0; }));
}

TEST_F(RelayStream, RepliesArePutTogetherCutAtEachByte) {
  accept_one();
  const std::string reply = "cookie d6:result4:ponge";
  for (std::size_t cut = 1; cut < reply.size(); ++cut) {
    const auto before = host_->count(Kind::RelayMessage);
    const auto bytes = host_->counters().bytes_in[1].value();
    write_all(accepted_, reply.substr(0, cut));
    ASSERT_TRUE(host_->until([&] { return host_->counters().bytes_in[1].value() == bytes + cut; }));
    write_all(accepted_, reply.substr(cut));
    ASSERT_TRUE(host_->until([&] { return host_->count(Kind::RelayMessage) == before + 1; }));
    EXPECT_EQ(host_->last(Kind::RelayMessage).text, reply);
  }
}

TEST_F(RelayStream, SeveralRepliesInOneSegmentAndALargeOne) {
  accept_one();
  const std::string large = "big d3:sdp90000:" + std::string(90'000, 's') + "e";
  const std::string text = "a d1:x1:ye" + std::string("b d1:x1:ze") + large;
  std::size_t sent = 0;
  ASSERT_TRUE(host_->until([&] {
    const ssize_t size =
        ::send(accepted_.fd(), text.data() + sent, text.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size > 0) sent += static_cast<std::size_t>(size);
    return host_->count(Kind::RelayMessage) == 3;
  }));
  EXPECT_EQ(host_->last(Kind::RelayMessage).text, large);
}

TEST_F(RelayStream, ALostConnectionIsToldAndMadeAgain) {
  accept_one();
  accepted_.reset();
  EXPECT_EQ(host_->last(Kind::RelayLost).relay, 0u);
  host_->streams().send_relay(0, host_->buffer("lost d1:x1:ye"), host_->now());
  EXPECT_EQ(host_->buffers().in_use(), 0u) << "nobody there: it is dropped";
  EXPECT_LE(host_->streams().next_deadline(), host_->now() + 50ms);
  host_->advance(60ms);
  accept_one();
  ASSERT_TRUE(host_->until([&] { return host_->count(Kind::RelayConnected) == 2; }));
  write_all(accepted_, "cookie d1:x1:ye");
  EXPECT_EQ(host_->last(Kind::RelayMessage).text, "cookie d1:x1:ye");
}

// The rest of a message of the connection before is not the beginning of one on the next.
TEST_F(RelayStream, HalfAReplyOfALostConnectionIsForgotten) {
  accept_one();
  write_all(accepted_, "half d6:result4:po");
  ASSERT_TRUE(host_->until([&] { return host_->counters().bytes_in[1].value() == 18; }));
  accepted_.reset();
  host_->last(Kind::RelayLost);
  host_->advance(60ms);
  accept_one();
  write_all(accepted_, "whole d6:result4:ponge");
  EXPECT_EQ(host_->last(Kind::RelayMessage).text, "whole d6:result4:ponge");
}

TEST_F(RelayStream, NoiseClosesTheConnection) {
  accept_one();
  write_all(accepted_, "cookie this is no dictionary");
  host_->last(Kind::RelayLost);
  EXPECT_EQ(host_->counters().framing_lost.value(), 1u);
}

TEST_F(RelayStream, ARelayThatRefusesIsTriedLessAndLessOften) {
  accept_one();
  const Endpoint address = local_of(relay_.fd());
  relay_.reset();
  accepted_.reset();
  host_->last(Kind::RelayLost);
  int attempts = 0;
  Duration longest{};
  for (Duration waited{}; waited < 20s;) {
    const Instant deadline = host_->streams().next_deadline();
    ASSERT_NE(deadline, kNever);
    const Duration pause = std::max<Duration>(deadline - host_->now(), 1ms);
    longest = std::max(longest, pause);
    waited += pause;
    host_->advance(pause);
    ++attempts;
    ASSERT_LT(attempts, 200) << "no back-off";
  }
  EXPECT_GE(longest, 1s);
  EXPECT_LE(longest, 2s);
  EXPECT_EQ(host_->count(Kind::RelayLost), 1u) << "told once";
  relay_ = Socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(relay_.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  SocketAddress name{};
  const socklen_t size = write_socket_address(address, name);
  if (bind(relay_.fd(), &name.any, size) != 0) GTEST_SKIP() << "somebody else got the port";
  listen(relay_.fd(), 8);
  host_->advance(3s);
  EXPECT_TRUE(host_->until([&] { return host_->count(Kind::RelayConnected) == 2; }));
}

}  // namespace
}  // namespace ringway::test
