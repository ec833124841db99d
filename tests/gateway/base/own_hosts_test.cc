#include "gateway/base/own_hosts.h"

#include <gtest/gtest.h>

namespace ringway::test {
namespace {

const Address kLoopback = *parse_address("127.0.0.1");
const Address kManagement = *parse_address("192.0.2.5");

// A page whose name was made to resolve to our address still says its name.
TEST(OwnHosts, ANameOfSomebodyElseIsNotOurs) {
  const OwnHosts hosts;
  for (const char* host :
       {"evil.test", "localhost.evil.test", "evil.localhost", "127.0.0.1.evil.test", "notlocalhost",
        "127.0.0.1.nip.io", "x", "localhost..", ".", "127.1", "2130706433", "0x7f.0.0.1"}) {
    EXPECT_FALSE(hosts.has(host, kLoopback)) << host;
    EXPECT_FALSE(hosts.has(host, kManagement)) << host;
  }
}

TEST(OwnHosts, OurAddressesAndLocalhostAre) {
  const OwnHosts hosts;
  for (const char* host : {"127.0.0.1", "127.0.0.53", "[::1]", "localhost", "LocalHost",
                           "localhost.", "[::ffff:127.0.0.1]", ""}) {
    EXPECT_TRUE(hosts.has(host, kLoopback)) << host;
  }
  EXPECT_TRUE(hosts.has("192.0.2.5", kManagement));
  EXPECT_TRUE(hosts.has("127.0.0.1", kManagement)) << "by a forwarded port";
}

TEST(OwnHosts, AnAddressOfSomebodyElseIsNot) {
  const OwnHosts hosts;
  for (const char* host : {"192.0.2.6", "0.0.0.0", "[::]", "[2001:db8::1]"}) {
    EXPECT_FALSE(hosts.has(host, kManagement)) << host;
    EXPECT_FALSE(hosts.has(host, kLoopback)) << host;
  }
  const Address any = *parse_address("0.0.0.0");
  EXPECT_TRUE(hosts.has("192.0.2.6", any));
  EXPECT_FALSE(hosts.has("[::]", any));
  EXPECT_FALSE(hosts.has("evil.test", any));
}

TEST(OwnHosts, ConfiguredNamesAreInAnySpelling) {
  const OwnHosts hosts(
      {"edge.example.org", "trailing.example.org.", "198.51.100.7", "2001:db8::7"});
  for (const char* host : {"edge.example.org", "EDGE.Example.org", "edge.example.org.",
                           "trailing.example.org", "198.51.100.7", "[2001:DB8:0::7]"}) {
    EXPECT_TRUE(hosts.has(host, kLoopback)) << host;
  }
  for (const char* host :
       {"example.org", "a.edge.example.org", "edge.example.org.evil.test", "198.51.100.8"}) {
    EXPECT_FALSE(hosts.has(host, kLoopback)) << host;
  }
}

}  // namespace
}  // namespace ringway::test
