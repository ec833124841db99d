#include "protocol/websocket/frame.h"
#include "tests/gateway/transport/tls_fixture.h"

// WebSocket (RFC 6455) carrying SIP (RFC 7118), and the pages beside it.

namespace ringway::test {
namespace {

using Kind = StreamEvent::Kind;
using websocket::Opcode;

std::string upgrade(std::string_view path = "/", std::string_view extra = "",
                    std::string_view host = "gw.test",
                    std::string_view protocol = "Sec-WebSocket-Protocol: sip\r\n") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: " + std::string(host) +
         "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
         std::string(protocol) + std::string(extra) + "\r\n";
}

std::string frame(Opcode opcode, std::string_view payload, bool final = true, bool masked = true) {
  const websocket::Mask mask{1, 2, 3, 4};
  std::vector<std::uint8_t> memory(payload.size() + 14);
  Writer writer(memory);
  if (masked) {
    websocket::write_masked_frame_header(opcode, payload.size(), mask, writer);
  } else {
    websocket::write_frame_header(opcode, payload.size(), writer);
  }
  const std::size_t head = writer.size();
  writer.text(payload);
  if (masked) websocket::apply_mask({memory.data() + head, payload.size()}, mask, 0);
  if (!final) memory[0] &= 0x7f;
  return std::string(as_text(writer.written()));
}

struct Frame {
  Opcode opcode{};
  std::string payload;
};

// The frames that a server sent, all of them whole.
std::vector<Frame> frames_of(std::string_view text) {
  std::vector<Frame> frames;
  while (!text.empty()) {
    const auto header = websocket::parse_frame_header(as_bytes(text));
    if (!header || !*header || text.size() < (*header)->size + (*header)->payload_size) {
      ADD_FAILURE() << "half a frame";
      break;
    }
    EXPECT_FALSE((*header)->masked);
    frames.push_back(
        {(*header)->opcode, std::string(text.substr((*header)->size, (*header)->payload_size))});
    text.remove_prefix((*header)->size + (*header)->payload_size);
  }
  return frames;
}

class WebSocketStream : public testing::Test {
 protected:
  static ListenConfig listener() {
    ListenConfig listen = listen_on(Transport::Ws);
    listen.path = "/sip";
    listen.origins = {"https://phone.test"};
    listen.hosts = {"gw.test", "127.0.0.1"};
    return listen;
  }
  static std::shared_ptr<const StaticPages> pages() {
    return std::make_shared<const StaticPages>(
        StaticPages().with("/big.js", {"text/javascript", std::string(200'000, 'j')}));
  }
  WebSocketStream() : host_(config_with({listen_on(Transport::Ws), listener()}), {}, pages()) {}

  Socket open() {
    Socket client = connected_socket(host_.endpoint());
    write_all(client, upgrade());
    const std::string head = host_.read(client.fd(), 129);
    EXPECT_TRUE(head.starts_with("HTTP/1.1 101 ")) << head;
    EXPECT_NE(head.find("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), std::string::npos) << head;
    EXPECT_NE(head.find("Sec-WebSocket-Protocol: sip\r\n"), std::string::npos) << head;
    flow_ = host_.opened_flow();
    return client;
  }
  std::string answer_to(std::string_view request, std::size_t listener = 1) {
    const Socket client = connected_socket(host_.endpoint(listener));
    write_all(client, request);
    return host_.read_to_end(client.fd());
  }
  // What the server says last when it gets this: its close code.
  int close_code_after(std::string_view bytes) {
    const Socket client = open();
    write_all(client, bytes);
    const auto frames = frames_of(host_.read_to_end(client.fd()));
    if (frames.empty() || frames.back().opcode != Opcode::Close) return -1;
    if (frames.back().payload.size() < 2) return 0;
    return read_u16(as_bytes(frames.back().payload));
  }

  Host host_;
  FlowId flow_;
};

TEST_F(WebSocketStream, Rfc7118_4_1_TheUpgradeOpensAFlow) {
  const Socket client = open();
  EXPECT_EQ(host_.last(Kind::FlowOpened).flow.transport, Transport::Ws);
  EXPECT_EQ(host_.counters().websocket_upgrades.value(), 1u);
  EXPECT_EQ(host_.counters().handshakes_waiting.value(), 0u);
}

TEST_F(WebSocketStream, TheUpgradeAndAFrameBehindItCutAtEachByte) {
  const std::string text = upgrade() + frame(Opcode::Text, options("behind"));
  for (std::size_t cut = 1; cut < text.size(); cut += 7) {
    const auto messages = host_.count(Kind::Message);
    const auto bytes = host_.counters().bytes_in[3].value();
    const Socket client = connected_socket(host_.endpoint());
    write_all(client, text.substr(0, cut));
    ASSERT_TRUE(host_.until([&] { return host_.counters().bytes_in[3].value() == bytes + cut; }));
    write_all(client, text.substr(cut));
    ASSERT_TRUE(host_.until([&] { return host_.count(Kind::Message) == messages + 1; })) << cut;
    EXPECT_EQ(host_.messages().back(), options("behind")) << cut;
  }
}

struct RefusedUpgrade {
  const char* name;
  std::string request;
  const char* status;
};

TEST_F(WebSocketStream, RefusedUpgradesSayWhy) {
  const std::string origin = "Origin: https://phone.test\r\n";
  for (const RefusedUpgrade& refused : std::vector<RefusedUpgrade>{
           {"no origin", upgrade("/sip"), "403"},
           {"foreign origin", upgrade("/sip", "Origin: https://evil.test\r\n"), "403"},
           {"foreign host", upgrade("/sip", origin, "evil.test"), "403"},
           {"other path", upgrade("/other", origin), "404"},
           {"no subprotocol", upgrade("/sip", origin, "gw.test", ""), "400"},
           {"foreign subprotocol",
            upgrade("/sip", origin, "gw.test", "Sec-WebSocket-Protocol: chat\r\n"), "400"},
           {"noise", "\x01\x02\x03\r\n\r\n", "400"},
           {"post", "POST / HTTP/1.1\r\nHost: gw.test\r\n\r\n", "405"},
           {"no page", "GET /missing HTTP/1.1\r\nHost: gw.test\r\n\r\n", "404"},
           {"too much", "GET / HTTP/1.1\r\nX: " + std::string(9'000, 'x'), "431"},
       }) {
    const std::string answer = answer_to(refused.request);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 " + std::string(refused.status)))
        << refused.name << ": " << answer;
  }
  EXPECT_EQ(host_.count(Kind::FlowOpened), 0u);
  const Socket good = connected_socket(host_.endpoint(1));
  write_all(good, upgrade("/sip?x=1", origin, "GW.test:8443"));
  EXPECT_TRUE(host_.read(good.fd(), 100).starts_with("HTTP/1.1 101"));
}

TEST_F(WebSocketStream, Rfc6455_4_4_AnotherVersionIsToldOurs) {
  std::string request = upgrade("/");
  request.replace(request.find("Version: 13"), 11, "Version: 12");
  const std::string answer = answer_to(request, 0);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 426")) << answer;
  EXPECT_NE(answer.find("Sec-WebSocket-Version: 13"), std::string::npos) << answer;
}

TEST_F(WebSocketStream, APageIsServedWholeAndTheConnectionEnds) {
  const std::string answer = answer_to("GET /big.js?v=2 HTTP/1.1\r\nHost: gw.test\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer.substr(0, 200);
  EXPECT_NE(answer.find("text/javascript"), std::string::npos);
  EXPECT_EQ(answer.substr(answer.find("\r\n\r\n") + 4), std::string(200'000, 'j'));
  EXPECT_EQ(host_.counters().http_pages.value(), 1u);
}

TEST_F(WebSocketStream, AnUpgradeThatDoesNotComeInTimeIsAnswered408) {
  const Socket client = connected_socket(host_.endpoint());
  write_all(client, "GET / HTTP/1.1\r\n");
  host_.settle();
  host_.advance(6s);
  EXPECT_TRUE(host_.read_to_end(client.fd()).starts_with("HTTP/1.1 408"));
}

TEST_F(WebSocketStream, OneFrameIsOneMessage) {
  const Socket client = open();
  write_all(client, frame(Opcode::Text, options("a")) + frame(Opcode::Binary, options("b")));
  ASSERT_TRUE(host_.until([&] { return host_.count(Kind::Message) == 2; }));
  EXPECT_EQ(host_.messages()[0], options("a"));
  EXPECT_EQ(host_.messages()[1], options("b"));
  EXPECT_EQ(host_.last(Kind::Message).source.flow, flow_);
}

TEST_F(WebSocketStream, Rfc6455_5_4_FragmentsWithAPingBetweenThem) {
  const Socket client = open();
  write_all(client, frame(Opcode::Text, "OPTIONS ", false));
  write_all(client, frame(Opcode::Ping, "are you there"));
  write_all(client, frame(Opcode::Continuation, "sip:", false) + frame(Opcode::Continuation, "a"));
  ASSERT_TRUE(host_.until([&] { return host_.count(Kind::Message) == 1; }));
  EXPECT_EQ(host_.messages()[0], "OPTIONS sip:a");
  const auto frames = frames_of(host_.read(client.fd(), 15));
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].opcode, Opcode::Pong);
  EXPECT_EQ(frames[0].payload, "are you there");
}

TEST_F(WebSocketStream, Rfc7118_4_2_TextGoesOutAsTextAndOtherBytesAsBinary) {
  const Socket client = open();
  const std::string text = "SIP/2.0 200 \xc3\xa4", binary = "SIP/2.0 200 \xe4\xff";
  host_.send(flow_, text);
  host_.send(flow_, binary);
  host_.send(flow_, std::string(70, 'x') + std::string(60'000, 'y'));
  const auto frames =
      frames_of(host_.read(client.fd(), text.size() + binary.size() + 4 + 60'070 + 4));
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(frames[0].opcode, Opcode::Text);
  EXPECT_EQ(frames[0].payload, text);
  EXPECT_EQ(frames[1].opcode, Opcode::Binary);
  EXPECT_EQ(frames[1].payload, binary);
  EXPECT_EQ(frames[2].payload.size(), 60'070u);
}

TEST_F(WebSocketStream, Rfc7118_6_CrlfKeepalivesAreAnswered) {
  const Socket client = open();
  write_all(client, frame(Opcode::Text, "\r\n\r\n") + frame(Opcode::Text, "\r\n") +
                        frame(Opcode::Text, ""));
  const auto frames = frames_of(host_.read(client.fd(), 4));
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].payload, "\r\n");
  host_.settle();
  EXPECT_EQ(host_.count(Kind::Message), 0u);
}

TEST_F(WebSocketStream, Rfc6455_7_4_1_ViolationsAreClosedWithTheirCode) {
  struct Violation {
    const char* name;
    std::string bytes;
    int code;
  };
  for (const Violation& violation : std::vector<Violation>{
           {"unmasked", frame(Opcode::Text, "hello", true, false), 1002},
           {"reserved bits", std::string("\xf1\x80\0\0\0\0", 6), 1002},
           {"unknown opcode", std::string("\x83\x80\0\0\0\0", 6), 1002},
           {"fragmented ping", frame(Opcode::Ping, "x", false), 1002},
           {"continuation of nothing", frame(Opcode::Continuation, "x"), 1002},
           {"text inside a message", frame(Opcode::Text, "a", false) + frame(Opcode::Text, "b"),
            1002},
           {"no UTF-8", frame(Opcode::Text, "\xff\xfe"), 1007},
           {"too big", std::string("\x81\xff\0\0\0\0\0\x01\0\0", 10) + "mask", 1009},
       }) {
    EXPECT_EQ(close_code_after(violation.bytes), violation.code) << violation.name;
    EXPECT_EQ(host_.last(Kind::FlowClosed).end, FlowEnd::ProtocolError) << violation.name;
  }
}

TEST_F(WebSocketStream, Rfc6455_5_5_1_ACloseIsAnsweredWithItsCode) {
  EXPECT_EQ(close_code_after(frame(Opcode::Close, std::string("\x03\xe8", 2) + "bye")), 1000);
  EXPECT_EQ(host_.last(Kind::FlowClosed).end, FlowEnd::Closed);
  EXPECT_EQ(close_code_after(frame(Opcode::Close, std::string("\x0f\xa0", 2))), 4000);
  EXPECT_EQ(close_code_after(frame(Opcode::Close, "")), 0) << "an empty one with an empty one";
}

TEST_F(WebSocketStream, OursIsSentWithTheCodeThatTheCoreWants) {
  const Socket client = open();
  host_.streams().close(flow_, 1008, host_.now());
  auto frames = frames_of(host_.read_to_end(client.fd()));
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].payload, std::string("\x03\xf0", 2));
  const Socket second = open();
  host_.close_all(1001);
  frames = frames_of(host_.read_to_end(second.fd()));
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].payload, std::string("\x03\xe9", 2));
  EXPECT_EQ(host_.last(Kind::FlowClosed).end, FlowEnd::ShuttingDown);
}

TEST_F(WebSocketStream, AQuietClientIsPingedAndClosedIfItDoesNotAnswer) {
  const Socket client = open();
  host_.advance(11s);
  auto frames = frames_of(host_.read(client.fd(), 2));
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].opcode, Opcode::Ping);
  write_all(client, frame(Opcode::Pong, ""));
  host_.settle();
  host_.advance(11s);
  EXPECT_EQ(host_.counters().pings_sent.value(), 2u);
  host_.advance(3s);
  EXPECT_EQ(host_.count(Kind::FlowClosed), 0u);
  host_.advance(2s);
  EXPECT_EQ(host_.last(Kind::FlowClosed).end, FlowEnd::TimedOut);
}

// RFC 6455 5.5.3: of several pings the newest may be answered alone. What a client that reads
// nothing makes us hold does not grow with its pings.
TEST_F(WebSocketStream, Rfc6455_5_5_3_OnePongWaitsForEachFlow) {
  const Socket client = open();
  std::string pings;
  for (int i = 0; i < 20; ++i) pings += frame(Opcode::Ping, "ping " + std::to_string(i));
  write_all(client, pings);
  host_.settle();
  std::string text = host_.read(client.fd(), 2);
  while (!text.ends_with("ping 19")) text += host_.read(client.fd(), 1);
  EXPECT_LE(frames_of(text).size(), 2u);
  EXPECT_EQ(host_.buffers().in_use(), 0u);
}

TEST_F(WebSocketStream, PingsHaveARate) {
  const auto pings = [](int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += frame(Opcode::Ping, "");
    return text;
  };
  EXPECT_EQ(close_code_after(pings(21)), 1008);
  const Socket client = open();
  write_all(client, pings(20));
  host_.settle();
  host_.advance(1s);
  write_all(client, pings(10));
  host_.settle();
  EXPECT_TRUE(host_.streams().is_open(flow_));
  write_all(client, pings(1));
  ASSERT_TRUE(host_.until([&] { return !host_.streams().is_open(flow_); }));
}

TEST_F(WebSocketStream, Rfc5626_4_4_1_KeepalivesOfAllKindsAreNoMessages) {
  const Socket client = open();
  for (const char* text : {"\r\n\r\n\r\n", "\r\n\r\n\r\n\r\n", "\r\n", "\n", "  ", ""}) {
    write_all(client, frame(Opcode::Text, text));
  }
  write_all(client, frame(Opcode::Binary, std::string_view("\0\0\0\0", 4)));
  write_all(client, frame(Opcode::Text, options("after")));
  ASSERT_TRUE(host_.until([&] { return host_.count(Kind::Message) == 1; }));
  EXPECT_EQ(host_.messages()[0], options("after"));
  EXPECT_EQ(frames_of(host_.read(client.fd(), 4))[0].payload, "\r\n");
  EXPECT_EQ(host_.count(Kind::FlowClosed), 0u);
}

TEST_F(WebSocketStream, AMessageThatIsNotFinishedInTimeClosesTheFlow) {
  const Socket client = open();
  write_all(client, frame(Opcode::Text, "OPTIONS ", false));
  host_.settle();
  host_.advance(11s);
  EXPECT_EQ(host_.last(Kind::FlowClosed).end, FlowEnd::TimedOut);
}

// RFC 9112 3.2, 3.2.2, RFC 6454 7.3: who is asked and who asks is said once and can be read.
TEST_F(WebSocketStream, WhoIsAskedAndWhoAsksIsSaidOnce) {
  constexpr std::string_view kOrigin = "Origin: https://phone.test\r\n";
  const struct {
    const char* name;
    std::string request;
    int status;
  } kCases[] = {
      {"good", upgrade("/sip", kOrigin), 101},
      {"absolute-form", upgrade("http://gw.test/sip", kOrigin), 101},
      {"absolute-form, wss", upgrade("wss://GW.TEST:443/sip?x=http://evil.test", kOrigin), 101},
      {"absolute-form, another host", upgrade("http://evil.test/sip", kOrigin), 400},
      {"absolute-form, another port", upgrade("http://gw.test:81/sip", kOrigin), 400},
      {"absolute-form, user", upgrade("http://gw.test@evil.test/sip", kOrigin), 400},
      {"absolute-form, scheme", upgrade("ftp://gw.test/sip", kOrigin), 400},
      {"authority-form", upgrade("gw.test:80", kOrigin), 400},
      {"asterisk-form", upgrade("*", kOrigin), 400},
      {"port of Host", upgrade("/sip", kOrigin, "gw.test:8080"), 101},
      {"port of Host is a word", upgrade("/sip", kOrigin, "gw.test:evil"), 400},
      {"port of Host is too large", upgrade("/sip", kOrigin, "gw.test:65536"), 400},
      {"Host with a path", upgrade("/sip", kOrigin, "gw.test/evil"), 400},
      {"Host with a user", upgrade("/sip", kOrigin, "gw.test@evil.test"), 400},
      {"two hosts in one", upgrade("/sip", kOrigin, "gw.test, evil.test"), 400},
      {"two Host", upgrade("/sip", "Host: evil.test\r\n" + std::string(kOrigin)), 400},
      {"two Host alike", upgrade("/sip", "Host: gw.test\r\n" + std::string(kOrigin)), 400},
      {"two Origin", upgrade("/sip", std::string(kOrigin) + "Origin: https://evil.test\r\n"), 400},
      {"two Origin alike", upgrade("/sip", std::string(kOrigin) + std::string(kOrigin)), 400},
      {"Origin: null", upgrade("/sip", "Origin: null\r\n"), 403},
      {"no Origin", upgrade("/sip"), 403},
      {"its case", upgrade("/sip", "Origin: HTTPS://Phone.Test\r\n"), 101},
      {"its default port", upgrade("/sip", "Origin: https://phone.test:443\r\n"), 101},
      {"another port", upgrade("/sip", "Origin: https://phone.test:444\r\n"), 403},
      {"another scheme", upgrade("/sip", "Origin: http://phone.test\r\n"), 403},
      {"a longer name", upgrade("/sip", "Origin: https://phone.test.evil.test\r\n"), 403},
  };
  for (const auto& each : kCases) {
    const Socket client = connected_socket(host_.endpoint(1));
    write_all(client, each.request);
    const std::string answer = host_.read(client.fd(), 12);
    EXPECT_EQ(answer.substr(9, 3), std::to_string(each.status)) << each.name;
  }
}

// Whom a listed web proxy names at the upgrade is the client; from others it is not read.
TEST(WebProxy, TheListedProxyNamesTheClient) {
  ListenConfig listen = listen_on(Transport::Ws);
  listen.forwarded_from = {"127.0.0.2/31"};
  Config config = config_with({listen});
  config.limits.flows_per_source = 2;
  const struct {
    const char* name;
    const char* from;
    std::string headers;
    const char* client;  // null: refused
  } kCases[] = {
      {"one", "127.0.0.2", "X-Forwarded-For: 198.51.100.1\r\n", "198.51.100.1"},
      {"the client wrote some too", "127.0.0.2", "X-Forwarded-For: 203.0.113.9, 198.51.100.2\r\n",
       "198.51.100.2"},
      {"two lines", "127.0.0.2",
       "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 198.51.100.3\r\n", "198.51.100.3"},
      {"through two listed ones", "127.0.0.2", "X-Forwarded-For: 198.51.100.4, 127.0.0.3\r\n",
       "198.51.100.4"},
      {"with a port", "127.0.0.2", "X-Forwarded-For: 198.51.100.5:4711\r\n", "198.51.100.5"},
      {"IPv6", "127.0.0.2", "X-Forwarded-For: 2001:db8::6\r\n", "2001:db8::6"},
      {"RFC 7239", "127.0.0.2",
       "Forwarded: for=203.0.113.9;proto=https, for=\"[2001:db8::7]:4711\";by=127.0.0.2\r\n",
       "2001:db8::7"},
      {"both agree", "127.0.0.2",
       "Forwarded: For=198.51.100.8\r\nX-Forwarded-For: 198.51.100.8\r\n", "198.51.100.8"},
      {"both disagree", "127.0.0.2",
       "Forwarded: for=203.0.113.9\r\nX-Forwarded-For: 198.51.100.9\r\n", nullptr},
      {"unknown", "127.0.0.2", "X-Forwarded-For: unknown\r\n", nullptr},
      {"nothing", "127.0.0.2", "", "127.0.0.2"},
      {"from a stranger", "127.0.0.1", "X-Forwarded-For: 198.51.100.1\r\n", "127.0.0.1"},
  };
  for (const auto& each : kCases) {
    Host host(config);
    const Socket client = connected_socket(host.endpoint(), each.from);
    write_all(client, upgrade("/", each.headers));
    const std::string answer = host.read(client.fd(), 12);
    EXPECT_EQ(answer.substr(9, 3), each.client ? "101" : "400") << each.name;
    if (!each.client) continue;
    EXPECT_EQ(host.last(Kind::FlowOpened).flow.remote.address, *parse_address(each.client))
        << each.name;
  }
  Host host(config);
  std::vector<Socket> clients;
  for (const char* status : {"101", "101", "429"}) {
    clients.push_back(connected_socket(host.endpoint(), "127.0.0.2"));
    write_all(clients.back(), upgrade("/", "X-Forwarded-For: 198.51.100.1\r\n"));
    EXPECT_EQ(host.read(clients.back().fd(), 12).substr(9, 3), status) << "each client has its cap";
  }
}

TEST(SecureWebSocket, UpgradeMessageAndCloseInsideTls) {
  const Certificates certificates;
  Host host(config_with({listen_on(Transport::Wss)}), certificates.settings({true}));
  SecureClient client(host, connected_socket(host.endpoint()));
  ASSERT_TRUE(client.handshake());
  client.send(upgrade() + frame(Opcode::Text, options("secure")));
  EXPECT_TRUE(client.read(129).starts_with("HTTP/1.1 101"));
  ASSERT_TRUE(host.until([&] { return host.count(Kind::Message) == 1; }));
  EXPECT_EQ(host.messages()[0], options("secure"));
  EXPECT_EQ(host.last(Kind::FlowOpened).flow.transport, Transport::Wss);
  host.send(host.opened_flow(), "SIP/2.0 200 OK");
  const auto frames = frames_of(client.read(16));
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0].payload, "SIP/2.0 200 OK");
  client.send(frame(Opcode::Close, std::string("\x03\xe8", 2)));
  EXPECT_EQ(frames_of(client.read(4)).back().opcode, Opcode::Close);
  EXPECT_TRUE(client.ends());
}

TEST(SourceLimits, OneAddressGetsItsShareAndOthersTheirs) {
  Config config = config_with({listen_on(Transport::Tcp)});
  config.limits.flows_per_source = 3;
  Host host(config);
  std::vector<Socket> clients;
  for (int i = 0; i < 3; ++i) clients.push_back(connected_socket(host.endpoint()));
  ASSERT_TRUE(host.until([&] { return host.count(Kind::FlowOpened) == 3; }));
  const Socket refused = connected_socket(host.endpoint());
  EXPECT_EQ(host.read_to_end(refused.fd()), "");
  EXPECT_EQ(host.counters().flows_refused[1].value(), 1u);
  const Socket other = connected_socket(host.endpoint(), "127.0.0.9");
  ASSERT_TRUE(host.until([&] { return host.count(Kind::FlowOpened) == 4; }));
  clients.pop_back();
  ASSERT_TRUE(host.until([&] { return host.streams().open_streams() == 3; }));
  const Socket again = connected_socket(host.endpoint());
  ASSERT_TRUE(host.until([&] { return host.count(Kind::FlowOpened) == 5; }));
}

}  // namespace
}  // namespace ringway::test
