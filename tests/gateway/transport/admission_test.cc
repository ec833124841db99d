#include "gateway/transport/bounds.h"
#include "tests/gateway/transport/tls_fixture.h"

// Connections that are not open yet, and send queues that are full: whoever takes too much goes,
// not the one that asks next.

namespace ringway::test {
namespace {

using Kind = StreamEvent::Kind;

class Admission : public testing::Test {
 protected:
  static Config config() {
    Config config = config_with({listen_on(Transport::Tls), listen_on(Transport::Ws)});
    config.limits.handshakes = 16;
    return config;
  }
  Admission() : host_(config(), certificates_.settings({true, false})) {}
  std::vector<Socket> connect(int count, const char* source, std::string_view first = {},
                              std::size_t listener = 0) {
    std::vector<Socket> sockets;
    for (int i = 0; i < count; ++i) {
      sockets.push_back(connected_socket(host_.endpoint(listener), source));
      if (!first.empty()) write_all(sockets.back(), first);
    }
    host_.settle();
    return sockets;
  }
  std::uint64_t dropped() { return host_.counters().silent_dropped.value(); }
  bool is_closed(const Socket& socket) {
    std::string ignored;
    return Host::read_some(socket.fd(), ignored) == Host::Peek::End;
  }

  static constexpr int kOfSourceMax = bounds::kWaitingOfSourceMax;
  Certificates certificates_;
  Host host_;
};

TEST_F(Admission, SilentConnectionsAreNoHandshakes) {
  const auto silent = connect(40, "127.0.0.2");
  EXPECT_EQ(host_.counters().handshakes_waiting.value(), 0u);
  SecureClient one(host_, connected_socket(host_.endpoint(), "127.0.0.3"));
  EXPECT_TRUE(one.handshake());
}

TEST_F(Admission, TheOldestOfASourceGoesWhenTooManyOfItWait) {
  const auto below = connect(kOfSourceMax - 1, "127.0.0.2");
  const auto at = connect(1, "127.0.0.2");
  const auto others = connect(2, "127.0.0.3");
  host_.advance(1100ms);
  EXPECT_EQ(dropped(), 0u);
  const auto above = connect(2, "127.0.0.2");
  EXPECT_EQ(dropped(), 2u);
  ASSERT_TRUE(host_.until([&] { return is_closed(below[0]) && is_closed(below[1]); }));
  for (const auto* group : {&others, &above, &at}) {
    for (const Socket& socket : *group) EXPECT_FALSE(is_closed(socket));
  }
  EXPECT_FALSE(is_closed(below[2]));
}

TEST_F(Admission, ACrowdThatHasJustComeIsNotDropped) {
  const auto crowd = connect(3 * kOfSourceMax, "127.0.0.2");
  EXPECT_EQ(dropped(), 0u);
  EXPECT_EQ(host_.streams().open_streams(), crowd.size());
}

// Also those that say a little and then nothing.
TEST_F(Admission, TheHeaviestSourceMakesRoomForOthersWhereHandshakesAreFull) {
  for (const std::string& first : {std::string("\x16"), std::string("\x16\x03\x01\x02\0\x01", 6)}) {
    const auto many = connect(15, "127.0.0.2", first);
    const auto few = connect(1, "127.0.0.4", first);
    EXPECT_GE(host_.counters().handshakes_waiting.value(), 16u);
    host_.advance(1100ms);
    for (int i = 0; i < 5; ++i) {
      SecureClient one(host_, connected_socket(host_.endpoint(), "127.0.0.3"));
      EXPECT_TRUE(one.handshake());
    }
    EXPECT_GE(dropped(), 1u);
    EXPECT_FALSE(is_closed(few[0]));
    host_.advance(6s);
    ASSERT_TRUE(host_.until([&] { return host_.counters().handshakes_waiting.value() == 0; }));
    host_.counters().silent_dropped.set(0);
  }
}

TEST_F(Admission, HalfARequestHoldsNoPlaceForLong) {
  const auto many = connect(16, "127.0.0.2", "GET / HTTP/1.1\r\n", 1);
  EXPECT_EQ(host_.counters().handshakes_waiting.value(), 16u);
  host_.advance(1100ms);
  SecureClient one(host_, connected_socket(host_.endpoint(), "127.0.0.3"));
  EXPECT_TRUE(one.handshake());
  EXPECT_GE(dropped(), 1u);
}

// Items of the send table are a bound of their own: many small messages take many.
class Hoarders : public testing::Test {
 protected:
  static Config config() {
    Config config = config_with({listen_on(Transport::Tcp)});
    config.limits.send_queue_bytes = 64 << 20;
    return config;
  }
  Hoarders() : host_(config()) {}
  FlowId open() {
    const auto before = host_.count(Kind::FlowOpened);
    clients_.push_back(connected_socket(host_.endpoint()));
    EXPECT_TRUE(host_.until([&] { return host_.count(Kind::FlowOpened) == before + 1; }));
    return host_.last(Kind::FlowOpened).flow.flow;
  }
  void queue(FlowId flow, std::uint32_t items) {
    for (std::uint32_t i = 0; i < items; ++i) host_.send(flow, "x");
  }

  std::vector<Socket> clients_;
  Host host_;
};

TEST_F(Hoarders, AQueueIsChargedForItsItems) {
  Config config = config_with({listen_on(Transport::Tcp)});
  config.limits.send_queue_bytes = 10 * (bounds::kSendItemCharge + 4);
  // Nothing leaves before the turn ends, so that the burst is the bound.
  constexpr int kItemsMax = 10 * bounds::kSendBurst;
  for (const int items : {kItemsMax - 1, kItemsMax, kItemsMax + 1}) {
    Host host(config);
    const Socket client = connected_socket(host.endpoint());
    const FlowId flow = host.opened_flow();
    for (int i = 0; i < items; ++i) host.send(flow, "four");
    const unsigned closed = items > kItemsMax ? 1 : 0;
    EXPECT_EQ(host.count(Kind::FlowClosed), closed) << items;
    EXPECT_EQ(host.counters().send_queue_overflows.value(), closed) << items;
  }
}

TEST_F(Hoarders, WhoeverHoldsMostGoesWhenTheTableIsFull) {
  const FlowId small = open(), hoarder = open(), second = open(), asks = open();
  queue(small, 10);
  queue(hoarder, bounds::kSendItemsCrowded / 3 * 2);
  queue(second, bounds::kSendItemsCrowded / 3 - 1'000);
  EXPECT_EQ(host_.counters().hoarders_closed.value(), 0u);
  queue(asks, 2'000);
  EXPECT_EQ(host_.counters().hoarders_closed.value(), 1u);
  EXPECT_FALSE(host_.streams().is_open(hoarder));
  for (const FlowId flow : {small, second, asks}) EXPECT_TRUE(host_.streams().is_open(flow));
}

}  // namespace
}  // namespace ringway::test
