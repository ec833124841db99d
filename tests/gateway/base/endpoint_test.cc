#include "gateway/base/endpoint.h"

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace ringway {
namespace {

std::string written(const Address& address, AddressForm form = AddressForm::Bare) {
  std::array<std::uint8_t, kEndpointTextMax> memory;
  Writer out(memory);
  write_address(address, form, out);
  EXPECT_FALSE(out.overflowed());
  return std::string(out.written_text());
}

TEST(Address, Rfc5952_4_IsWrittenInTheShortestForm) {
  const struct {
    std::string_view in, out;
  } kCases[] = {
      {"192.0.2.1", "192.0.2.1"},
      {"0.0.0.0", "0.0.0.0"},
      {"255.255.255.255", "255.255.255.255"},
      {"::", "::"},
      {"::1", "::1"},
      {"1::", "1::"},
      {"2001:DB8::00AB", "2001:db8::ab"},
      {"[2001:db8::1]", "2001:db8::1"},
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
      {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
      {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
      {"::ffff:192.0.2.1", "192.0.2.1"},
      {"::ffff:c000:201", "192.0.2.1"},
  };
  for (const auto& [in, out] : kCases) {
    const auto address = parse_address(in);
    ASSERT_TRUE(address) << in;
    EXPECT_EQ(written(*address), out) << in;
    EXPECT_EQ(parse_address(out), address) << out;
  }
  EXPECT_EQ(written(*parse_address("2001:db8::1"), AddressForm::Bracketed), "[2001:db8::1]");
  EXPECT_EQ(written(*parse_address("192.0.2.1"), AddressForm::Bracketed), "192.0.2.1");
}

TEST(Address, MalformedOnesAreRefused) {
  for (const std::string_view text : {"",
                                      "1",
                                      "1.2.3",
                                      "1.2.3.",
                                      "1.2.3.4.",
                                      "1.2.3.4.5",
                                      "256.1.1.1",
                                      "1.2.3.0x4",
                                      " 1.2.3.4",
                                      "1.2.3.4 ",
                                      "1..3.4",
                                      "-1.2.3.4",
                                      "1.2.3.1000",
                                      ":",
                                      ":::",
                                      "1:",
                                      ":1",
                                      "::1::",
                                      "1:2:3:4:5:6:7",
                                      "1:2:3:4:5:6:7:8:9",
                                      "1::2::3",
                                      "12345::",
                                      "g::",
                                      "::1%eth0",
                                      "[::1",
                                      "::1]",
                                      "[]",
                                      "[1.2.3.4",
                                      "[[::1]]",
                                      "::1.2.3",
                                      "::1.2.3.4.5",
                                      "1.2.3.4::",
                                      "example.org"}) {
    EXPECT_FALSE(parse_address(text)) << text;
  }
}

TEST(Address, Kinds) {
  EXPECT_TRUE(parse_address("0.0.0.0")->is_any());
  EXPECT_TRUE(parse_address("::")->is_any());
  EXPECT_FALSE(parse_address("0.0.0.1")->is_any());
  EXPECT_TRUE(parse_address("127.9.9.9")->is_loopback());
  EXPECT_TRUE(parse_address("::1")->is_loopback());
  EXPECT_FALSE(parse_address("::2")->is_loopback());
  EXPECT_TRUE(parse_address("224.0.1.75")->is_multicast());
  EXPECT_TRUE(parse_address("255.255.255.255")->is_multicast());
  EXPECT_TRUE(parse_address("ff02::1")->is_multicast());
  EXPECT_FALSE(parse_address("223.255.255.255")->is_multicast());
  EXPECT_FALSE(parse_address("fe80::1")->is_multicast());
}

TEST(Endpoint, ComesBackAsWritten) {
  for (const std::string_view text :
       {"192.0.2.1:5060", "[2001:db8::1]:65535", "[::]:1", "255.255.255.255:65535"}) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_TRUE(endpoint) << text;
    std::array<std::uint8_t, kEndpointTextMax> memory;
    Writer out(memory);
    write_endpoint(*endpoint, out);
    EXPECT_EQ(out.written_text(), text);
  }
}

TEST(Endpoint, MalformedOnesAreRefused) {
  for (const std::string_view text :
       {"", "192.0.2.1", "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:-1", "192.0.2.1:5060x",
        "192.0.2.1: 5060", "2001:db8::1:5060x", "[2001:db8::1]",
        "[2001:db8::1]:", "[2001:db8::1]5060", ":5060", "host:5060", "192.0.2.1:99999999999"}) {
    EXPECT_FALSE(parse_endpoint(text)) << text;
  }
}

TEST(Endpoint, CutAtEachByteIsRefusedOrShorter) {
  const std::string whole = "[2001:db8::17]:5060";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto endpoint = parse_endpoint(
        std::string(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)));
    EXPECT_EQ(endpoint.has_value(), size > whole.find("]:") + 2) << "at " << size;
  }
}

}  // namespace
}  // namespace ringway
