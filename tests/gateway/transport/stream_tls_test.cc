#include "tests/gateway/transport/tls_fixture.h"
#include "tests/tls/pair.h"

// TLS in and out, and how expensive handshakes stand back behind established traffic.

namespace ringway::test {
namespace {

using Kind = StreamEvent::Kind;

class StreamTls : public testing::Test {
 protected:
  static Config config() {
    Config config = config_with({listen_on(Transport::Tls), listen_on(Transport::Tcp)});
    config.limits.handshakes = 8;
    return config;
  }
  StreamTls() : host_(config(), certificates_.settings({true, false})) {}
  SecureClient client(int version = TLS1_3_VERSION) {
    return {host_, connected_socket(host_.endpoint()), version};
  }

  Certificates certificates_;
  Host host_;
};

TEST_F(StreamTls, MessagesBothWaysInBothVersions) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    SecureClient one = client(version);
    ASSERT_TRUE(one.handshake());
    const auto before = host_.count(Kind::Message);
    one.send(options("encrypted", 3'000));
    ASSERT_TRUE(host_.until([&] { return host_.count(Kind::Message) == before + 1; }));
    EXPECT_EQ(host_.messages().back(), options("encrypted", 3'000));
    EXPECT_EQ(host_.last(Kind::Message).source.transport, Transport::Tls);
    std::string expected;
    for (int i = 0; i < 100; ++i) {
      host_.send(host_.opened_flow(), std::string(700, static_cast<char>('a' + i % 26)));
      expected += std::string(700, static_cast<char>('a' + i % 26));
    }
    EXPECT_EQ(one.read(expected.size()), expected);
    host_.settle();
    EXPECT_EQ(host_.buffers().in_use(), 0u);
  }
  EXPECT_EQ(host_.counters().handshakes_done.value(), 2u);
}

// More than the memory of a handshake holds, before its turn comes.
TEST_F(StreamTls, WhatIsPipelinedBehindTheLastFlightOfAHandshakeIsTakenHoweverMuchItIs) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    SecureClient one = client(version);
    ASSERT_TRUE(host_.until([&] {
      if (one.tls().done()) return true;
      one.pump();
      return one.tls().done();
    }));
    const auto before = host_.count(Kind::Message);
    for (int i = 0; i < 100; ++i) one.tls().send(options(std::to_string(i), 3'000));
    one.pump();  // its last flight and 300 kB
    ASSERT_TRUE(host_.until([&] {
      one.pump();
      return host_.count(Kind::Message) == before + 100;
    }));
    EXPECT_EQ(host_.messages().back(), options("99", 3'000));
  }
}

TEST_F(StreamTls, CloseSaysGoodbyeInsideAndOutside) {
  SecureClient one = client();
  ASSERT_TRUE(one.handshake());
  const FlowId flow = host_.opened_flow();
  host_.send(flow, "last");
  host_.streams().close(flow, 0, host_.now());
  EXPECT_EQ(one.read(4), "last");
  EXPECT_TRUE(one.ends());
  EXPECT_FALSE(one.tls().failed()) << "close_notify came before the end";
}

TEST_F(StreamTls, ThePeersGoodbyeEndsTheFlow) {
  SecureClient one = client();
  ASSERT_TRUE(one.handshake());
  one.tls().close();
  EXPECT_TRUE(one.ends());
  EXPECT_EQ(host_.last(Kind::FlowClosed).end, FlowEnd::Closed);
}

TEST_F(StreamTls, PlainTextOnATlsPortFailsTheHandshake) {
  const Socket plain = connected_socket(host_.endpoint());
  write_all(plain, options("plain"));
  host_.read_to_end(plain.fd());
  EXPECT_EQ(host_.counters().handshakes_failed.value(), 1u);
  EXPECT_EQ(host_.count(Kind::FlowOpened) + host_.count(Kind::Message), 0u);
}

TEST_F(StreamTls, AHandshakeMustEndInTime) {
  const Socket silent = connected_socket(host_.endpoint());
  const Socket slow = connected_socket(host_.endpoint());
  write_all(slow, "\x16\x03");
  host_.settle();
  host_.advance(4s);
  EXPECT_EQ(host_.streams().open_streams(), 2u);
  host_.advance(2s);
  host_.read_to_end(silent.fd());
  host_.read_to_end(slow.fd());
  EXPECT_EQ(host_.counters().handshakes_failed.value(), 1u) << "one had not begun";
  ASSERT_TRUE(host_.until([&] { return host_.streams().open_streams() == 0; }));
}

TEST_F(StreamTls, OneStepOfOneHandshakeAtATimeAndEstablishedTrafficFirst) {
  SecureClient established = client();
  ASSERT_TRUE(established.handshake());
  host_.opened_flow();
  host_.handshake_steps = 0;  // the test takes them
  std::vector<SecureClient> clients;
  for (int i = 0; i < 5; ++i) {
    clients.push_back(client());
    clients.back().pump();
  }
  ASSERT_TRUE(host_.until([&] { return host_.streams().has_handshakes(); }));
  for (int i = 0; i < 20; ++i) host_.turn();
  established.send(options("first"));
  ASSERT_TRUE(host_.until([&] { return host_.count(Kind::Message) == 1; }));
  EXPECT_EQ(host_.counters().handshakes_done.value(), 1u);
  int steps = 0;
  while (host_.streams().step_handshake(host_.now())) ++steps;
  EXPECT_EQ(steps, 5);
  EXPECT_FALSE(host_.streams().has_handshakes());
  host_.handshake_steps = 2;
  for (SecureClient& one : clients) EXPECT_TRUE(one.handshake());
}

TEST_F(StreamTls, TooManyHandshakesPauseTheAcceptAndTheBacklogWaits) {
  std::vector<Socket> silent;
  for (int i = 0; i < 20; ++i) {
    silent.push_back(connected_socket(host_.endpoint()));
    write_all(silent.back(), "\x16");
  }
  host_.settle();
  const auto waiting = host_.counters().handshakes_waiting.value();
  EXPECT_GE(waiting, 8u);
  EXPECT_LE(waiting, 20u);
  const auto before = host_.streams().open_streams();
  std::vector<Socket> more;
  for (int i = 0; i < 5; ++i) {
    more.push_back(connected_socket(host_.endpoint()));
    write_all(more.back(), "\x16");
  }
  host_.settle();
  EXPECT_EQ(host_.streams().open_streams(), before) << "they wait in the backlog";
  const Socket plain = connected_socket(host_.endpoint(1));
  ASSERT_TRUE(host_.until([&] { return host_.count(Kind::FlowOpened) == 1; }))
      << "where no handshake comes first, everybody gets in";
  silent.clear();
  ASSERT_TRUE(host_.until([&] { return host_.counters().handshakes_waiting.value() == 5; }));
  SecureClient late = client();
  EXPECT_TRUE(late.handshake());
}

// A client that does not like our certificate says so and is gone in the same moment; each is
// counted and logged, also those that say nothing.
TEST_F(StreamTls, EachClientThatLeavesItsHandshakeIsCountedAndLogged) {
  std::uint64_t expected = 0;
  for (int i = 0; i < 20; ++i) {
    SecureClient one = client();
    one.pump();
    ASSERT_TRUE(host_.until([&] { return readable(one.socket().fd(), 0); }));
    if (i % 2 == 0) write_all(one.socket(), std::string("\x15\x03\x03\0\x02\x02\x30", 7));
    one.socket().reset();
    ++expected;
  }
  ASSERT_TRUE(host_.until([&] { return host_.streams().open_streams() == 0; }));
  EXPECT_EQ(host_.counters().handshakes_failed.value(), expected);
  std::uint64_t logged = 0;
  while (const auto* record = host_.log().front()) {
    if (record->event.starts_with("tls_handshake_")) ++logged;
    host_.log().pop();
  }
  EXPECT_EQ(logged, expected);
}

TEST_F(StreamTls, ARecordThatIsNotFinishedInTimeClosesTheFlow) {
  SecureClient one = client();
  ASSERT_TRUE(one.handshake());
  host_.opened_flow();
  one.tls().send(options("cut"));
  const auto record = one.tls().take_output();
  write_all(one.socket(), as_text(Bytes(record).first(record.size() / 2)));
  host_.settle();
  host_.advance(11s);
  EXPECT_EQ(host_.last(Kind::FlowClosed).end, FlowEnd::TimedOut);
}

TEST_F(StreamTls, ACiphertextCutAtEachByteIsPutTogether) {
  SecureClient one = client();
  ASSERT_TRUE(one.handshake());
  host_.opened_flow();
  for (std::size_t cut = 1; cut < 40; cut += 3) {
    one.tls().send(options("cut"));
    const auto record = one.tls().take_output();
    const auto bytes = host_.counters().bytes_in[2].value();
    write_all(one.socket(), as_text(Bytes(record).first(cut)));
    ASSERT_TRUE(host_.until([&] { return host_.counters().bytes_in[2].value() == bytes + cut; }));
    write_all(one.socket(), as_text(Bytes(record).subspan(cut)));
    ASSERT_TRUE(host_.until([&] { return host_.messages().size() == (cut + 2) / 3; }));
  }
}

TEST_F(StreamTls, WithoutCertificatesTheConnectionIsClosedAndLogged) {
  host_.streams().publish_tls({});
  const Socket one = connected_socket(host_.endpoint());
  host_.read_to_end(one.fd());
  EXPECT_EQ(host_.count(Kind::FlowOpened), 0u);
}

// Whom the client's certificate speaks for is told with the flow (RFC 5922 7.1), and only if its
// chain was verified.
TEST(StreamTlsClientCertificate, Rfc5922_7_1_ItsNamesComeWithTheFlow) {
  const tls::test::Authority authority;
  const auto shown = [&](const char* names) {
    return authority.issue({.common_name = "cn.test", .alternative_names = names});
  };
  std::string many, expected;
  for (int i = 0; i < 100; ++i) {
    const std::string name = "host-" + std::to_string(i) + ".example.test";
    many += (i == 0 ? "DNS:" : ",DNS:") + name;
    if (expected.size() + name.size() < kCertificateNamesBytesMax) expected += name + '\n';
  }
  const struct {
    const char* name;
    tls::KeyPair client;
    std::string expected;
  } kCases[] = {
      {"none", {}, ""},
      {"one", shown("DNS:a.test"), "a.test\n"},
      {"sip first", shown("DNS:a.test,URI:sip:b.test,IP:192.0.2.1"), "b.test\na.test\n"},
      {"more than there is room for", shown(many.c_str()), expected},
  };
  for (const auto& each : kCases) {
    Certificates certificates;
    tls::ContextConfig contexts;
    tls::ServerProfile profile;
    profile.certificates = {{.names = {}, .primary = certificates.server}};
    profile.client_certificates = tls::ClientCertificatePolicy::Request;
    profile.client_ca = authority.pem();
    contexts.servers = {profile};
    tls::ClientProfile client;
    client.verify_chain = false;
    client.name_policy = tls::NamePolicy::None;
    client.own = each.client;
    contexts.clients = {client};
    const auto context = tls::TlsContext::build(contexts, {tls::TicketKey::random(), std::nullopt});
    ASSERT_TRUE(context) << context.error().text;
    Host host(config_with({listen_on(Transport::Tls)}),
              std::make_shared<const TlsSettings>(TlsSettings{*context, {0}, {}}));
    const Socket socket = connected_socket(host.endpoint());
    tls::test::Endpoint endpoint(tls::TlsSession::connect(*context, 0, "gw.test"));
    endpoint.receive({});
    std::string seen;
    ASSERT_TRUE(host.until([&] {
      const auto output = endpoint.take_output();
      if (!output.empty()) write_all(socket, as_text(output));
      std::string input;
      Host::read_some(socket.fd(), input);
      if (!input.empty()) endpoint.receive(as_bytes(input));
      return host.count(Kind::FlowOpened) == 1;
    })) << each.name;
    EXPECT_EQ(host.last(Kind::FlowOpened).flow.certificate_names, each.expected) << each.name;
  }
}

// Our side as the client.
class OutboundTls : public StreamTls {
 protected:
  OutboundTls() : peer_(listening_socket()) {}
  void call(std::string_view name, Ticket ticket) {
    host_.send_connect({Transport::Tls, 1, local_of(peer_.fd()), 0, name}, "INVITE", ticket);
  }
  // Serves one connection with this certificate until the message came or our side gave up.
  std::string serve(const tls::KeyPair& pair) {
    tls::ServerProfile profile;
    profile.certificates = {{.names = {}, .primary = pair}};
    const auto context =
        tls::TlsContext::build({{profile}, {}}, {tls::TicketKey::random(), std::nullopt});
    EXPECT_TRUE(host_.until([&] { return readable(peer_.fd(), 0); }));
    accepted_ = Socket(accept4(peer_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
    tls::test::Endpoint server(tls::TlsSession::accept(*context, 0));
    EXPECT_TRUE(host_.until([&] {
      std::string input;
      const auto peek = Host::read_some(accepted_.fd(), input);
      if (!input.empty()) server.receive(as_bytes(input));
      const auto output = server.take_output();
      if (!output.empty()) write_all(accepted_, as_text(output));
      return !server.received().empty() || peek == Host::Peek::End;
    }));
    return server.received();
  }

  Socket peer_, accepted_;
};

TEST_F(OutboundTls, SendsOnceThePeersNameIsVerified) {
  call("gw.test", 1);
  EXPECT_EQ(serve(certificates_.server), "INVITE");
  EXPECT_TRUE(host_.last(Kind::FlowOpened).flow.opened_by_us);
  EXPECT_EQ(host_.count(Kind::SendFailed), 0u);
}

TEST_F(OutboundTls, Rfc5922_7_AnotherNameFailsTheMessage) {
  call("other.test", 2);
  EXPECT_EQ(serve(certificates_.server), "");
  const auto failed = host_.last(Kind::SendFailed);
  EXPECT_EQ(failed.ticket, 2u);
  EXPECT_EQ(failed.failure, TransportFailure::NameMismatch);
  EXPECT_EQ(host_.count(Kind::FlowOpened), 0u);
}

TEST_F(OutboundTls, AnUnknownAuthorityFailsTheMessage) {
  const tls::test::Authority stranger("Stranger");
  call("gw.test", 3);
  EXPECT_EQ(serve(stranger.issue_for("gw.test")), "");
  EXPECT_EQ(host_.last(Kind::SendFailed).failure, TransportFailure::TlsFailed);
}

TEST_F(OutboundTls, AnotherNameIsAnotherConnection) {
  call("gw.test", 1);
  call("other.test", 2);
  call("gw.test", 3);
  ASSERT_TRUE(host_.until([&] { return host_.counters().handshakes_started.value() == 2; }));
  EXPECT_EQ(host_.streams().open_streams(), 2u);
}

TEST_F(OutboundTls, APeerThatNeverAnswersTheHandshakeTimesOut) {
  call("gw.test", 4);
  ASSERT_TRUE(host_.until([&] { return host_.counters().handshakes_started.value() == 1; }));
  host_.settle();
  host_.advance(6s);
  EXPECT_EQ(host_.last(Kind::SendFailed).failure, TransportFailure::TimedOut);
}

}  // namespace
}  // namespace ringway::test
