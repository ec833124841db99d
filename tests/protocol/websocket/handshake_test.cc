#include "protocol/websocket/handshake.h"

#include <gtest/gtest.h>

#include <bit>
#include <string>
#include <vector>

namespace ringway::websocket {
namespace {

// FIPS 180-4, 6.1. Slow; the product takes a library's.
std::array<std::uint8_t, 20> sha1(Bytes bytes) {
  std::vector<std::uint8_t> data(bytes.begin(), bytes.end());
  data.push_back(0x80);
  while (data.size() % 64 != 56) data.push_back(0);
  data.resize(data.size() + 8);
  write_u64(MutableBytes{data}.last(8), bytes.size() * 8);
  std::array<std::uint32_t, 5> h{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  for (std::size_t block = 0; block < data.size(); block += 64) {
    std::array<std::uint32_t, 80> w;
    for (std::size_t t = 0; t < 16; ++t) w[t] = read_u32(Bytes{data}.subspan(block + 4 * t));
    for (std::size_t t = 16; t < 80; ++t) {
      w[t] = std::rotl(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    }
    auto [a, b, c, d, e] = h;
    for (std::size_t t = 0; t < 80; ++t) {
      const std::uint32_t f = t < 20   ? ((b & c) | (~b & d)) + 0x5a827999
                              : t < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                              : t < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
                                       : (b ^ c ^ d) + 0xca62c1d6;
      const std::uint32_t next = std::rotl(a, 5) + f + e + w[t];
      e = d;
      d = c;
      c = std::rotl(b, 30);
      b = a;
      a = next;
    }
    h = {h[0] + a, h[1] + b, h[2] + c, h[3] + d, h[4] + e};
  }
  std::array<std::uint8_t, 20> digest;
  for (std::size_t i = 0; i < 5; ++i) write_u32(MutableBytes{digest}.subspan(4 * i), h[i]);
  return digest;
}

// The request of RFC 7118 4.1, with one line replaced, removed or added.
std::string request(std::string_view without = "", std::string_view with = "",
                    std::string_view request_line = "GET / HTTP/1.1") {
  std::string text(request_line);
  text += "\r\n";
  for (const std::string_view line :
       {"Host: sip-ws.example.com", "Upgrade: websocket", "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Origin: http://www.example.com",
        "Sec-WebSocket-Protocol: sip", "Sec-WebSocket-Version: 13"}) {
    if (!without.empty() && line.starts_with(without)) continue;
    text.append(line).append("\r\n");
  }
  if (!with.empty()) text.append(with).append("\r\n");
  return text + "\r\n";
}

Verdict verdict_of(const std::string& text) {
  http::RequestHeadReader reader;
  const auto head = reader.read(text);
  if (!head || !*head) {
    ADD_FAILURE() << "not a request head: " << text;
    return Verdict::BadRequest;
  }
  return check_handshake(**head, sha1).verdict;
}

TEST(Handshake6455, AcceptsAndAnswersTheSample) {
  const std::string text = request();
  http::RequestHeadReader reader;
  const auto head = reader.read(text);
  ASSERT_TRUE(head && *head);
  const Handshake handshake = check_handshake(**head, sha1);
  ASSERT_EQ(handshake.verdict, Verdict::Accept);
  std::array<std::uint8_t, kHandshakeResponseBytesMax> memory;
  Writer writer(memory);
  write_acceptance(handshake, writer);
  EXPECT_EQ(writer.written_text(),  // the accept value of RFC 6455 1.3
            "HTTP/1.1 101 Switching Protocols\r\n"
            "Upgrade: websocket\r\n"
            "Connection: Upgrade\r\n"
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
            "Sec-WebSocket-Protocol: sip\r\n"
            "\r\n");
}

TEST(Handshake6455, Verdicts) {
  struct Case {
    const char* name;
    std::string text;
    Verdict verdict;
  };
  const Case cases[] = {
      {"plain GET", request("Upgrade"), Verdict::NotAnUpgrade},
      {"upgrade to something else", request("Upgrade", "Upgrade: h2c"), Verdict::NotAnUpgrade},
      {"upgrade in other case", request("Upgrade", "Upgrade: WebSocket"), Verdict::Accept},
      {"upgrade in a list", request("Upgrade", "Upgrade: h2c, websocket"), Verdict::Accept},
      {"POST", request("", "", "POST / HTTP/1.1"), Verdict::BadRequest},
      {"HTTP/1.0", request("", "", "GET / HTTP/1.0"), Verdict::BadRequest},
      {"no Connection", request("Connection"), Verdict::BadRequest},
      {"Connection of Firefox", request("Connection", "Connection: keep-alive, Upgrade"),
       Verdict::Accept},
      {"Connection: close", request("Connection", "Connection: close"), Verdict::BadRequest},
      {"no version", request("Sec-WebSocket-Version"), Verdict::BadVersion},
      {"version 8", request("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"),
       Verdict::BadVersion},
      {"version 013", request("Sec-WebSocket-Version", "Sec-WebSocket-Version: 013"),
       Verdict::BadVersion},
      {"version twice", request("", "Sec-WebSocket-Version: 13"), Verdict::BadRequest},
      {"no key", request("Sec-WebSocket-Key"), Verdict::BadRequest},
      {"key twice", request("", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
       Verdict::BadRequest},
      {"short key", request("Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ==="),
       Verdict::BadRequest},
      {"key of 20 characters",
       request("Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub2=="),
       Verdict::BadRequest},
      {"key without padding",
       request("Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA"),
       Verdict::BadRequest},
      {"key with a bad character",
       request("Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j-Q=="),
       Verdict::BadRequest},
      {"no subprotocol", request("Sec-WebSocket-Protocol"), Verdict::NoSubprotocol},
      {"other subprotocol", request("Sec-WebSocket-Protocol", "Sec-WebSocket-Protocol: sips, msrp"),
       Verdict::NoSubprotocol},
      {"sip among others", request("Sec-WebSocket-Protocol", "Sec-WebSocket-Protocol: msrp, sip"),
       Verdict::Accept},
      {"sip in a second line", request("", "Sec-WebSocket-Protocol: msrp"), Verdict::Accept},
      {"version before subprotocol",
       "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
       "Sec-WebSocket-Version: 7\r\n\r\n",
       Verdict::BadVersion},
  };
  for (const Case& c : cases) EXPECT_EQ(verdict_of(c.text), c.verdict) << c.name;
}

TEST(Handshake7118, SubprotocolIsEchoedAsTheClientWroteIt) {
  const std::string text = request("Sec-WebSocket-Protocol", "Sec-WebSocket-Protocol: msrp , SIP");
  http::RequestHeadReader reader;
  const auto head = reader.read(text);
  ASSERT_TRUE(head && *head);
  EXPECT_EQ(check_handshake(**head, sha1).subprotocol, "SIP");
}

TEST(Handshake6455, Refusals) {
  const auto refusal = [](Verdict verdict) {
    std::array<std::uint8_t, kHandshakeResponseBytesMax> memory;
    Writer writer(memory);
    write_refusal(verdict, writer);
    EXPECT_FALSE(writer.overflowed());
    return std::string(writer.written_text());
  };
  for (const Verdict verdict : {Verdict::BadRequest, Verdict::NoSubprotocol}) {
    EXPECT_TRUE(refusal(verdict).starts_with("HTTP/1.1 400 Bad Request\r\n"));
  }
  for (const Verdict verdict : {Verdict::BadVersion, Verdict::NotAnUpgrade}) {
    const std::string text = refusal(verdict);
    EXPECT_TRUE(text.starts_with("HTTP/1.1 426 Upgrade Required\r\n"));
    EXPECT_NE(text.find("\r\nSec-WebSocket-Version: 13\r\n"), text.npos);
    EXPECT_NE(text.find("\r\nUpgrade: websocket\r\n"), text.npos);
  }
}

}  // namespace
}  // namespace ringway::websocket
