#include "gateway/transport/port_owner.h"
#include "tests/gateway/transport/host.h"

// Listeners that come and go while a shard runs.

namespace ringway::test {
namespace {

using Kind = StreamEvent::Kind;

bool is_refused(Host& host, const Endpoint& endpoint) {
  return host.until([&] { return !connected_socket(endpoint); });
}

TEST(ListenerChanges, AStreamListenerThatComesAcceptsAtOnce) {
  Host host(config_with({listen_on(Transport::Tcp)}));
  Socket socket = listening_socket();
  const Endpoint local = local_of(socket.fd());
  const Socket early = connected_socket(local);
  const ListenerIndex place = host.add_place(listen_on(Transport::Tcp), local, std::move(socket));
  host.streams().add_listener(place);
  host.streams().config_changed();
  const Socket late = connected_socket(local);
  ASSERT_TRUE(host.until([&] { return host.count(Kind::FlowOpened) == 2; }));
  EXPECT_EQ(host.last(Kind::FlowOpened).flow.listener, place);
}

TEST(ListenerChanges, AStreamListenerThatGoesRefusesAndKeepsItsStreams) {
  Host host(config_with({listen_on(Transport::Tcp), listen_on(Transport::Tcp)}));
  const Endpoint gone = host.endpoint(0);
  const Socket client = connected_socket(gone);
  const FlowId flow = host.opened_flow();
  host.streams().remove_listener(0, host.take_socket(0));
  EXPECT_TRUE(is_refused(host, gone));
  const Socket other = connected_socket(host.endpoint(1));
  ASSERT_TRUE(host.until([&] { return host.count(Kind::FlowOpened) == 2; }));
  write_all(client, options("still"));
  ASSERT_TRUE(host.until([&] { return !host.messages().empty(); }));
  EXPECT_TRUE(host.streams().is_open(flow));
  EXPECT_EQ(host.last(Kind::Message).source.listener, 0u);
  host.streams().stop_accepting();
  EXPECT_TRUE(is_refused(host, host.endpoint(1)));
}

TEST(ListenerChanges, OneThatComesBackBeforeItsSocketIsClosedAccepts) {
  Host host(config_with({listen_on(Transport::Tcp)}));
  for (int round = 0; round < 3; ++round) {
    host.streams().remove_listener(0, host.take_socket(0));
    Socket socket = listening_socket();
    host.listeners().infos[0].local = local_of(socket.fd());
    host.listeners().infos[0].config.removed = false;
    host.listeners().sockets[0] = std::move(socket);
    host.streams().add_listener(0);
    host.streams().config_changed();
    const Socket client = connected_socket(host.endpoint());
    const auto wanted = static_cast<std::size_t>(round) + 1;
    ASSERT_TRUE(host.until([&] { return host.count(Kind::FlowOpened) == wanted; }));
  }
}

TEST(ListenerChanges, AStreamListenerIsHandedOverWithItsBacklog) {
  Host host(config_with({listen_on(Transport::Tcp)}));
  const Endpoint local = host.endpoint();
  const Socket early = connected_socket(local);
  ListenConfig listen = listen_on(Transport::Tcp);
  listen.advertise_host = "edge.test";
  const ListenerIndex place = host.add_place(listen, local, host.take_socket(0));
  host.streams().hand_over_listener(0, place);
  host.streams().config_changed();
  const Socket late = connected_socket(local);
  ASSERT_TRUE(host.until([&] { return host.count(Kind::FlowOpened) == 2; }));
  EXPECT_EQ(host.last(Kind::FlowOpened).flow.listener, place);
}

class DatagramListener : public testing::Test {
 protected:
  void send(ListenerIndex listener) {
    EXPECT_FALSE(host_.datagrams().send(listener, local_of(peer_.fd()), host_.buffer("hello"), 7));
    host_.turn();
    host_.turn();
  }
  void expect_from(const Endpoint& source) {
    char byte;
    SocketAddress address{};
    socklen_t size = sizeof address;
    ASSERT_TRUE(readable(peer_.fd()));
    ASSERT_EQ(recvfrom(peer_.fd(), &byte, 1, 0, &address.any, &size), 1);
    EXPECT_EQ(read_socket_address(address), source);
  }
  Host host_{config_with({listen_on(Transport::Udp)})};
  const Endpoint local_ = host_.endpoint();
  const Socket peer_ = bound_socket(SOCK_DGRAM);
};

TEST_F(DatagramListener, ThatGoesReceivesAndSendsUntilItIsClosed) {
  send_datagram(peer_, local_, "waits");
  host_.datagrams().sockets().leave(0, host_.take_socket(0));
  EXPECT_FALSE(host_.datagrams().sockets().has_caught_up(0));
  ASSERT_TRUE(host_.until([&] { return host_.received.size() == 1; }));
  EXPECT_TRUE(host_.datagrams().sockets().has_caught_up(0));
  send(0);
  expect_from(local_);
  host_.datagrams().sockets().close(0);
  ASSERT_TRUE(host_.until([&] { return find_port_owner(local_.port, true).empty(); }));
  const auto failure = host_.datagrams().send(0, local_of(peer_.fd()), host_.buffer("hello"), 7);
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->failure, TransportFailure::NoSocket);
}

TEST_F(DatagramListener, IsHandedOverWithWhatWaitsInItAndSendsForBoth) {
  send_datagram(peer_, local_, "waits");
  const ListenerIndex place =
      host_.add_place(listen_on(Transport::Udp), local_, host_.take_socket(0));
  host_.datagrams().sockets().hand_over(0, place, host_.info_of(place));
  ASSERT_TRUE(host_.until([&] { return host_.received.size() == 1; }));
  EXPECT_EQ(host_.received[0].source.listener, place);
  for (const ListenerIndex listener : {ListenerIndex{0}, place}) {
    send(listener);
    expect_from(local_);
  }
}

TEST_F(DatagramListener, ThatComesBackAnswersFromItsNewSocket) {
  host_.datagrams().sockets().leave(0, host_.take_socket(0));
  Socket socket = bound_socket(SOCK_DGRAM);
  const Endpoint local = local_of(socket.fd());
  host_.listeners().sockets[0] = std::move(socket);
  host_.datagrams().sockets().add(host_.socket_of(0), 0, host_.info_of(0));
  host_.turn();
  send_datagram(peer_, local, "new");
  ASSERT_TRUE(host_.until([&] { return host_.received.size() == 1; }));
  send(0);
  expect_from(local);
  EXPECT_TRUE(host_.until([&] { return find_port_owner(local_.port, true).empty(); }));
}

// Its receive has ended by itself in this turn, so nothing in the kernel holds the socket.
TEST_F(DatagramListener, ThatIsClosedSendsFirstWhatWasQueuedInThatTurn) {
  host_.datagrams().sockets().leave(0, host_.take_socket(0));
  Completion ended;
  ended.operation = {OperationKind::ReceiveDatagram, {0, 1}};
  ended.result = -ENOBUFS;
  EXPECT_FALSE(host_.datagrams().receive(ended));
  for (Ticket ticket = 1; ticket <= 20; ++ticket) {  // alone, and as a train
    static_cast<void>(
        host_.datagrams().send(0, local_of(peer_.fd()), host_.buffer("hello"), ticket));
  }
  host_.datagrams().sockets().close(0);
  // Nobody else gets its place before it has sent.
  Socket socket = bound_socket(SOCK_DGRAM);
  const Endpoint other = local_of(socket.fd());
  const ListenerIndex place = host_.add_place(listen_on(Transport::Udp), other, std::move(socket));
  host_.datagrams().sockets().add(host_.socket_of(place), place, host_.info_of(place));
  host_.settle();
  for (int i = 0; i < 20; ++i) expect_from(local_);
  EXPECT_TRUE(host_.failures.empty());
  EXPECT_EQ(host_.buffers().in_use(), 0u);
}

TEST_F(DatagramListener, ThatIsClosedSendsNothingMoreAndSaysSo) {
  host_.datagrams().sockets().leave(0, host_.take_socket(0));
  host_.datagrams().sockets().close(0);
  const auto failure = host_.datagrams().send(0, local_of(peer_.fd()), host_.buffer("late"), 7);
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->failure, TransportFailure::NoSocket);
  EXPECT_TRUE(host_.until([&] { return find_port_owner(local_.port, true).empty(); }));
  EXPECT_EQ(host_.buffers().in_use(), 0u);
}

TEST_F(DatagramListener, ThatIsFollowedSendsByTheOther) {
  host_.datagrams().sockets().leave(0, host_.take_socket(0));
  Socket socket = bound_socket(SOCK_DGRAM);
  const Endpoint local = local_of(socket.fd());
  const ListenerIndex place = host_.add_place(listen_on(Transport::Udp), local, std::move(socket));
  host_.datagrams().sockets().add(host_.socket_of(place), place, host_.info_of(place));
  host_.datagrams().sockets().follow(0, place);
  ASSERT_TRUE(host_.until([&] { return find_port_owner(local_.port, true).empty(); }));
  send(0);
  expect_from(local);
}

TEST_F(DatagramListener, ThatIsFollowedIsReadBeforeItsSocketIsClosed) {
  send_datagram(peer_, local_, "waits");
  host_.datagrams().sockets().leave(0, host_.take_socket(0));
  Socket socket = bound_socket(SOCK_DGRAM);
  const Endpoint local = local_of(socket.fd());
  const ListenerIndex place = host_.add_place(listen_on(Transport::Udp), local, std::move(socket));
  host_.datagrams().sockets().add(host_.socket_of(place), place, host_.info_of(place));
  host_.datagrams().sockets().follow(0, place);
  ASSERT_TRUE(host_.until([&] {
    return !host_.datagrams().sockets().close_read(false) && host_.received.size() == 1;
  }));
  EXPECT_TRUE(host_.until([&] { return find_port_owner(local_.port, true).empty(); }));
}

}  // namespace
}  // namespace ringway::test
