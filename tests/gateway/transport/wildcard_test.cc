// UDP listeners that are bound to all addresses of the host (RFC 3261 18.2.2, RFC 3581 4).

#include <random>

#include "gateway/transport/bound_socket.h"
#include "gateway/transport/datagram_control.h"
#include "tests/gateway/transport/host.h"

namespace ringway::test {
namespace {

struct Kind {
  const char* any;
  std::vector<const char*> addresses;
};

std::string family_name(const testing::TestParamInfo<Kind>& test) {
  return std::string(test.param.any) == "::" ? "Ipv6" : "Ipv4";
}

// A peer that is connected hears nothing but what comes from there.
Socket connected_peer(const Endpoint& to) {
  Socket socket(::socket(socket_family(to.family()), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  SocketAddress address{};
  const socklen_t size = write_socket_address(to, address);
  EXPECT_EQ(connect(socket.fd(), &address.any, size), 0);
  return socket;
}

void say(const Socket& peer, std::string_view text) {
  EXPECT_EQ(::send(peer.fd(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
}

ListenConfig wildcard(const char* any, std::string advertised = {}) {
  ListenConfig listen = listen_on(Transport::Udp, any);
  listen.advertise_host = std::move(advertised);
  return listen;
}

class Wildcard : public testing::TestWithParam<Kind> {
 protected:
  Endpoint at(const char* address) { return {*parse_address(address), host_.endpoint().port}; }
  void wait_for(std::size_t count) {
    ASSERT_TRUE(host_.until([&] { return host_.received.size() >= count; }));
  }
  void answer(std::size_t received, std::string_view text) {
    const Source& source = host_.received[received].source;
    EXPECT_FALSE(host_.datagrams().send(0, source.remote, host_.buffer(text), 1, source.local));
  }
  void ask(const Socket& peer, std::string_view text) {
    EXPECT_FALSE(host_.datagrams().send(0, local_of(peer.fd()), host_.buffer(text), 1));
  }
  Host host_{config_with({wildcard(GetParam().any)})};
};

TEST_P(Wildcard, AnswersFromTheAddressThatWasAsked) {
  std::vector<Socket> peers;
  for (const char* address : GetParam().addresses) {
    peers.push_back(connected_peer(at(address)));
    say(peers.back(), "question");
    wait_for(peers.size());
  }
  for (std::size_t i = 0; i < peers.size(); ++i) {
    EXPECT_EQ(host_.received[i].text, "question");
    EXPECT_EQ(host_.received[i].source.remote, local_of(peers[i].fd()));
    answer(i, "answer " + std::to_string(i));
  }
  host_.settle();
  for (std::size_t i = 0; i < peers.size(); ++i) {
    EXPECT_EQ(read_once(peers[i].fd()), "answer " + std::to_string(i));
  }
  EXPECT_TRUE(host_.failures.empty());
  EXPECT_EQ(host_.buffers().in_use(), 0u);
}

TEST_P(Wildcard, ReachesAPeerFromTheAddressItLastSpokeTo) {
  for (const char* address : GetParam().addresses) {
    const Socket peer = connected_peer(at(address));
    say(peer, "\r\n\r\n");  // a keepalive says it, too
    host_.settle();
    ask(peer, "request");
    host_.settle();
    EXPECT_EQ(read_once(peer.fd()), "request") << address;
  }
  // The same peer moves on to another address.
  Socket peer = bound_socket(SOCK_DGRAM, GetParam().addresses[0]);
  for (const char* address : GetParam().addresses) {
    SocketAddress there{};
    const socklen_t size = write_socket_address(at(address), there);
    ASSERT_EQ(connect(peer.fd(), &there.any, size), 0);
    say(peer, "\r\n\r\n");
    host_.settle();
    ask(peer, address);
    host_.settle();
    EXPECT_EQ(read_once(peer.fd()), address);
  }
}

// A peer that asks two addresses from one port, and is answered later.
TEST_P(Wildcard, AnswersEachQuestionFromItsOwnAddressHoweverLate) {
  const Socket peer = bound_socket(SOCK_DGRAM, GetParam().addresses[0]);
  std::size_t count = 0;
  for (const char* address : GetParam().addresses) {
    send_datagram(peer, at(address), address);
    wait_for(++count);
  }
  for (std::size_t i = 0; i < count; ++i) answer(i, host_.received[i].text);
  host_.settle();
  for (std::size_t i = 0; i < count; ++i) {
    std::array<char, 100> text{};
    SocketAddress from{};
    socklen_t size = sizeof from;
    ASSERT_TRUE(readable(peer.fd()));
    ASSERT_GT(recvfrom(peer.fd(), text.data(), text.size(), 0, &from.any, &size), 0);
    EXPECT_EQ(read_socket_address(from), at(text.data()));
  }
}

TEST_P(Wildcard, ATrainLeavesFromOneAddress) {
  std::vector<Socket> peers;
  for (const char* address : GetParam().addresses) {
    peers.push_back(connected_peer(at(address)));
    say(peers.back(), "question");
    wait_for(peers.size());
  }
  for (int i = 100; i < 120; ++i) {
    for (std::size_t peer = 0; peer < peers.size(); ++peer) answer(peer, std::to_string(i));
  }
  host_.settle();
  for (const Socket& peer : peers) {
    for (int i = 100; i < 120; ++i) EXPECT_EQ(read_once(peer.fd()), std::to_string(i));
  }
  EXPECT_GE(host_.counters().datagram_trains.value(), 1u);
  // Of one peer that has asked two addresses: two trains, and what is between them is not mixed.
  const Socket both = bound_socket(SOCK_DGRAM, GetParam().addresses[0]);
  const std::size_t begin = host_.received.size();
  for (std::size_t i = 0; i < 2; ++i) {
    send_datagram(both, at(GetParam().addresses[i]), GetParam().addresses[i]);
    wait_for(begin + i + 1);
  }
  for (int i = 0; i < 10; ++i) {
    for (std::size_t k = 0; k < 2; ++k) answer(begin + k, host_.received[begin + k].text);
  }
  host_.settle();
  for (int i = 0; i < 20; ++i) {
    std::array<char, 100> text{};
    SocketAddress from{};
    socklen_t size = sizeof from;
    ASSERT_TRUE(readable(both.fd()));
    ASSERT_GT(recvfrom(both.fd(), text.data(), text.size(), 0, &from.any, &size), 0);
    EXPECT_EQ(read_socket_address(from), at(text.data()));
  }
}

TEST_P(Wildcard, WhatFindsNoSpaceAtOnceLeavesFromThereLater) {
  const Socket peer = connected_peer(at(GetParam().addresses[1]));
  const int size = 1 << 20;
  setsockopt(peer.fd(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  say(peer, "question");
  wait_for(1);
  constexpr std::size_t kCount = 300;
  const std::string large(60'000, 'x');
  for (std::size_t i = 0; i < kCount; ++i) answer(0, large);
  std::string text;
  ASSERT_TRUE(host_.until([&] {
    while (Host::read_some(peer.fd(), text) == Host::Peek::Bytes) {
    }
    return host_.buffers().in_use() == 0;
  }));
  // With the kernel's own choice none would have been heard; some find no space at the peer.
  EXPECT_GT(text.size(), large.size());
  EXPECT_TRUE(host_.failures.empty());
}

TEST_P(Wildcard, AnEmptyAndAHugeOneAreReadAsAnywhere) {
  const Socket peer = connected_peer(at(GetParam().addresses[1]));
  const std::string largest(65'507, 'x');
  say(peer, "");
  say(peer, largest);
  wait_for(1);
  EXPECT_EQ(host_.received[0].text, largest);
  EXPECT_EQ(host_.counters().datagrams_empty.value(), 1u);
  answer(0, largest);
  host_.settle();
  EXPECT_EQ(read_once(peer.fd()), largest);
}

INSTANTIATE_TEST_SUITE_P(Families, Wildcard,
                         testing::Values(Kind{"0.0.0.0", {"127.0.0.2", "127.0.0.3", "127.0.0.9"}}),
                         family_name);

// This host has one IPv6 address of loopback.
TEST(WildcardIpv6, AnswersFromTheAddressThatWasAsked) {
  Host host(config_with({wildcard("::")}));
  const Socket peer = connected_peer({*parse_address("::1"), host.endpoint().port});
  say(peer, "question");
  ASSERT_TRUE(host.until([&] { return host.received.size() == 1; }));
  const Source& source = host.received[0].source;
  EXPECT_EQ(host.addresses().find(source.local), parse_address("::1"));
  static_cast<void>(
      host.datagrams().send(0, source.remote, host.buffer("answer"), 1, source.local));
  static_cast<void>(host.datagrams().send(0, source.remote, host.buffer("request"), 1));
  host.settle();
  EXPECT_EQ(read_once(peer.fd()), "answer");
  EXPECT_EQ(read_once(peer.fd()), "request");
  EXPECT_TRUE(host.failures.empty());
}

// As a service manager may make it: IPv6, and IPv4 mapped into it.
TEST(WildcardDualStack, AnswersBothFamiliesFromTheAddressThatWasAsked) {
  Socket socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const int off = 0;
  setsockopt(socket.fd(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  SocketAddress any{};
  const socklen_t size = write_socket_address({*parse_address("::"), 0}, any);
  ASSERT_EQ(bind(socket.fd(), &any.any, size), 0);
  const Endpoint local{*parse_address("::"), local_of(socket.fd()).port};
  set_listening_options(socket.fd(), true, local);
  Host host(config_with({listen_on(Transport::Udp)}));
  const ListenerIndex place = host.add_place(wildcard("::"), local, std::move(socket));
  host.datagrams().sockets().add(host.socket_of(place), place, host.info_of(place));
  host.settle();
  std::size_t count = 0;
  for (const char* address : {"127.0.0.2", "::1", "127.0.0.9"}) {
    const Socket peer = connected_peer({*parse_address(address), local.port});
    say(peer, "question");
    ASSERT_TRUE(host.until([&] { return host.received.size() == count + 1; }));
    const Source& source = host.received[count++].source;
    EXPECT_EQ(host.addresses().find(source.local), parse_address(address));
    static_cast<void>(
        host.datagrams().send(place, source.remote, host.buffer("answer"), 1, source.local));
    static_cast<void>(host.datagrams().send(place, source.remote, host.buffer("request"), 1));
    host.settle();
    EXPECT_EQ(read_once(peer.fd()), "answer") << address;
    EXPECT_EQ(read_once(peer.fd()), "request") << address;
  }
  EXPECT_TRUE(host.failures.empty());
}

// --- Peers that have never spoken ----------------------------------------------------------------

std::string source_of_next(const Socket& peer) {
  char byte;
  SocketAddress from{};
  socklen_t size = sizeof from;
  if (!readable(peer.fd()) || recvfrom(peer.fd(), &byte, 1, 0, &from.any, &size) < 0) return "none";
  return text_of(read_socket_address(from).address);
}

TEST(WildcardUnknownPeer, IsReachedFromTheAdvertisedAddress) {
  Host host(config_with({wildcard("0.0.0.0", "127.0.0.5")}));
  const Socket peer = bound_socket(SOCK_DGRAM);
  static_cast<void>(host.datagrams().send(0, local_of(peer.fd()), host.buffer("x"), 1));
  host.settle();
  EXPECT_EQ(source_of_next(peer), "127.0.0.5");
}

TEST(WildcardUnknownPeer, IsReachedByTheRouteIfANameIsAdvertisedOrAnAddressOfAnotherKind) {
  for (const char* advertised : {"edge.test", "::1", "192.0.2.77"}) {
    Host host(config_with({wildcard("0.0.0.0", advertised)}));
    const Socket peer = bound_socket(SOCK_DGRAM);
    static_cast<void>(host.datagrams().send(0, local_of(peer.fd()), host.buffer("x"), 1));
    host.settle();
    EXPECT_EQ(source_of_next(peer), "127.0.0.1") << advertised;
    EXPECT_TRUE(host.failures.empty());
  }
}

// --- An address that the host has no more --------------------------------------------------------

class LostAddress : public testing::Test {
 protected:
  // As if it had been this host's when the peer asked.
  LocalAddressId name(const char* address) {
    return host_.addresses().name_of(*parse_address(address), host_.counters());
  }
  void send(std::string_view text, LocalAddressId from, Ticket ticket = 1) {
    EXPECT_FALSE(host_.datagrams().send(0, local_of(peer_.fd()), host_.buffer(text), ticket, from));
  }
  std::uint64_t lost() { return host_.counters().local_addresses_lost.value(); }
  Host host_{config_with({wildcard("0.0.0.0")})};
  const Socket peer_ = bound_socket(SOCK_DGRAM);
};

TEST_F(LostAddress, IsForgottenAndTheMessageLeavesByTheRoute) {
  const LocalAddressId gone = name("192.0.2.1");
  send("first", gone);
  host_.settle();
  EXPECT_EQ(read_once(peer_.fd()), "first");
  EXPECT_EQ(lost(), 1u);
  EXPECT_FALSE(host_.addresses().find(gone));
  send("second", gone);
  host_.settle();
  EXPECT_EQ(read_once(peer_.fd()), "second");
  EXPECT_EQ(lost(), 1u);
  EXPECT_TRUE(host_.failures.empty());
  EXPECT_EQ(host_.buffers().in_use(), 0u);
  // It has come back.
  EXPECT_EQ(name("192.0.2.1"), gone);
  EXPECT_TRUE(host_.addresses().find(gone));
}

TEST_F(LostAddress, OfATrainCostsNothingAndTrainsStayAsLongAsTheyWere) {
  const LocalAddressId gone = name("192.0.2.1");
  for (int i = 100; i < 120; ++i) send(std::to_string(i), gone);
  host_.settle();
  for (int i = 100; i < 120; ++i) EXPECT_EQ(read_once(peer_.fd()), std::to_string(i));
  EXPECT_EQ(lost(), 1u);
  const auto trains = host_.counters().datagram_trains.value();
  for (int i = 100; i < 120; ++i) send(std::to_string(i), gone);
  host_.settle();
  for (int i = 100; i < 120; ++i) EXPECT_EQ(read_once(peer_.fd()), std::to_string(i));
  EXPECT_EQ(host_.counters().datagram_trains.value(), trains + 1);
  EXPECT_TRUE(host_.failures.empty());
  EXPECT_EQ(host_.buffers().in_use(), 0u);
}

// Port 0, which anybody can write into a datagram.
TEST_F(LostAddress, IsNotToBlameWhereThePeersIsNoAddressToSendTo) {
  const LocalAddressId here = name("127.0.0.2");
  static_cast<void>(
      host_.datagrams().send(0, {*parse_address("127.0.0.1"), 0}, host_.buffer("x"), 9, here));
  ASSERT_TRUE(host_.until([&] { return host_.failures.size() == 1; }));
  EXPECT_EQ(host_.failures[0].ticket, 9u);
  EXPECT_EQ(lost(), 0u);
  EXPECT_TRUE(host_.addresses().find(here));
}

TEST(ConcreteListener, SendsFromItsOwnAddressWhateverAMessageSays) {
  Host host(config_with({listen_on(Transport::Udp)}));
  const Socket peer = connected_peer(host.endpoint());
  say(peer, "question");
  ASSERT_TRUE(host.until([&] { return host.received.size() == 1; }));
  EXPECT_EQ(host.received[0].source.local, 0u);
  const LocalAddressId other =
      host.addresses().name_of(*parse_address("127.0.0.2"), host.counters());
  static_cast<void>(host.datagrams().send(0, local_of(peer.fd()), host.buffer("answer"), 1, other));
  host.settle();
  EXPECT_EQ(read_once(peer.fd()), "answer");
}

// --- Control data --------------------------------------------------------------------------------

TEST(ReadDestination, ToleratesWhatIsNoControlDataOfOurs) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  EXPECT_FALSE(read_destination({}));
  DatagramControl control;
  msghdr header{};
  control.attach(header, 1'200, *parse_address("192.0.2.7"));
  std::vector<std::uint8_t> bytes(header.msg_controllen);
  std::memcpy(bytes.data(), header.msg_control, bytes.size());
  EXPECT_EQ(read_destination(bytes), parse_address("192.0.2.7"));  // behind another one
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    static_cast<void>(read_destination(Bytes(bytes).first(size)));
  }
  for (int i = 0; i < 20'000; ++i) {
    auto changed = bytes;
    changed[random() % changed.size()] = static_cast<std::uint8_t>(random());
    static_cast<void>(read_destination(changed));
  }
}

TEST(ReadDestination, IsNoAddressThatNobodyCanAnswerFrom) {
  for (const char* address : {"0.0.0.0", "224.0.1.75", "::", "ff02::1", "fe80::1"}) {
    DatagramControl control;
    msghdr header{};
    control.attach(header, 0, *parse_address(address));
    const Bytes bytes(static_cast<const std::uint8_t*>(header.msg_control), header.msg_controllen);
    EXPECT_FALSE(read_destination(bytes)) << address;
  }
}

}  // namespace
}  // namespace ringway::test
