#include "tests/gateway/transport/host.h"

// The PROXY protocol: required from the sources that the configuration lists, refused from others.

namespace ringway::test {
namespace {

using Kind = StreamEvent::Kind;

class ProxyHeader : public testing::Test {
 protected:
  static Config config() {
    ListenConfig listen = listen_on(Transport::Tcp);
    listen.proxy_protocol_from = {"127.0.0.2/32"};
    Config config = config_with({listen});
    config.limits.flows_per_source = 3;
    return config;
  }
  ProxyHeader() : host_(config()) {}
  Socket balancer() { return connected_socket(host_.endpoint(), "127.0.0.2"); }

  static std::string version2(std::string_view address, std::uint16_t port) {
    std::string header("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", 16);
    header += Endpoint{*parse_address(address), 0}.address.octets().size() == 4
                  ? std::string(as_text(parse_address(address)->octets()))
                  : "";
    header += std::string("\x7f\0\0\x01", 4);
    header += static_cast<char>(port >> 8);
    header += static_cast<char>(port & 255);
    return header + std::string("\x13\xc4", 2);
  }

  Host host_;
};

TEST_F(ProxyHeader, Version1NamesTheRealClient) {
  const Socket client = balancer();
  write_all(client, "PROXY TCP4 198.51.100.7 192.0.2.1 40000 5060\r\n" + options("behind"));
  ASSERT_TRUE(host_.until([&] { return host_.count(Kind::Message) == 1; }));
  EXPECT_EQ(host_.last(Kind::FlowOpened).flow.remote, *parse_endpoint("198.51.100.7:40000"));
  EXPECT_EQ(host_.last(Kind::Message).source.remote, *parse_endpoint("198.51.100.7:40000"));
  EXPECT_EQ(host_.messages()[0], options("behind"));
  EXPECT_EQ(host_.counters().proxy_headers.value(), 1u);
}

TEST_F(ProxyHeader, Version2NamesTheRealClient) {
  const Socket client = balancer();
  write_all(client, version2("198.51.100.8", 40'001) + options("behind"));
  ASSERT_TRUE(host_.until([&] { return host_.count(Kind::Message) == 1; }));
  EXPECT_EQ(host_.last(Kind::Message).source.remote, *parse_endpoint("198.51.100.8:40001"));
}

TEST_F(ProxyHeader, ByteByByteNothingOfItOrOfTheMessageIsLost) {
  const Socket client = balancer();
  const std::string text = "PROXY TCP4 198.51.100.7 192.0.2.1 40000 5060\r\n" + options("x");
  std::size_t sent = 0;
  for (const char c : text) {
    write_all(client, {&c, 1});
    ++sent;
    ASSERT_TRUE(host_.until([&] { return host_.counters().bytes_in[1].value() == sent; }));
  }
  ASSERT_TRUE(host_.until([&] { return host_.count(Kind::Message) == 1; }));
  EXPECT_EQ(host_.messages()[0], options("x"));
}

TEST_F(ProxyHeader, CutAtEachByteOfItsEnd) {
  const std::string header = "PROXY TCP4 198.51.100.7 192.0.2.1 40000 5060\r\n";
  for (std::size_t cut = header.size() - 3; cut <= header.size() + 3; ++cut) {
    const std::string text = header + options("x");
    const auto messages = host_.count(Kind::Message);
    const Socket client = balancer();
    const auto bytes = host_.counters().bytes_in[1].value();
    write_all(client, text.substr(0, cut));
    ASSERT_TRUE(host_.until([&] { return host_.counters().bytes_in[1].value() == bytes + cut; }));
    write_all(client, text.substr(cut));
    ASSERT_TRUE(host_.until([&] { return host_.count(Kind::Message) == messages + 1; })) << cut;
    EXPECT_EQ(host_.messages().back(), options("x")) << cut;
    shutdown(client.fd(), SHUT_WR);
    ASSERT_TRUE(host_.until([&] { return host_.streams().open_streams() == 0; }));
  }
}

TEST_F(ProxyHeader, UnknownKeepsTheAddressOfTheConnection) {
  const Socket client = balancer();
  write_all(client, "PROXY UNKNOWN\r\n" + options("x"));
  ASSERT_TRUE(host_.until([&] { return host_.count(Kind::Message) == 1; }));
  EXPECT_EQ(host_.last(Kind::Message).source.remote, local_of(client.fd()));
}

TEST_F(ProxyHeader, WithoutOneAListedSourceIsClosed) {
  const Socket client = balancer();
  write_all(client, options("no header"));
  EXPECT_EQ(host_.read_to_end(client.fd()), "");
  EXPECT_EQ(host_.count(Kind::Message) + host_.count(Kind::FlowOpened), 0u);
}

TEST_F(ProxyHeader, FromAnyoneElseItIsPartOfWhatTheySay) {
  const Socket client = connected_socket(host_.endpoint());
  const std::string text = "PROXY TCP4 198.51.100.7 192.0.2.1 40000 5060\r\n" + options("forged");
  write_all(client, text);
  ASSERT_TRUE(host_.until([&] { return host_.count(Kind::Message) == 1; }));
  EXPECT_EQ(host_.messages()[0], text) << "which no parser of SIP accepts";
  EXPECT_EQ(host_.last(Kind::Message).source.remote, local_of(client.fd()));
  EXPECT_EQ(host_.counters().proxy_headers.value(), 0u);
}

TEST_F(ProxyHeader, MustComeInTime) {
  const Socket client = balancer();
  write_all(client, "PROXY TCP4 ");
  ASSERT_TRUE(host_.until([&] { return host_.counters().bytes_in[1].value() == 11; }));
  host_.settle();
  host_.advance(6s);
  EXPECT_EQ(host_.read_to_end(client.fd()), "");
  EXPECT_EQ(host_.count(Kind::FlowOpened), 0u);
}

TEST_F(ProxyHeader, TheLimitOfASourceCountsTheClientNotTheBalancer) {
  std::vector<Socket> clients;
  const auto connect_as = [&](std::string_view address) {
    clients.push_back(balancer());
    write_all(clients.back(), "PROXY TCP4 " + std::string(address) + " 192.0.2.1 4 5060\r\n");
  };
  for (int i = 0; i < 3; ++i) connect_as("198.51.100.1");
  for (int i = 0; i < 3; ++i) connect_as("198.51.100.2");
  ASSERT_TRUE(host_.until([&] { return host_.count(Kind::FlowOpened) == 6; }));
  connect_as("198.51.100.1");
  EXPECT_EQ(host_.read_to_end(clients.back().fd()), "");
  EXPECT_EQ(host_.counters().flows_refused[1].value(), 1u);
  clients[0].reset();  // one of that source is free again
  ASSERT_TRUE(host_.until([&] { return host_.streams().open_streams() == 5; }));
  connect_as("198.51.100.1");
  ASSERT_TRUE(host_.until([&] { return host_.count(Kind::FlowOpened) == 7; }));
}

}  // namespace
}  // namespace ringway::test
