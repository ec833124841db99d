#include "protocol/stun/binding.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/protocol/base/guarded.h"

namespace ringway::stun {
namespace {

using namespace std::string_literals;

const std::string kCookie = "\x21\x12\xa4\x42"s;
// The transaction id of RFC 5769 2.
const std::string kTransaction = "\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae"s;

std::string u16(std::size_t value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value)};
}

std::string attribute(std::size_t type, const std::string& value) {
  return u16(type) + u16(value.size()) + value + std::string((4 - value.size() % 4) % 4, ' ');
}

std::string message(std::size_t type, const std::string& attributes = "") {
  return u16(type) + u16(attributes.size()) + kCookie + kTransaction + attributes;
}

auto parse(const std::string& text) {
  return parse_binding_request(Guarded(text).bytes());
}

std::string response_to(const std::string& request, const SourceAddress& source) {
  const auto parsed = parse(request);
  EXPECT_TRUE(parsed);
  std::array<std::uint8_t, kResponseBytesMax> memory;
  Writer writer(memory);
  write_binding_response(*parsed, source, writer);
  EXPECT_FALSE(writer.overflowed());
  EXPECT_TRUE(is_stun(writer.written()));
  return std::string(writer.written_text());
}

SourceAddress ipv4_source() {
  SourceAddress source;
  source.bytes = {192, 0, 2, 1};
  source.port = 32853;
  return source;
}

// Addresses, ports and their masked forms are those of RFC 5769 2.2 and 2.3.
TEST(Binding, SuccessForIpv4) {
  EXPECT_EQ(response_to(message(1), ipv4_source()),
            message(0x0101, attribute(0x0020, "\x00\x01\xa1\x47\xe1\x12\xa6\x43"s)));
}

TEST(Binding, SuccessForIpv6) {
  SourceAddress source;
  source.family = Family::Ipv6;
  source.bytes = {0x20, 0x01, 0x0d, 0xb8, 0x12, 0x34, 0x56, 0x78,
                  0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77};
  source.port = 32853;
  EXPECT_EQ(response_to(message(1), source),
            message(0x0101, attribute(0x0020,
                                      "\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79"
                                      "\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9"s)));
}

TEST(Binding, KnownAndOptionalAttributesAreNoHindrance) {
  const std::string request =
      message(1, attribute(0x8022, "test vector") + attribute(0x0006, "user:x") +
                     attribute(0x0008, std::string(20, 'm')) + attribute(0x8028, "\1\2\3\4"s));
  EXPECT_EQ(response_to(request, ipv4_source()), response_to(message(1), ipv4_source()));
}

TEST(Binding, UnknownAttributesGet420) {
  const std::string request = message(1, attribute(0x0024, "prio") + attribute(0x8029, "12345678") +
                                             attribute(0x0025, "") + attribute(0x0024, "prio"));
  EXPECT_EQ(response_to(request, ipv4_source()),
            message(0x0111, attribute(0x0009, "\x00\x00\x04\x14Unknown Attribute"s)
                                    .replace(4 + 21, 3, std::string(3, '\0')) +
                                attribute(0x000a, "\x00\x24\x00\x25"s)));
}

TEST(Binding, OneUnknownAttributeIsPadded) {
  const std::string response = response_to(message(1, attribute(0x7fff, "")), ipv4_source());
  EXPECT_EQ(response.substr(response.size() - 8), "\x00\x0a\x00\x02\x7f\xff\x00\x00"s);
}

TEST(Binding, ManyUnknownAttributesAreReportedUpToALimit) {
  std::string attributes;
  for (std::size_t i = 0; i < kUnknownAttributesMax + 5; ++i)
    attributes += attribute(0x4000 + i, "");
  const auto request = parse(message(1, attributes));
  ASSERT_TRUE(request);
  EXPECT_EQ(request->unknown_attributes().size(), kUnknownAttributesMax);
  response_to(message(1, attributes), ipv4_source());
}

TEST(Binding, OtherMessagesGetNoAnswer) {
  EXPECT_FALSE(parse(message(0x0011)));  // indication
  EXPECT_FALSE(parse(message(0x0101)));  // success response
  EXPECT_FALSE(parse(message(0x0111)));  // error response
  EXPECT_FALSE(parse(message(0x0003)));  // Allocate request
  EXPECT_FALSE(parse(""));
}

TEST(Binding, MalformedAttributesGetNoAnswer) {
  EXPECT_FALSE(parse(message(1, "\x80\x22\x00\x01"s)));      // value is missing
  EXPECT_FALSE(parse(message(1, "\x80\x22\xff\xff"s)));      // size is far beyond the end
  EXPECT_FALSE(parse(message(1, "\x80\x22\x00\x05xxxx"s)));  // padding is missing
  EXPECT_TRUE(parse(message(1, "\x80\x22\x00\x00"s)));
}

TEST(Binding, RecognitionOfRfc5626Section8) {
  const auto recognised = [](const std::string& text) { return is_stun(Guarded(text).bytes()); };
  const std::string good = message(1, attribute(0x8022, "abc"));
  EXPECT_TRUE(recognised(good));
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(recognised(good.substr(0, size))) << size;
  }
  EXPECT_FALSE(recognised(good + "x"));
  EXPECT_FALSE(recognised("OPTIONS sip:bob@example.com SIP/2.0\r\n"));
  for (const std::size_t place : {0u, 3u, 4u, 7u}) {  // first octet, length, cookie
    std::string bad = good;
    bad[place] = static_cast<char>(bad[place] + 2);
    EXPECT_FALSE(recognised(bad)) << place;
  }
  EXPECT_TRUE(recognised(message(0x0101)));
}

}  // namespace
}  // namespace ringway::stun
