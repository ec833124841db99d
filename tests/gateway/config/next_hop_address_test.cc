#include "gateway/config/next_hop_address.h"

#include <gtest/gtest.h>

namespace ringway {
namespace {

TEST(NextHopAddress, EachForm) {
  const struct {
    std::string_view text, host;
    std::uint16_t port;
    std::optional<Transport> transport;
  } kCases[] = {
      {"pbx.example.org", "pbx.example.org", 0, {}},
      {"pbx.example.org:5080", "pbx.example.org", 5080, {}},
      {"192.0.2.1:5060", "192.0.2.1", 5060, {}},
      {"2001:db8::1", "2001:db8::1", 0, {}},
      {"[2001:db8::1]:5060", "2001:db8::1", 5060, {}},
      {"sip:pbx.example.org", "pbx.example.org", 0, {}},
      {"sip:pbx.example.org:5060;transport=tcp", "pbx.example.org", 5060, Transport::Tcp},
      {"sip:pbx.example.org;transport=UDP", "pbx.example.org", 0, Transport::Udp},
      {"sips:pbx.example.org", "pbx.example.org", 0, Transport::Tls},
      {"sip:[2001:db8::1]:5061;transport=tls", "2001:db8::1", 5061, Transport::Tls},
  };
  for (const auto& test : kCases) {
    const auto address = parse_next_hop(test.text);
    ASSERT_TRUE(address) << test.text << ": " << address.error();
    EXPECT_EQ(address->host, test.host) << test.text;
    EXPECT_EQ(address->port, test.port) << test.text;
    EXPECT_EQ(address->transport, test.transport) << test.text;
  }
}

TEST(NextHopAddress, WrongOnesSayWhy) {
  for (const std::string_view text :
       {"", "pbx example", "pbx:", "pbx:0x5", "pbx:70000", "sip:", "sip:bob@pbx.example.org",
        "sip:pbx;transport=ws", "sip:pbx;transport=sctp", "tel:+4930", "http://pbx",
        "[2001:db8::1"}) {
    const auto address = parse_next_hop(text);
    ASSERT_FALSE(address) << text;
    EXPECT_FALSE(address.error().empty()) << text;
  }
}

}  // namespace
}  // namespace ringway
