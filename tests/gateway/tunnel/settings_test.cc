#include "gateway/tunnel/settings.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "gateway/tunnel/start.h"

namespace ringway::tunnel {
namespace {

Wishes controller() {
  Wishes wishes;
  wishes.listen = {"127.0.0.1:2223"};
  wishes.relay = {"127.0.0.1:2225"};
  return wishes;
}
Wishes relay() {
  Wishes wishes;
  wishes.listen = {"127.0.0.1:2225"};
  wishes.rtpengine = "127.0.0.1:2223";
  return wishes;
}
std::string complaint(const Wishes& wishes, End end) {
  const auto settings = check_wishes(wishes, end);
  return settings ? "" : settings.error();
}

TEST(TunnelSettings, OneHostNeedsNeitherKeysNorAPlainNetwork) {
  EXPECT_EQ(complaint(controller(), End::Controller), "");
  EXPECT_EQ(complaint(relay(), End::Relay), "");
}

TEST(TunnelSettings, WithoutKeysNothingLeavesTheHostUnlessItsPrivateNetworkIsListed) {
  for (const char* address : {"192.0.2.7:2225", "10.0.0.7:2225", "[2001:db8::7]:2225"}) {
    Wishes wishes = controller();
    wishes.relay = {address};
    EXPECT_NE(complaint(wishes, End::Controller).find("--keys"), std::string::npos) << address;
    wishes.keys = "/etc/ringway/tunnel/controller";
    EXPECT_EQ(complaint(wishes, End::Controller), "") << address;
  }
  Wishes wishes = controller();
  wishes.relay = {"10.0.0.7:2225"};
  wishes.plain = {"10.0.0.0/24"};
  EXPECT_EQ(complaint(wishes, End::Controller), "");
  wishes.relay = {"10.0.1.7:2225"};
  EXPECT_NE(complaint(wishes, End::Controller), "");
  wishes = relay();
  wishes.listen = {"0.0.0.0:2225"};
  EXPECT_NE(complaint(wishes, End::Relay).find("--keys"), std::string::npos);
  wishes.plain = {"10.0.0.0/24"};
  EXPECT_EQ(complaint(wishes, End::Relay), "");
}

TEST(TunnelSettings, Ipv6IsAnAddressLikeAnyOther) {
  Wishes wishes = controller();
  wishes.listen = {"[::1]:2223", "127.0.0.1:2223"};
  wishes.relay = {"[::1]:2225"};
  const auto settings = check_wishes(wishes, End::Controller);
  ASSERT_TRUE(settings) << settings.error();
  EXPECT_EQ(settings->listen[0].endpoint, *parse_endpoint("[::1]:2223"));
  EXPECT_EQ(settings->controller.relays[0].endpoints.at(0), *parse_endpoint("[::1]:2225"));
  wishes.relay = {"[fd00::7]:2225"};
  EXPECT_NE(complaint(wishes, End::Controller).find("--keys"), std::string::npos);
  wishes.plain = {"fd00::/64"};
  EXPECT_EQ(complaint(wishes, End::Controller), "");
  wishes = relay();
  wishes.listen = {"[::1]:2225"};
  wishes.rtpengine = "[::1]:2223";
  wishes.admin = "[::1]:8091";
  EXPECT_EQ(complaint(wishes, End::Relay), "");
  wishes.rtpengine = "tcp:[::1]:2223";
  EXPECT_EQ(complaint(wishes, End::Relay), "");
  wishes.listen = {"[::]:2225"};
  EXPECT_NE(complaint(wishes, End::Relay).find("--keys"), std::string::npos);
}

TEST(TunnelSettings, APublicNetworkIsNeverPlain) {
  for (const char* prefix : {"0.0.0.0/0", "192.0.2.0/24", "8.0.0.0/7", "::/0", "2001:db8::/32"}) {
    Wishes wishes = relay();
    wishes.plain = {prefix};
    EXPECT_NE(complaint(wishes, End::Relay).find("private"), std::string::npos) << prefix;
  }
}

TEST(TunnelSettings, EachMistakeIsSaidInWords) {
  const struct {
    End end;
    void (*change)(Wishes&);
    const char* word;
  } cases[] = {{End::Controller, [](Wishes& w) { w.listen.clear(); }, "--listen"},
               {End::Controller, [](Wishes& w) { w.listen = {"2223"}; }, "ADDRESS:PORT"},
               {End::Controller, [](Wishes& w) { w.relay.clear(); }, "--relay"},
               {End::Controller, [](Wishes& w) { w.relay = {"nowhere"}; }, "HOST:PORT"},
               {End::Controller, [](Wishes& w) { w.listen = {"::1:2223"}; }, "brackets"},
               {End::Controller, [](Wishes& w) { w.listen = {"localhost:2223"}; }, "no name"},
               {End::Controller, [](Wishes& w) { w.listen = {"127.0.0.1:66000"}; }, "65535"},
               {End::Controller, [](Wishes& w) { w.relay = {"2001:db8::1:2225"}; }, "brackets"},
               {End::Controller, [](Wishes& w) { w.relay = {"localhost:99999"}; }, "65535"},
               {End::Controller, [](Wishes& w) { w.relay = {"127.0.0.1:0"}; }, "65535"},
               {End::Controller, [](Wishes& w) { w.relay = {"localhost:http"}; }, "65535"},
               {End::Relay, [](Wishes& w) { w.rtpengine = "127.0.0.1:0"; }, "65535"},
               {End::Controller, [](Wishes& w) { w.kind = "udp"; }, "datagrams"},
               {End::Controller, [](Wishes& w) { w.plain = {"here"}; }, "prefix"},
               {End::Controller, [](Wishes& w) { w.rtpengine = "127.0.0.1:1"; }, "relay end"},
               {End::Relay, [](Wishes& w) { w.relay = {"127.0.0.1:1"}; }, "controller end"},
               {End::Relay, [](Wishes& w) { w.rtpengine = "2223"; }, "--rtpengine"},
               {End::Relay,
                [](Wishes& w) {
                  w.listen = {"a", "b"};
                },
                "one --listen"},
               {End::Relay, [](Wishes& w) { w.rtpengine = "::1:2223"; }, "brackets"},
               {End::Relay, [](Wishes& w) { w.listen = {"::2225"}; }, "brackets"},
               {End::Relay, [](Wishes& w) { w.admin = "8080"; }, "admin"},
               {End::Relay, [](Wishes& w) { w.ping = "on"; }, "auto"},
               {End::Relay,
                [](Wishes& w) {
                  w.kind = "datagrams";
                  w.rtpengine = "tcp:127.0.0.1:1";
                },
                "datagrams"}};
  for (const auto& one : cases) {
    Wishes wishes = one.end == End::Controller ? controller() : relay();
    one.change(wishes);
    EXPECT_NE(complaint(wishes, one.end).find(one.word), std::string::npos)
        << one.word << ": " << complaint(wishes, one.end);
  }
}

TEST(TunnelSettings, TheLargestMessageIsWhatTheSocketsTake) {
  Wishes wishes = controller();
  EXPECT_EQ(check_wishes(wishes, End::Controller)->controller.link.message_bytes_max,
            kDatagramBytesMax);
  wishes.listen.push_back("unix:/run/ng.sock");
  EXPECT_EQ(check_wishes(wishes, End::Controller)->controller.link.message_bytes_max,
            kMessageBytesMax);
  wishes = relay();
  EXPECT_EQ(check_wishes(wishes, End::Relay)->relay.link.message_bytes_max, kDatagramBytesMax);
  wishes.rtpengine = "tcp:127.0.0.1:2224";
  EXPECT_EQ(check_wishes(wishes, End::Relay)->relay.link.message_bytes_max, kMessageBytesMax);
}

TEST(TunnelCookieKey, IsTheSameAfterARestartAndNoOtherControllerEnds) {
  const auto settings = [](std::string listen, std::string keys) {
    Settings made;
    made.listen.emplace_back().text = std::move(listen);
    made.keys = std::move(keys);
    return made;
  };
  const auto folder = std::filesystem::temp_directory_path() /
                      ("ringway-cookie-key-" + std::to_string(getpid()));
  std::filesystem::create_directories(folder);
  const auto write_key = [&](const char* text) { std::ofstream(folder / "key.pem") << text; };
  const HashKey plain = cookie_key(settings("127.0.0.1:2223", ""));
  EXPECT_EQ(plain, cookie_key(settings("127.0.0.1:2223", "")));
  EXPECT_NE(plain, cookie_key(settings("127.0.0.1:2224", "")));
  write_key("one");
  const HashKey one = cookie_key(settings("127.0.0.1:2223", folder));
  EXPECT_EQ(one, cookie_key(settings("127.0.0.1:2223", folder)));
  EXPECT_NE(one, plain);
  write_key("other");
  EXPECT_NE(one, cookie_key(settings("127.0.0.1:2223", folder)));
  std::filesystem::remove_all(folder);
}

TEST(TunnelSettings, WhatIsNoOrdinaryFileIsNotReadAsOne) {
  for (const char* file : {"/dev/zero", "/tmp", "/no/such/file"}) {
    std::vector<Mistake> mistakes;
    read_wishes(file, mistakes);
    EXPECT_EQ(mistakes.size(), 1u) << file;
  }
}

TEST(TunnelSettings, AUnixSocketHasAPath) {
  Wishes wishes = controller();
  wishes.listen = {"unix:"};
  EXPECT_NE(complaint(wishes, End::Controller).find("unix:PATH"), std::string::npos);
}

}  // namespace
}  // namespace ringway::tunnel
