#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/config/load.h"

// What the configuration says of those who speak to us, and how it refuses what cannot be meant.

namespace ringway {
namespace {

const std::string kUdp =
    "[[listen]]\ntransport = \"udp\"\nside = \"network\"\naddress = \"192.0.2.1:5060\"\n";
const std::string kWeb = "[[listen]]\ntransport = \"ws\"\naddress = \"192.0.2.1:80\"\n";
const std::string kHop = "[[next_hop]]\naddress = \"192.0.2.20:5060\"\n";

LoadedConfig load(const std::string& text) {
  return parse_config(text, "/x/ringway.toml");
}

std::string mistakes_of(const std::string& text) {
  std::string all;
  for (const Mistake& mistake : load(text).mistakes) all += mistake.text + "\n";
  return all;
}

TEST(PeersConfig, SecureWhenNothingIsSaid) {
  const Config config = load(kUdp + kWeb + kHop +
                             "[[next_hop]]\naddress = \"trunk.example\"\ndomains = \"t.example\"\n")
                            .config;
  EXPECT_EQ(config.listen[1].admission, Admission::Registered);
  EXPECT_EQ(config.listen[1].client_certificate_purpose, ClientCertificatePurpose::Any);
  EXPECT_EQ(config.next_hops[0].from, NextHopFrom::Both);
  EXPECT_EQ(config.next_hops[1].from, NextHopFrom::Network);
  EXPECT_EQ(config.next_hops[0].tls_verify, TlsVerify::Chain);
  EXPECT_TRUE(config.trusted.empty());
}

TEST(PeersConfig, EveryWordIsRead) {
  const LoadedConfig loaded =
      load(kUdp + kWeb + "admission = \"open\"\n" + kHop +
           "members = [\"198.51.100.0/24\", \"sbc2.example.org\", \"2001:db8::/32\"]\n"
           "from = \"access\"\ntls_verify = \"none\"\n"
           "[[trusted]]\nname = \"carrier\"\nprefixes = [\"203.0.113.0/24\", \"2001:db8::1\"]\n"
           "[[header]]\nside = \"access\"\nremove = [\"Diversion\"]\nkeep = \"Path\"\n"
           "add = [\"X-Edge: berlin\"]\n");
  EXPECT_TRUE(loaded.mistakes.empty()) << loaded.mistakes[0].text;
  const Config& config = loaded.config;
  EXPECT_EQ(config.listen[1].admission, Admission::Open);
  EXPECT_EQ(config.next_hops[0].from, NextHopFrom::Access);
  EXPECT_EQ(config.next_hops[0].members.size(), 3u);
  EXPECT_EQ(config.next_hops[0].tls_verify, TlsVerify::None);
  EXPECT_EQ(config.trusted[0], (TrustedConfig{"carrier", {"203.0.113.0/24", "2001:db8::1"}}));
  EXPECT_EQ(config.header_rules[0],
            (HeaderRuleConfig{Side::Access, {"Diversion"}, {"Path"}, {"X-Edge: berlin"}}));
}

TEST(PeersConfig, SideMustBeWrittenWhereAnybodyMayKnock) {
  for (const char* address : {"192.0.2.1:5060", "0.0.0.0:5060", "[2001:db8::1]:5060"}) {
    const std::string listen =
        "[[listen]]\ntransport = \"udp\"\nadvertise = \"gw.example.org\"\n"
        "address = \"" +
        std::string(address) + "\"\n";
    EXPECT_NE(mistakes_of(listen + kHop).find("side = \"network\""), std::string::npos) << address;
    EXPECT_EQ(mistakes_of(listen + "side = \"network\"\n" + kHop).find("side ="), std::string::npos)
        << address;
  }
  for (const char* address : {"127.0.0.1:5060", "10.0.0.1:5060", "[fd00::1]:5060", "[::1]:5060"}) {
    const std::string listen =
        "[[listen]]\ntransport = \"udp\"\naddress = \"" + std::string(address) + "\"\n";
    EXPECT_EQ(mistakes_of(listen + kHop).find("side ="), std::string::npos) << address;
  }
  EXPECT_EQ(mistakes_of(kUdp + kWeb + kHop), "");
}

TEST(PeersConfig, WhatCannotBeMeantIsExplained) {
  const struct {
    std::string_view name;
    std::string text;
    std::string_view says;
  } kCases[] = {
      {"admission on the network side", kUdp + "admission = \"open\"\n" + kHop, "[[trusted]]"},
      {"purpose without certificates",
       kUdp + kHop +
           "[[listen]]\ntransport = \"wss\"\naddress = \"192.0.2.1\"\n"
           "certificate = \"c\"\nkey = \"k\"\nclient_certificate_purpose = \"client\"\n",
       "client_certificates"},
      {"purpose without TLS", kUdp + "client_certificate_purpose = \"any\"\n" + kHop, "wss"},
      {"member with a port", kUdp + kHop + "members = [\"sbc.example.org:5060\"]\n", "no ports"},
      {"everybody a member", kUdp + kHop + "members = [\"0.0.0.0/0\"]\n", "everybody"},
      {"everybody trusted", kUdp + kHop + "[[trusted]]\nprefixes = [\"::/0\"]\n", "everybody"},
      {"trusted without prefixes", kUdp + kHop + "[[trusted]]\nname = \"x\"\n", "prefixes"},
      {"trusted by name", kUdp + kHop + "[[trusted]]\nprefixes = [\"carrier.example\"]\n",
       "carrier.example"},
      {"trusted without a network side", kWeb + kHop + "[[trusted]]\nprefixes = [\"192.0.2.9\"]\n",
       "network side"},
      {"nowhere to go for user agents", kUdp + kWeb + kHop + "domains = [\"example.org\"]\n",
       "from = \"both\""},
      {"no verification beside a CA", kUdp + kHop + "tls_verify = \"none\"\ntls_ca = \"ca.pem\"\n",
       "tls_ca"},
      {"verification without TLS",
       kUdp + "[[next_hop]]\naddress = \"sip:192.0.2.20;transport=udp\"\ntls_verify = \"none\"\n",
       "no effect"},
      {"header rule without a side", kUdp + kHop + "[[header]]\nremove = [\"X\"]\n", "side"},
      {"header rule that does nothing", kUdp + kHop + "[[header]]\nside = \"access\"\n",
       "does nothing"},
      {"header that is needed", kUdp + kHop + "[[header]]\nside = \"access\"\nremove = [\"v\"]\n",
       "itself"},
      {"header that is none", kUdp + kHop + "[[header]]\nside = \"access\"\nremove = [\"X Y\"]\n",
       "X Y"},
      {"addition of two lines",
       kUdp + kHop + "[[header]]\nside = \"access\"\nadd = [\"X: 1\\r\\nY: 2\"]\n", "one line"},
  };
  for (const auto& test : kCases) {
    EXPECT_NE(mistakes_of(test.text).find(test.says), std::string::npos) << test.name << ": got\n"
                                                                         << mistakes_of(test.text);
  }
}

}  // namespace
}  // namespace ringway
