#include "gateway/transport/datagram.h"

#include <netinet/in.h>

#include <random>

#include "tests/gateway/transport/host.h"

namespace ringway::test {
namespace {

class Datagram : public testing::TestWithParam<const char*> {
 protected:
  Datagram() : host_(config_with({listen_on(Transport::Udp, GetParam())})) {}
  Socket peer() { return bound_socket(SOCK_DGRAM, GetParam()); }
  void wait_for(std::size_t count) {
    ASSERT_TRUE(host_.until([&] { return host_.received.size() >= count; }))
        << host_.received.size() << " came";
  }
  Host host_;
};

TEST_P(Datagram, ComesInWithItsSource) {
  const Socket client = peer();
  send_datagram(client, host_.endpoint(), "OPTIONS sip:a SIP/2.0\r\n");
  wait_for(1);
  EXPECT_EQ(host_.received[0].text, "OPTIONS sip:a SIP/2.0\r\n");
  EXPECT_EQ(host_.received[0].source.remote, local_of(client.fd()));
  EXPECT_EQ(host_.received[0].source.transport, Transport::Udp);
  EXPECT_EQ(host_.received[0].source.listener, 0u);
  EXPECT_FALSE(host_.received[0].source.flow);
}

TEST_P(Datagram, TheLargestOneComesInWhole) {
  const Socket client = peer();
  const std::string largest(65'507, 'x');
  send_datagram(client, host_.endpoint(), largest);
  wait_for(1);
  EXPECT_EQ(host_.received[0].text, largest);
}

TEST_P(Datagram, TheLargestOneGoesOutWholeAndALargerOneFailsByItsTicket) {
  const Socket client = peer();
  const std::string largest(65'507, 'x');
  EXPECT_FALSE(
      host_.datagrams().send(0, local_of(client.fd()), host_.buffer(largest), 7).has_value());
  host_.turn();
  host_.turn();
  EXPECT_EQ(read_once(client.fd()), largest);
  EXPECT_TRUE(host_.failures.empty());
  // 65,508 bytes go with IPv6, whose own header does not count in the length field.
  EXPECT_FALSE(host_.datagrams()
                   .send(0, local_of(client.fd()), host_.buffer(std::string(65'530, 'x')), 8)
                   .has_value());
  ASSERT_TRUE(host_.until([&] { return !host_.failures.empty(); }));
  EXPECT_EQ(host_.failures[0].ticket, 8u);
  EXPECT_EQ(host_.failures[0].failure, TransportFailure::MessageTooLarge);
  EXPECT_EQ(host_.buffers().in_use(), 0u);
}

TEST_P(Datagram, SendsOfATurnLeaveTogether) {
  const Socket client = peer();
  for (int i = 0; i < 200; ++i) {
    static_cast<void>(
        host_.datagrams().send(0, local_of(client.fd()), host_.buffer(std::to_string(i)), 1));
  }
  const auto enters = host_.counters().ring_enters.value();
  host_.turn();  // queues
  host_.turn();  // submits
  EXPECT_LE(host_.counters().ring_enters.value() - enters, 2u);
  for (int i = 0; i < 200; ++i) EXPECT_EQ(read_once(client.fd()), std::to_string(i));
  ASSERT_TRUE(host_.until([&] { return host_.buffers().in_use() == 0; }));
  EXPECT_TRUE(host_.failures.empty());
}

// Of one size, to one peer, in one turn: one send, which the kernel cuts apart again.
class Train : public Datagram {
 protected:
  void send(const Socket& to, std::string_view text, Ticket ticket = 0) {
    EXPECT_FALSE(
        host_.datagrams().send(0, local_of(to.fd()), host_.buffer(text), ticket).has_value());
  }
  // One turn queues what was sent, the next one submits it.
  void leave() {
    host_.turn();
    host_.turn();
  }
  std::uint64_t trains() { return host_.counters().datagram_trains.value(); }
  std::uint64_t in_trains() { return host_.counters().datagrams_in_trains.value(); }
};

TEST_P(Train, EqualOnesLeaveInOneSendAndArriveApartInOrder) {
  const Socket client = peer();
  for (int i = 100; i < 120; ++i) send(client, "message " + std::to_string(i));
  const auto submissions = host_.counters().ring_submissions.value();
  leave();
  EXPECT_LE(host_.counters().ring_submissions.value() - submissions, 2u);
  for (int i = 100; i < 120; ++i) EXPECT_EQ(read_once(client.fd()), "message " + std::to_string(i));
  EXPECT_EQ(trains(), 1u);
  EXPECT_EQ(in_trains(), 20u);
  ASSERT_TRUE(host_.until([&] { return host_.buffers().in_use() == 0; }));
}

TEST_P(Train, AShorterOneEndsItAndALongerOneBeginsTheNext) {
  const Socket client = peer();
  const std::vector<std::string> sent{"aaaa", "bbbb", "cc", "dd", "eee", "f", "gggggg", "hhhhhh"};
  for (const std::string& text : sent) send(client, text);
  leave();
  for (const std::string& text : sent) EXPECT_EQ(read_once(client.fd()), text);
  EXPECT_EQ(trains(), 3u) << "aaaa bbbb cc, dd alone, eee f, gggggg hhhhhh";
  EXPECT_EQ(in_trains(), 7u);
}

TEST_P(Train, EachPeerHasItsOwnAndItsOrder) {
  std::vector<Socket> peers;
  for (int i = 0; i < 40; ++i) peers.push_back(peer());
  for (int round = 0; round < 5; ++round) {
    for (std::size_t i = 0; i < peers.size(); ++i) {
      send(peers[i], "to " + std::to_string(100 + i) + " round " + std::to_string(round));
    }
  }
  leave();
  for (std::size_t i = 0; i < peers.size(); ++i) {
    for (int round = 0; round < 5; ++round) {
      EXPECT_EQ(read_once(peers[i].fd()),
                "to " + std::to_string(100 + i) + " round " + std::to_string(round));
    }
  }
  EXPECT_GE(trains(), 1u);
}

TEST_P(Train, RandomSizesToRandomPeersArriveAsTheyWereSent) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::vector<Socket> peers;
  for (int i = 0; i < 7; ++i) peers.push_back(peer());
  for (int turn = 0; turn < 20; ++turn) {
    std::vector<std::vector<std::string>> expected(peers.size());
    for (int i = 0; i < 100; ++i) {
      const std::size_t to = random() % peers.size();
      // Few sizes, so that many are equal; some too large for a train.
      const std::size_t size = random() % 10 == 0 ? 1'400 + random() % 100 : 1 + random() % 4;
      std::string text(size, static_cast<char>('a' + i % 26));
      send(peers[to], text);
      expected[to].push_back(std::move(text));
    }
    leave();
    for (std::size_t to = 0; to < peers.size(); ++to) {
      for (const std::string& text : expected[to]) ASSERT_EQ(read_once(peers[to].fd()), text);
    }
  }
  EXPECT_GT(trains(), 0u);
  EXPECT_TRUE(host_.failures.empty());
  ASSERT_TRUE(host_.until([&] { return host_.buffers().in_use() == 0; }));
}

TEST_P(Train, OnesThatMayNeedFragmentsTravelAlone) {
  const Socket client = peer();
  const std::string large(1'453, 'x');
  for (int i = 0; i < 10; ++i) send(client, large);
  leave();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(read_once(client.fd()), large);
  EXPECT_EQ(trains(), 0u);
}

// A capture on this machine shows them apart, and there is little to gain.
TEST_P(Train, FewOfATurnTravelAlone) {
  const Socket client = peer();
  for (int i = 0; i < 7; ++i) send(client, std::to_string(i));
  leave();
  for (int i = 0; i < 7; ++i) EXPECT_EQ(read_once(client.fd()), std::to_string(i));
  EXPECT_EQ(trains(), 0u);
}

TEST_P(Train, AHundredAreSeveralTrains) {
  const Socket client = peer();
  for (int i = 100; i < 200; ++i) send(client, std::to_string(i));
  leave();
  for (int i = 100; i < 200; ++i) EXPECT_EQ(read_once(client.fd()), std::to_string(i));
  EXPECT_EQ(trains(), 4u);
}

// As where the kernel refuses segments: here a socket whose checksums are off.
TEST(RefusedTrain, IsSentOneByOneAndItsSizeIsNotTriedAgain) {
  Host host(config_with({listen_on(Transport::Udp)}));
  const int off = 1;
  ASSERT_EQ(setsockopt(host.socket_of(0), SOL_SOCKET, SO_NO_CHECK, &off, sizeof off), 0);
  const Socket client = bound_socket(SOCK_DGRAM);
  constexpr int kCount = 10;
  const auto send_some = [&](const std::string& text) {
    for (int i = 0; i < kCount; ++i) {
      static_cast<void>(host.datagrams().send(0, local_of(client.fd()), host.buffer(text), 1));
    }
    host.settle();
    for (int i = 0; i < kCount; ++i) EXPECT_EQ(read_once(client.fd()), text);
  };
  send_some("first");
  EXPECT_EQ(host.counters().datagram_trains_split.value(), 1u);
  send_some("again");
  send_some("and longer");
  EXPECT_EQ(host.counters().datagram_trains_split.value(), 1u);
  EXPECT_TRUE(host.failures.empty());
  EXPECT_EQ(host.buffers().in_use(), 0u);
}

TEST(NoTrains, AreFormedWhereTheConfigurationForbidsThem) {
  Config config = config_with({listen_on(Transport::Udp)});
  config.udp_trains = false;
  Host host(config);
  const Socket client = bound_socket(SOCK_DGRAM);
  for (int i = 100; i < 120; ++i) {
    static_cast<void>(
        host.datagrams().send(0, local_of(client.fd()), host.buffer(std::to_string(i)), 1));
  }
  host.settle();
  for (int i = 100; i < 120; ++i) EXPECT_EQ(read_once(client.fd()), std::to_string(i));
  EXPECT_EQ(host.counters().datagram_trains.value(), 0u);
}

TEST(RefusedTrain, TellsEachTicketOfAPeerThatCannotBeReached) {
  Host host(config_with({listen_on(Transport::Udp)}));
  const Endpoint nowhere{*parse_address("240.0.0.1"), 5060};  // from a loopback address: no way
  std::vector<Ticket> sent, told;
  for (Ticket ticket = 1; ticket <= 10; ++ticket) {
    sent.push_back(ticket);
    static_cast<void>(host.datagrams().send(0, nowhere, host.buffer("x"), ticket));
  }
  ASSERT_TRUE(host.until([&] { return host.failures.size() == sent.size(); }));
  for (const auto& failure : host.failures) told.push_back(failure.ticket);
  EXPECT_EQ(told, sent);
  EXPECT_EQ(host.counters().datagram_trains_split.value(), 1u);
  EXPECT_EQ(host.buffers().in_use(), 0u);
}

// V3: anybody can end a multishot receive with one empty packet.
TEST_P(Datagram, AnEmptyOneIsSwallowedAndTheReceiveIsArmedAtOnce) {
  const Socket client = peer();
  for (int i = 0; i < 10; ++i) {
    send_datagram(client, host_.endpoint(), "");
    send_datagram(client, host_.endpoint(), std::to_string(i) + " after an empty one");
  }
  wait_for(10);
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(host_.received[i].text, std::to_string(i) + " after an empty one");
  }
  EXPECT_EQ(host_.counters().datagrams_empty.value(), 10u);
  if (!uses_epoll()) {  // whose receives do not end so
    EXPECT_GE(host_.counters().receive_rearms.value(), 10u);
  }
}

TEST_P(Datagram, AFloodOfEmptyOnesDoesNotStopReceptionAndCostsOneOperationEach) {
  const Socket client = peer();
  constexpr int kFlood = 2'000;
  const auto submissions = host_.counters().ring_submissions.value();
  for (int i = 0; i < kFlood; ++i) {
    send_datagram(client, host_.endpoint(), "");
    if (i % 50 == 0) host_.turn();
  }
  ASSERT_TRUE(host_.until([&] {
    send_datagram(client, host_.endpoint(), "still heard");
    return !host_.received.empty();
  }));
  host_.settle();
  const auto empty = host_.counters().datagrams_empty.value();
  EXPECT_GT(empty, 0u);
  EXPECT_LE(host_.counters().ring_submissions.value() - submissions, empty + 10);
}

TEST_P(Datagram, KeepalivesAreSwallowedWithoutAnAnswer) {
  const Socket client = peer();
  using namespace std::string_view_literals;
  for (const auto keepalive : {"\r\n\r\n"sv, "\r\n"sv, "\0"sv, "\0\0\0\0"sv}) {
    send_datagram(client, host_.endpoint(), keepalive);
  }
  send_datagram(client, host_.endpoint(), "INVITE");
  wait_for(1);
  EXPECT_EQ(host_.received[0].text, "INVITE");
  host_.settle();
  EXPECT_FALSE(readable(client.fd(), 0));
}

// RFC 5626 8: told from SIP by its first octet and its cookie.
TEST_P(Datagram, StunGoesOnAndWhatOnlyBeginsLikeItDoesNot) {
  const Socket client = peer();
  const std::string request = std::string("\x00\x01\x00\x00\x21\x12\xa4\x42", 8) + "transaction!";
  send_datagram(client, host_.endpoint(), request.substr(0, 19));
  send_datagram(client, host_.endpoint(), std::string("\x01\x01", 2) + request);
  send_datagram(client, host_.endpoint(), request);
  wait_for(1);
  host_.settle();
  ASSERT_EQ(host_.received.size(), 1u);
  EXPECT_EQ(host_.received[0].text, request);
  EXPECT_FALSE(readable(client.fd(), 0)) << "it is the core that answers";
}

TEST_P(Datagram, ARefusalByIcmpNeitherStopsTheSocketNorBlamesALaterMessage) {
  Socket gone = peer();
  const Endpoint nobody = local_of(gone.fd());
  gone.reset();
  for (int i = 0; i < 3; ++i) {
    static_cast<void>(host_.datagrams().send(0, nobody, host_.buffer("x"), 5));
    host_.settle();
  }
  const Socket client = peer();
  static_cast<void>(host_.datagrams().send(0, local_of(client.fd()), host_.buffer("hello"), 6));
  host_.settle();
  EXPECT_EQ(read_once(client.fd()), "hello");
  for (const auto& failure : host_.failures) EXPECT_NE(failure.ticket, 6u);
  send_datagram(client, host_.endpoint(), "and back");
  wait_for(1);
}

TEST_P(Datagram, WithoutASocketItFailsAtOnceByItsTicket) {
  const auto failure = host_.datagrams().send(5, host_.endpoint(), host_.buffer("x"), 9);
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->ticket, 9u);
  EXPECT_EQ(failure->failure, TransportFailure::NoSocket);
  EXPECT_FALSE(host_.datagrams().send(5, host_.endpoint(), host_.buffer("x"), 0).has_value())
      << "nobody wants to know";
  EXPECT_EQ(host_.counters().sends_failed.value(), 2u);
}

TEST_P(Datagram, AFloodThatEmptiesTheBufferRingRecoversAndDoesNotSpin) {
  const Socket client = peer();
  constexpr std::size_t kFlood = 3'000;  // the ring has 256 buffers
  for (std::size_t i = 0; i < kFlood; ++i) {
    send_datagram(client, host_.endpoint(), "flood " + std::to_string(i));
  }
  const auto submissions = host_.counters().ring_submissions.value();
  wait_for(kFlood);
  EXPECT_EQ(host_.received.back().text, "flood " + std::to_string(kFlood - 1));
  EXPECT_LE(host_.counters().ring_submissions.value() - submissions, 2 * kFlood / 256 + 60);
}

TEST_P(Datagram, WhatTheSocketCannotTakeAtOnceIsSentLater) {
  const Socket client = peer();
  const std::string large(60'000, 'x');
  const int size = 1 << 20;
  setsockopt(client.fd(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  constexpr std::size_t kCount = 300;  // 18 MB in one turn: more than the socket's buffer
  for (std::size_t i = 0; i < kCount; ++i) {
    const auto failure = host_.datagrams().send(0, local_of(client.fd()), host_.buffer(large), 1);
    ASSERT_FALSE(failure.has_value());
  }
  ASSERT_TRUE(host_.until([&] {
    std::string text;
    while (Host::read_some(client.fd(), text) == Host::Peek::Bytes) {
    }
    return host_.buffers().in_use() == 0;
  }));
  EXPECT_TRUE(host_.failures.empty());
}

std::string family_name(const testing::TestParamInfo<const char*>& test) {
  return std::string(test.param) == "::1" ? "Ipv6" : "Ipv4";
}
INSTANTIATE_TEST_SUITE_P(Families, Datagram, testing::Values("127.0.0.1", "::1"), family_name);
INSTANTIATE_TEST_SUITE_P(Families, Train, testing::Values("127.0.0.1", "::1"), family_name);

// A completion of a name that means something else by now, with a buffer: an address too short, a
// size below the head, and a payload that claims to be longer than it is.
class HostileHead : public testing::Test {
 protected:
  HostileHead() : host_(config_with({listen_on(Transport::Udp)})) {}
  Host host_;
};

TEST_F(HostileHead, AnErrorWithoutABufferIsNothingForSip) {
  Completion completion;
  completion.operation = {OperationKind::ReceiveDatagram, {0, 1}};
  completion.result = -ECONNREFUSED;
  EXPECT_FALSE(host_.datagrams().receive(completion).has_value());
  host_.datagrams().finish();
}

TEST_F(HostileHead, ACompletionShorterThanItsHeadGivesNothing) {
  for (const std::int32_t size : {0, 1, 15, 16, 43}) {
    Completion completion;
    completion.operation = {OperationKind::ReceiveDatagram, {0, 1}};
    completion.result = size;
    completion.has_buffer = true;
    completion.buffer = 255;
    completion.more = true;
    EXPECT_FALSE(host_.datagrams().receive(completion).has_value()) << size;
    host_.datagrams().finish();
  }
}

TEST(DatagramListeners, EachSocketSpeaksForItsOwnListener) {
  Host host(config_with(
      {listen_on(Transport::Udp), listen_on(Transport::Tcp), listen_on(Transport::Udp, "::1")}));
  const Socket client = bound_socket(SOCK_DGRAM), client6 = bound_socket(SOCK_DGRAM, "::1");
  send_datagram(client6, host.endpoint(2), "six");
  ASSERT_TRUE(host.until([&] { return host.received.size() == 1; }));
  EXPECT_EQ(host.received[0].source.listener, 2u);
  send_datagram(client, host.endpoint(0), "four");
  ASSERT_TRUE(host.until([&] { return host.received.size() == 2; }));
  EXPECT_EQ(host.received[1].source.listener, 0u);
  static_cast<void>(host.datagrams().send(2, local_of(client6.fd()), host.buffer("back"), 1));
  host.settle();
  EXPECT_EQ(read_once(client6.fd()), "back");
  EXPECT_EQ(host.datagrams().send(1, local_of(client.fd()), host.buffer("tcp"), 1)->failure,
            TransportFailure::NoSocket);
}

}  // namespace
}  // namespace ringway::test
