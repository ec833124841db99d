#include "gateway/core/request_size.h"

#include "tests/gateway/core/parts_test.h"

namespace ringway {
namespace {

class RequestSizeTest : public PartsTest {
 protected:
  RequestSizeTest() {
    target_.transport = Transport::Udp;
    target_.listener = 1;
    target_.remote = endpoint("10.0.0.9:5060");
  }
  static ListenConfig by_tcp(std::string_view address) {
    ListenConfig config = listen(Side::Network, address);
    config.name = "network-tcp";
    config.transport = Transport::Tcp;
    return config;
  }
  // A request of that many bytes; every header name in it may become compact where compact is true.
  static std::string request(std::size_t bytes, bool compact) {
    std::string text =
        "INVITE sip:bob@10.0.0.9 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;rport\r\n";
    const std::string end = "\r\n\r\n";
    while (compact && text.size() + 40 < bytes) text += "Supported: path\r\n";
    text += "X-Filler: ";
    text.append(bytes - text.size() - end.size(), 'x');
    return text + end;
  }
  // What leaves of text.
  std::string fit(std::string_view text) {
    Services core = services();
    NextHopSet next_hops(config_, core.listeners, core.counters, core.log, core.random);
    RequestSize size(core, next_hops);
    BufferRef message = buffers_.copy(as_bytes(text));
    size.fit(target_, message, now_);
    return std::string(as_text(message.bytes()));
  }

  Target target_;
};

TEST_F(RequestSizeTest, Rfc3261_18_1_1_ARequestOf1300BytesStaysAsItIs) {
  config_.listen.push_back(by_tcp("10.0.0.1:5060"));
  const std::string text = request(1'300, true);
  EXPECT_EQ(fit(text), text);
  EXPECT_EQ(target_.transport, Transport::Udp);
}

TEST_F(RequestSizeTest, Rfc3261_7_3_3_CompactNamesComeFirst) {
  config_.listen.push_back(by_tcp("10.0.0.1:5060"));
  const std::string sent = fit(request(1'400, true));
  EXPECT_LE(sent.size(), 1'300u);
  EXPECT_NE(sent.find("\r\nk:path"), sent.npos) << sent;
  EXPECT_EQ(target_.transport, Transport::Udp);
}

TEST_F(RequestSizeTest, Rfc3261_18_1_1_WhatIsStillLargerLeavesByTcp) {
  config_.listen.push_back(by_tcp("10.0.0.1:5062"));
  const std::string sent = fit(request(1'400, false));
  EXPECT_NE(sent.find("\r\nVia: SIP/2.0/TCP 10.0.0.1:5062;rport\r\n"), sent.npos) << sent;
  EXPECT_EQ(target_.transport, Transport::Tcp);
  EXPECT_EQ(target_.listener, 2);
  EXPECT_TRUE(target_.tcp_for_size);
}

TEST_F(RequestSizeTest, WithoutATcpListenerItLeavesAsItIs) {
  const std::string text = request(1'400, false);
  EXPECT_EQ(fit(text), text);
  EXPECT_EQ(target_.transport, Transport::Udp);
}

TEST_F(RequestSizeTest, AStreamAndAUserAgentTakeAnySize) {
  config_.listen.push_back(by_tcp("10.0.0.1:5062"));
  const std::string text = request(1'400, true);
  target_.to_access = true;
  EXPECT_EQ(fit(text), text);
  target_.to_access = false;
  target_.transport = Transport::Tls;
  EXPECT_EQ(fit(text), text);
}

}  // namespace
}  // namespace ringway
