#include <sys/resource.h>

#include "tests/gateway/transport/host.h"

// Connections that we open: reuse, failures, keepalives.

namespace ringway::test {
namespace {

using Kind = StreamEvent::Kind;

class Connector : public testing::Test {
 protected:
  static Config config() {
    Config config = config_with({listen_on(Transport::Tcp), listen_on(Transport::Tcp)});
    config.limits.flows = 4;
    return config;
  }
  Connector() : host_(config()), peer_(listening_socket()) {}
  Streams::Destination to(const Socket& peer, ListenerIndex listener = 0) {
    Streams::Destination destination;
    destination.listener = listener;
    destination.remote = local_of(peer.fd());
    return destination;
  }
  Socket accept_one() {
    EXPECT_TRUE(host_.until([&] { return readable(peer_.fd(), 0); }));
    return Socket(accept4(peer_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
  }

  Host host_;
  Socket peer_;
};

TEST_F(Connector, OpensSendsAndTellsOfTheFlow) {
  host_.send_connect(to(peer_), "INVITE", 1);
  const Socket accepted = accept_one();
  EXPECT_EQ(host_.read(accepted.fd(), 6), "INVITE");
  const auto opened = host_.last(Kind::FlowOpened);
  EXPECT_TRUE(opened.flow.opened_by_us);
  EXPECT_EQ(opened.flow.remote, local_of(peer_.fd()));
  EXPECT_EQ(host_.count(Kind::SendFailed), 0u);
  write_all(accepted, options("answer"));
  ASSERT_TRUE(host_.until([&] { return host_.count(Kind::Message) == 1; }));
  EXPECT_EQ(host_.last(Kind::Message).source.flow, opened.flow.flow);
}

TEST_F(Connector, SharesAConnectionAlsoWhileItIsBeingOpened) {
  for (int i = 0; i < 3; ++i) host_.send_connect(to(peer_), std::to_string(i));
  const Socket accepted = accept_one();
  EXPECT_EQ(host_.read(accepted.fd(), 3), "012");
  host_.send_connect(to(peer_), "3");
  EXPECT_EQ(host_.read(accepted.fd(), 1), "3");
  EXPECT_EQ(host_.count(Kind::FlowOpened), 1u);
}

TEST_F(Connector, SharesOnlyWithTheSameListenerAndTarget) {
  const Socket other = listening_socket();
  host_.send_connect(to(peer_, 0), "a");
  host_.send_connect(to(peer_, 1), "b");
  host_.send_connect(to(other, 0), "c");
  ASSERT_TRUE(host_.until([&] { return host_.count(Kind::FlowOpened) == 3; }));
}

TEST_F(Connector, SharesOnlyWithTheSameNextHop) {
  for (const std::uint16_t next_hop : std::to_array<std::uint16_t>({0, 1, 0, 0xffff, 0xffff, 1})) {
    Streams::Destination destination = to(peer_);
    destination.next_hop = next_hop;
    host_.send_connect(destination, "x");
  }
  ASSERT_TRUE(host_.until([&] { return host_.count(Kind::FlowOpened) == 3; }));
  std::vector<std::uint16_t> next_hops;
  for (const auto& event : host_.events) next_hops.push_back(event.flow.next_hop);
  std::sort(next_hops.begin(), next_hops.end());
  EXPECT_EQ(next_hops, (std::vector<std::uint16_t>{0, 1, 0xffff}));
}

TEST_F(Connector, AClosedConnectionIsNotUsedAgain) {
  host_.send_connect(to(peer_), "one");
  Socket accepted = accept_one();
  EXPECT_EQ(host_.read(accepted.fd(), 3), "one");
  accepted.reset();
  host_.last(Kind::FlowClosed);
  host_.send_connect(to(peer_), "two");
  accepted = accept_one();
  EXPECT_EQ(host_.read(accepted.fd(), 3), "two");
}

TEST_F(Connector, ARefusalFailsEveryMessageThatWaited) {
  const auto nowhere = to(peer_);
  peer_.reset();
  host_.send_connect(nowhere, "a", 1);
  host_.send_connect(nowhere, "b", 2);
  ASSERT_TRUE(host_.until([&] { return host_.count(Kind::SendFailed) == 2; }));
  EXPECT_EQ(host_.events[0].ticket, 1u);
  EXPECT_EQ(host_.events[1].ticket, 2u);
  for (const auto& event : host_.events) EXPECT_EQ(event.failure, TransportFailure::Refused);
  EXPECT_EQ(host_.count(Kind::FlowOpened) + host_.count(Kind::FlowClosed), 0u);
  ASSERT_TRUE(host_.until([&] { return host_.streams().open_streams() == 0; }));
  EXPECT_EQ(host_.buffers().in_use(), 0u);
}

// A full backlog lets nobody in and refuses nobody.
TEST_F(Connector, AConnectThatHangsTimesOut) {
  const Socket full = listening_socket("127.0.0.1", 0);
  const Socket first = connected_socket(local_of(full.fd()));
  host_.send_connect(to(full), "a", 1);
  host_.settle();
  host_.advance(1900ms);
  EXPECT_EQ(host_.count(Kind::SendFailed), 0u);
  host_.advance(200ms);
  ASSERT_EQ(host_.count(Kind::SendFailed), 1u);
  EXPECT_EQ(host_.last(Kind::SendFailed).failure, TransportFailure::TimedOut);
  ASSERT_TRUE(host_.until([&] { return host_.streams().open_streams() == 0; }));
}

TEST_F(Connector, AnAddressNobodyRoutesToIsUnreachable) {
  Streams::Destination destination;
  destination.listener = 0;  // bound to 127.0.0.1, which leads to no other host
  destination.remote = *parse_endpoint("192.0.2.1:5060");
  host_.send_connect(destination, "a", 1);
  EXPECT_NE(host_.last(Kind::SendFailed).failure, TransportFailure::None);
}

TEST_F(Connector, WhatCannotBeOpenedFailsAtOnce) {
  auto destination = to(peer_);
  destination.transport = Transport::Ws;
  host_.send_connect(destination, "a", 1);
  ASSERT_EQ(host_.count(Kind::SendFailed), 1u);
  EXPECT_EQ(host_.last(Kind::SendFailed).failure, TransportFailure::NoSocket);
  destination.transport = Transport::Tls;  // there are no certificates to judge it by
  host_.send_connect(destination, "b", 2);
  ASSERT_EQ(host_.count(Kind::SendFailed), 2u);
  EXPECT_EQ(host_.last(Kind::SendFailed).failure, TransportFailure::TlsFailed);
  host_.send_connect(destination, "c", 0);
  EXPECT_EQ(host_.count(Kind::SendFailed), 2u) << "nobody wants to know";
}

TEST_F(Connector, AFullTableFailsTheSendAndKeepsTheRest) {
  std::vector<Socket> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(connected_socket(host_.endpoint()));
  ASSERT_TRUE(host_.until([&] { return host_.count(Kind::FlowOpened) == 4; }));
  host_.send_connect(to(peer_), "a", 1);
  EXPECT_EQ(host_.last(Kind::SendFailed).failure, TransportFailure::NoSocket);
  const Socket refused = connected_socket(host_.endpoint());
  EXPECT_EQ(host_.read_to_end(refused.fd()), "") << "closed at once";
  EXPECT_EQ(host_.counters().flows_refused[1].value(), 2u);
  clients[0].reset();
  ASSERT_TRUE(host_.until([&] { return host_.streams().open_streams() == 3; }));
  host_.send_connect(to(peer_), "b", 2);
  const Socket accepted = accept_one();
  EXPECT_EQ(host_.read(accepted.fd(), 1), "b");
}

// User agents cannot take the places of next hops.
TEST_F(Connector, NextHopsHavePlacesWhenUserAgentsHaveTakenAllOthers) {
  std::vector<Socket> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(connected_socket(host_.endpoint()));
  ASSERT_TRUE(host_.until([&] { return host_.count(Kind::FlowOpened) == 4; }));
  auto destination = to(peer_);
  destination.next_hop = 0;
  host_.send_connect(destination, "a", 1);
  Socket accepted = accept_one();
  EXPECT_EQ(host_.read(accepted.fd(), 1), "a");
  accepted.reset();
  ASSERT_TRUE(host_.until([&] { return host_.count(Kind::FlowClosed) == 1; }));
  host_.send_connect(destination, "b", 2);
  accepted = accept_one();
  EXPECT_EQ(host_.read(accepted.fd(), 1), "b") << "again, after it was cut";
}

TEST_F(Connector, NextHopsHaveDescriptorsWhenUserAgentsHaveTakenAllOthers) {
  auto destination = to(peer_);
  destination.next_hop = 0;
  host_.send_connect(destination, "a");
  Socket accepted = accept_one();
  EXPECT_EQ(host_.read(accepted.fd(), 1), "a");
  const Socket other = listening_socket();
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(dup(peer_.fd()));
  ::close(static_cast<int>(none.rlim_cur));
  setrlimit(RLIMIT_NOFILE, &none);  // the next descriptor would be the first above it
  destination.remote = local_of(other.fd());
  host_.send_connect(destination, "b", 2);
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(host_.counters().spare_descriptors_used.value(), 1u);
  ASSERT_TRUE(host_.until([&] { return readable(other.fd(), 0); }));
  const Socket second(accept4(other.fd(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_EQ(host_.read(second.fd(), 1), "b");
}

// RFC 3261 17.1.4: what can no longer be answered on its connection is told, whether it was sent or
// not; a response only if it was not sent.
TEST_F(Connector, Rfc3261_17_1_4_RequestsFailWithTheConnectionThatWouldHaveAnswered) {
  const struct {
    const char* name;
    bool reset;
  } kCases[] = {{"closed", false}, {"reset", true}};
  for (const auto& each : kCases) {
    host_.events.clear();
    host_.send_connect(to(peer_), options("one"), 1);
    host_.send_connect(to(peer_), "SIP/2.0 200 OK\r\n\r\n", 2);
    host_.send_connect(to(peer_), options("three"), 3);
    host_.send_connect(to(peer_), options("nobody asks"), 0);
    Socket accepted = accept_one();
    host_.read(accepted.fd(), options("one").size() * 2);
    host_.settle();
    if (each.reset) {
      const linger now{1, 0};
      setsockopt(accepted.fd(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    accepted.reset();
    ASSERT_TRUE(host_.until([&] { return host_.count(Kind::SendFailed) == 2; })) << each.name;
    host_.settle();
    std::vector<Ticket> failed;
    for (const auto& event : host_.events) {
      if (event.kind != Kind::SendFailed) continue;
      EXPECT_EQ(event.failure, TransportFailure::ConnectionLost) << each.name;
      failed.push_back(event.ticket);
    }
    EXPECT_EQ(failed, (std::vector<Ticket>{1, 3})) << each.name;
  }
}

TEST_F(Connector, WhatIsOlderThanItsTransactionDoesNotFailWithTheConnection) {
  host_.send_connect(to(peer_), options("old"), 1);
  Socket accepted = accept_one();
  host_.read(accepted.fd(), 10);
  host_.advance(33s);
  host_.send_connect(to(peer_), options("new"), 2);
  host_.settle();
  accepted.reset();
  EXPECT_EQ(host_.last(Kind::SendFailed).ticket, 2u);
  host_.settle();
  EXPECT_EQ(host_.count(Kind::SendFailed), 1u);
}

// A next hop that has closed its side cannot answer: the next request has its own connection, even
// in the same turn.
TEST_F(Connector, AHalfClosedConnectionIsNotUsedAgain) {
  host_.closing_steps = 0;  // nothing is done about its end yet
  host_.send_connect(to(peer_), options("one"));
  const Socket accepted = accept_one();
  host_.read(accepted.fd(), options("one").size());
  shutdown(accepted.fd(), SHUT_WR);
  ASSERT_TRUE(host_.until([&] { return host_.streams().has_closings(); }));
  host_.send_connect(to(peer_), options("two"));
  const Socket second = accept_one();
  EXPECT_EQ(host_.read(second.fd(), options("two").size()), options("two"));
}

// RFC 5626 3.5.1: only the one that opened a flow sends pings; on ours a CRLF is a pong.
TEST_F(Connector, Rfc5626_3_5_1_APongOnOurConnectionIsNotAnswered) {
  host_.send_connect(to(peer_), "x");
  const Socket accepted = accept_one();
  host_.read(accepted.fd(), 1);
  write_all(accepted, "\r\n\r\n" + options("behind"));
  ASSERT_TRUE(host_.until([&] { return host_.count(Kind::Message) == 1; }));
  host_.settle();
  EXPECT_FALSE(readable(accepted.fd(), 0));
}

TEST_F(Connector, AnIdleConnectionIsClosed) {
  host_.send_connect(to(peer_), "x");
  const Socket accepted = accept_one();
  host_.read(accepted.fd(), 1);
  host_.advance(121s);
  EXPECT_EQ(host_.last(Kind::FlowClosed).end, FlowEnd::TimedOut);
  EXPECT_EQ(host_.read_to_end(accepted.fd()), "");
}

}  // namespace
}  // namespace ringway::test
