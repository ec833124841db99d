#include "protocol/proxy_protocol/header.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/protocol/base/guarded.h"

namespace ringway::proxy_protocol {
namespace {

using namespace std::string_literals;

auto parse(std::string_view text) {
  return parse_header(Guarded(text).bytes());
}

Address ipv4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d, std::uint16_t port) {
  Address address;
  address.bytes = {a, b, c, d};
  address.port = port;
  return address;
}

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;

std::string version2(char command, char family, const std::string& payload) {
  std::string text = kSignature;
  text += command;
  text += family;
  text += static_cast<char>(payload.size() >> 8);
  text += static_cast<char>(payload.size());
  return text + payload;
}

const std::string kAddresses4 = "\xc0\x00\x02\x01\xc6\x33\x64\x02\x30\x39\x01\xbb"s;

TEST(ProxyProtocol1, Ipv4) {
  const std::string text = "PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n";
  const auto result = parse(text + "GET / HTTP/1.1\r\n");
  ASSERT_TRUE(result && *result);
  EXPECT_EQ((*result)->family, Family::Ipv4);
  EXPECT_EQ((*result)->transport, Transport::Stream);
  EXPECT_EQ((*result)->source, ipv4(192, 0, 2, 1, 12345));
  EXPECT_EQ((*result)->destination, ipv4(198, 51, 100, 2, 443));
  EXPECT_EQ((*result)->size, text.size());
}

TEST(ProxyProtocol1, Ipv6Texts) {
  struct Case {
    std::string text;
    std::string bytes;  // empty if it is not an address
  };
  const Case cases[] = {
      {"::", std::string(16, '\0')},
      {"::1", std::string(15, '\0') + "\x01"},
      {"2001:db8::1", "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x01"},
      {"2001:DB8:1:2:3:4:5:6", "\x20\x01\x0d\xb8\x00\x01\x00\x02\x00\x03\x00\x04\x00\x05\x00\x06"s},
      {"1:2:3:4:5:6:7::", "\x00\x01\x00\x02\x00\x03\x00\x04\x00\x05\x00\x06\x00\x07\x00\x00"s},
      {"::ffff:192.0.2.1", std::string(10, '\0') + "\xff\xff\xc0\x00\x02\x01"s},
      {"1:2:3:4:5:6:1.2.3.4", "\x00\x01\x00\x02\x00\x03\x00\x04\x00\x05\x00\x06\x01\x02\x03\x04"s},
      {"1::", "\x00\x01"s + std::string(14, '\0')},
      {"", ""},
      {":", ""},
      {":::", ""},
      {"1", ""},
      {":1::", ""},
      {"1:", ""},
      {"1::2::3", ""},
      {"1:2:3:4:5:6:7", ""},
      {"1:2:3:4:5:6:7:8:9", ""},
      {"1:2:3:4:5:6:7:8::", ""},
      {"1:2:3:4:5:6:7:8:", ""},
      {"::1:2:3:4:5:6:7:8", ""},
      {"12345::", ""},
      {"g::", ""},
      {"1:2:3:4:5:6:7:1.2.3.4", ""},
      {"::1.2.3", ""},
      {"1.2.3.4", ""},
      {"::1.2.3.256", ""},
      {"[::1]", ""},
      {"fe80::1%eth0", ""},
  };
  for (const Case& c : cases) {
    const auto result = parse("PROXY TCP6 " + c.text + " ::1 1 65535\r\n");
    EXPECT_EQ(result.has_value(), !c.bytes.empty()) << c.text;
    if (!result) {
      EXPECT_EQ(result.error(), Error::Malformed) << c.text;
      continue;
    }
    ASSERT_TRUE(*result) << c.text;
    EXPECT_EQ((*result)->family, Family::Ipv6);
    EXPECT_EQ(as_text((*result)->source.bytes), c.bytes) << c.text;
    EXPECT_EQ((*result)->destination.port, 65535);
  }
}

TEST(ProxyProtocol1, UnknownLeavesTheAddressesOpen) {
  for (const std::string text :
       {"PROXY UNKNOWN\r\n", "PROXY UNKNOWN ffff:f...f:ffff ::1 65535 65535\r\n"}) {
    const auto result = parse(text + "rest");
    ASSERT_TRUE(result && *result) << text;
    EXPECT_EQ((*result)->family, Family::Unspecified);
    EXPECT_EQ((*result)->size, text.size());
  }
}

TEST(ProxyProtocol1, Malformed) {
  for (const char* text : {
           "PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 12345 443 \r\n",
           "PROXY TCP4  192.0.2.1 198.51.100.2 12345 443\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 12345\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 12345 65536\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 012 443\r\n",
           "PROXY TCP4 192.0.2.1 198.51.100.2 +1 443\r\n",
           "PROXY TCP4 192.0.2.01 198.51.100.2 1 443\r\n",
           "PROXY TCP4 192.0.2.256 198.51.100.2 1 443\r\n",
           "PROXY TCP4 192.0.2 198.51.100.2 1 443\r\n",
           "PROXY TCP4 192.0.2.1.1 198.51.100.2 1 443\r\n",
           "PROXY TCP4 ::1 ::1 1 443\r\n",
           "PROXY TCP6 192.0.2.1 192.0.2.1 1 443\r\n",
           "PROXY tcp4 192.0.2.1 198.51.100.2 1 443\r\n",
           "PROXY UDP4 192.0.2.1 198.51.100.2 1 443\r\n",
           "PROXY \r\n",
           "PROXY \n",
       }) {
    const auto result = parse(text);
    ASSERT_FALSE(result.has_value()) << text;
    EXPECT_EQ(result.error(), Error::Malformed) << text;
  }
}

TEST(ProxyProtocol1, LongestLine) {
  const std::string line = "PROXY UNKNOWN " + std::string(91, 'x') + "\r\n";
  ASSERT_EQ(line.size(), 107u);
  EXPECT_TRUE(parse(line)->has_value());
  EXPECT_FALSE(parse(line.substr(0, 106))->has_value());
  EXPECT_EQ(parse("PROXY UNKNOWN " + std::string(92, 'x') + "\r\n").error(), Error::TooLong);
  EXPECT_EQ(parse("PROXY UNKNOWN " + std::string(5000, 'x')).error(), Error::TooLong);
}

TEST(ProxyProtocol, IsIncompleteAtEachCut) {
  for (const std::string& text : {"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n"s,
                                  version2('\x21', '\x11', kAddresses4 + "\x03\x00\x01x"s)}) {
    for (std::size_t size = 0; size < text.size(); ++size) {
      const auto result = parse(std::string_view{text}.substr(0, size));
      ASSERT_TRUE(result.has_value()) << size;
      EXPECT_FALSE(result->has_value()) << size;
    }
    EXPECT_TRUE(parse(text)->has_value());
  }
}

TEST(ProxyProtocol, OtherProtocolsAreToldApartAtTheFirstByteThatDiffers) {
  for (const std::string& text : {"G"s, "PR "s, "PROXYX"s, "\r\n\r\nX"s, "\x16\x03\x01"s,
                                  "proxy TCP4"s, "\r\n\r\n\0\r\nQUIT\r"s}) {
    const auto result = parse(text);
    ASSERT_FALSE(result.has_value()) << text;
    EXPECT_EQ(result.error(), Error::NotProxy) << text;
  }
}

TEST(ProxyProtocol2, Ipv4WithExtensions) {
  const std::string text = version2('\x21', '\x11', kAddresses4 + "\x04\x00\x02zz"s);
  const auto result = parse(text + "client");
  ASSERT_TRUE(result && *result);
  EXPECT_EQ((*result)->family, Family::Ipv4);
  EXPECT_EQ((*result)->transport, Transport::Stream);
  EXPECT_EQ((*result)->source, ipv4(192, 0, 2, 1, 12345));
  EXPECT_EQ((*result)->destination, ipv4(198, 51, 100, 2, 443));
  EXPECT_EQ((*result)->size, text.size());
}

TEST(ProxyProtocol2, Ipv6Datagram) {
  const std::string source = "\x20\x01\x0d\xb8"s + std::string(11, '\0') + "\x01";
  const std::string destination = std::string(15, '\0') + "\x01";
  const auto result = parse(version2('\x21', '\x22', source + destination + "\x00\x05\x13\xc4"s));
  ASSERT_TRUE(result && *result);
  EXPECT_EQ((*result)->family, Family::Ipv6);
  EXPECT_EQ((*result)->transport, Transport::Datagram);
  EXPECT_EQ(as_text((*result)->source.bytes), source);
  EXPECT_EQ(as_text((*result)->destination.bytes), destination);
  EXPECT_EQ((*result)->source.port, 5);
  EXPECT_EQ((*result)->destination.port, 5060);
}

TEST(ProxyProtocol2, LocalAndUnixLeaveTheAddressesOpen) {
  for (const std::string& text :
       {version2('\x20', '\x00', ""), version2('\x20', '\x11', kAddresses4),
        version2('\x21', '\x00', ""), version2('\x21', '\x31', std::string(216, 'x'))}) {
    const auto result = parse(text);
    ASSERT_TRUE(result && *result);
    EXPECT_EQ((*result)->family, Family::Unspecified);
    EXPECT_EQ((*result)->source, Address{});
    EXPECT_EQ((*result)->size, text.size());
  }
}

TEST(ProxyProtocol2, Malformed) {
  EXPECT_EQ(parse(version2('\x11', '\x11', kAddresses4)).error(), Error::Malformed);
  EXPECT_EQ(parse(version2('\x22', '\x11', kAddresses4)).error(), Error::Malformed);
  EXPECT_EQ(parse(version2('\x21', '\x13', kAddresses4)).error(), Error::Malformed);
  EXPECT_EQ(parse(version2('\x21', '\x41', kAddresses4)).error(), Error::Malformed);
  EXPECT_EQ(parse(version2('\x21', '\x11', kAddresses4.substr(1))).error(), Error::Malformed);
  EXPECT_EQ(parse(version2('\x21', '\x21', std::string(35, 'x'))).error(), Error::Malformed);
}

TEST(ProxyProtocol2, LongestHeader) {
  const auto of_size = [](std::size_t size) {
    return version2('\x21', '\x11', kAddresses4 + std::string(size - 16 - 12, 'x'));
  };
  EXPECT_TRUE(parse(of_size(kHeaderBytesMax - 1))->has_value());
  EXPECT_TRUE(parse(of_size(kHeaderBytesMax))->has_value());
  EXPECT_EQ(parse(of_size(kHeaderBytesMax + 1).substr(0, 16)).error(), Error::TooLong);
}

}  // namespace
}  // namespace ringway::proxy_protocol
