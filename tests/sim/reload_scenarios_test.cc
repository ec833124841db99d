#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "tests/sim/life.h"
#include "tests/sim/scenario.h"

// Reloads that take listeners away, change them and bring them back, while calls and registrations
// stand. Each story is told to two shards with several seeds, each with other faults of the kernel.

namespace ringway::sim {
namespace {

constexpr std::uint64_t kSeeds = 16;
constexpr std::size_t kDevices = 4;  // over both shards, most likely
constexpr Device::Kind kWsBrowser{Transport::Ws, true};
constexpr Device::Kind kTcpPhone{Transport::Tcp, false};

ListenConfig* find(Config& config, std::string_view name) {
  const auto found = std::ranges::find(config.listen, name, &ListenConfig::name);
  return found == config.listen.end() ? nullptr : &*found;
}

class ReloadScenario : public Scenario {
 protected:
  // A world of that seed and some faults, but none that breaks a connection that stands or lets the
  // media relay seem silent.
  void make_faulty(std::uint64_t seed) {
    World::Settings settings;
    Dice dice(seed);
    settings.faults = draw_faults(dice);
    settings.faults[Fault::ShortSend] = settings.faults[Fault::SlowSend] = 0;
    settings.config.timers.idle_connection = 600s;  // nobody here keeps his alive
    make(std::move(settings), seed);
  }
  void for_each_seed(const std::function<void()>& story) {
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      removed_.clear();
      make_faulty(seed);
      story();
      TearDown();
      if (HasFailure()) break;
    }
    world.reset();
  }

  void remove(std::string_view name) {
    world->reload([&](Config& config) {
      ListenConfig* const listen = find(config, name);
      ASSERT_NE(listen, nullptr);
      removed_.push_back(*listen);
      std::erase_if(config.listen, [&](const auto& one) { return one.name == name; });
    });
  }
  void bring_back() {
    world->reload([&](Config& config) {
      config.listen.insert(config.listen.end(), removed_.begin(), removed_.end());
    });
    removed_.clear();
  }

  // Registered at last: the kernel may refuse it for a while.
  bool comes(Device& device) {
    bool registered = false, asking = false;
    const auto try_once = [&] {
      if (asking) return;
      asking = true;
      device.connect([&](bool connected) {
        if (!connected) {
          asking = false;
          return;
        }
        device.agent().register_for(300, [&](int status) {
          registered = status == 200;
          asking = false;
        });
      });
    };
    for (int i = 0; i < 100 && !registered && !world->checks.failed(); ++i) {
      try_once();
      world->run(500ms);
    }
    world->run_until([&] { return !asking; });
    EXPECT_TRUE(registered) << device.name() << " does not come in";
    return registered;
  }
  std::vector<Device*> arrive_all(Device::Kind kind) {
    std::vector<Device*> all;
    for (std::size_t i = 0; i < kDevices; ++i) {
      all.push_back(&world->add_device(kind));
      comes(*all.back());
    }
    return all;
  }
  bool is_refused(Device& device) {
    bool told = false, connected = false;
    device.connect([&](bool is_open) {
      told = true;
      connected = is_open;
    });
    world->run_until([&] { return told; });
    return told && !connected;
  }
  // Both sides of it hear that it is over.
  void ends(UserAgent& who, int number, UserAgent& other, int theirs) {
    EXPECT_EQ(status_of([&](auto done) { who.hang_up(number, done); }), 200);
    EXPECT_EQ(other.at(theirs).state, State::Over);
  }
  UserAgent& extension(std::size_t index) {
    return world->pbx().extension("x" + std::to_string(index));
  }

 private:
  std::vector<ListenConfig> removed_;
};

TEST_F(ReloadScenario, ConnectionsOfARemovedListenerGoOnWithTheirCalls) {
  const std::array<std::pair<Device::Kind, std::string_view>, 4> kinds{
      {{kBrowser, "access-wss"},
       {kWsBrowser, "access-ws"},
       {kTlsPhone, "access-tls"},
       {kTcpPhone, "access-udp"}}};  // its TCP side
  for (const auto& [kind, name] : kinds) {
    SCOPED_TRACE(name);
    for_each_seed([&] {
      const std::vector<Device*> all = arrive_all(kind);
      std::vector<int> calls;
      for (std::size_t i = 0; i < all.size(); ++i) {
        calls.push_back(call(all[i]->agent(), "sip:x" + std::to_string(i) + "@example.org"));
      }
      remove(name);
      world->run(300ms);
      EXPECT_TRUE(is_refused(world->add_device(kind)));
      for (std::size_t i = 0; i < all.size(); ++i) {
        UserAgent& agent = all[i]->agent();
        EXPECT_EQ(status_of([&](auto done) { agent.register_for(300, done); }), 200);
        EXPECT_EQ(status_of([&](auto done) { extension(i).request_within(0, "INFO", done); }), 200);
        if (i % 2 == 0) ends(agent, calls[i], extension(i), 0);
        if (i % 2 == 1) ends(extension(i), 0, agent, calls[i]);
        // Who is connected can be called still (RFC 5626 5.3).
        const int later = call(extension(i), "sip:" + all[i]->name() + "@example.org");
        ends(agent, calls[i] + 1, extension(i), later);
      }
      bring_back();
      world->run(300ms);
      Device& late = *world->devices.back();
      if (comes(late)) call(late.agent(), "sip:x9@example.org");
      EXPECT_TRUE(std::ranges::all_of(all, [](Device* one) { return one->is_connected(); }));
    });
    if (HasFailure()) break;
  }
}

TEST_F(ReloadScenario, WhatIsUnderWayByARemovedUdpListenerHasItsAnswer) {
  for_each_seed([&] {
    const std::vector<Device*> all = arrive_all(kUdpPhone);
    for (std::size_t i = 0; i < all.size(); ++i) {
      extension(i).answers = [](const Message&) { return Answer{486, true, 3s, true}; };
    }
    std::vector<int> statuses(all.size(), -1);
    for (std::size_t i = 0; i < all.size(); ++i) {
      all[i]->agent().call("sip:x" + std::to_string(i) + "@example.org",
                           [&statuses, i](int status) { statuses[i] = status; });
    }
    world->run(1500ms);
    remove("access-udp");
    world->run(300ms);
    Device& late = world->add_device(kUdpPhone);
    EXPECT_EQ(status_of([&](auto done) { late.agent().register_for(300, done); }), 0);
    for (const int status : statuses) EXPECT_EQ(status, 486);
    // Nobody is reached by it any more (RFC 5626 5.3.1).
    EXPECT_EQ(status_of([&](auto done) { extension(9).call("sip:u0@example.org", done); }), 430);
    EXPECT_EQ(world->gateway().machine().open_sockets(), world->gateway().listening());
    bring_back();
    for (Device* device : all) {
      if (comes(*device)) call(device->agent(), "sip:x9@example.org");
    }
  });
}

// Whatever was in a socket when a reload took its listener away is read; and who repeats his
// request, as UDP has it, is answered once the listener is back.
TEST_F(ReloadScenario, UdpListenerThatComesAndGoesLosesNoRequestForGood) {
  for_each_seed([&] {
    std::vector<Device*> all = arrive_all(kUdpPhone);
    const std::vector<Device*> more = arrive_all(kUdpPhone);
    all.insert(all.end(), more.begin(), more.end());
    std::vector<int> asking(all.size());
    int asked = 0;
    bool goes_on = true;
    const std::function<void(std::size_t)> ask = [&](std::size_t i) {
      if (!goes_on) return;
      ++asking[i];
      ++asked;
      all[i]->agent().request("MESSAGE", "sip:x" + std::to_string(i) + "@example.org",
                              [&, i](int status) {
                                --asking[i];
                                EXPECT_EQ(status, 200) << all[i]->name();
                                ask(i);
                              });
    };
    for (std::size_t i = 0; i < all.size(); ++i) ask(i);
    for (int i = 0; i < 40; ++i) {
      world->run(world->dice.between(1ms, 300ms));
      remove("access-udp");
      world->run(world->dice.chance(0.5) ? world->dice.between(0us, 500us)
                                         : world->dice.between(1ms, 150ms));
      bring_back();
    }
    goes_on = false;
    EXPECT_TRUE(world->run_until([&] { return std::ranges::count(asking, 0) == 8; }));
    EXPECT_GT(asked, 100);
    world->run(1s);
    EXPECT_EQ(world->gateway().machine().open_sockets(), world->gateway().listening());
  });
}

TEST_F(ReloadScenario, DialogsOfAUdpListenerThatWasAwayEndByEitherSide) {
  for_each_seed([&] {
    const std::vector<Device*> all = arrive_all(kUdpPhone);
    std::vector<int> calls;
    for (std::size_t i = 0; i < all.size(); ++i) {
      calls.push_back(call(all[i]->agent(), "sip:x" + std::to_string(i) + "@example.org"));
    }
    for (int i = 0; i < 3; ++i) {
      remove("access-udp");
      world->run(world->dice.between(0ms, 400ms));
      bring_back();
      world->run(world->dice.between(0ms, 400ms));
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (i % 2 == 0) ends(all[i]->agent(), calls[i], extension(i), 0);
      if (i % 2 == 1) ends(extension(i), 0, all[i]->agent(), calls[i]);
    }
  });
}

// Another name for others is a removal and an addition at the same address: the sockets stay, and
// nobody who connects meanwhile is refused.
TEST_F(ReloadScenario, ListenerThatKeepsItsAddressKeepsItsSockets) {
  for_each_seed([&] {
    for (const Fault fault : {Fault::NoDescriptor, Fault::AbortedAccept}) {
      world->gateway().machine().odds[fault] = 0;
    }
    const std::vector<Device*> browsers = arrive_all(kBrowser);
    const std::vector<Device*> phones = arrive_all(kUdpPhone);
    std::vector<int> calls;
    for (std::size_t i = 0; i < browsers.size(); ++i) {
      calls.push_back(call(browsers[i]->agent(), "sip:x" + std::to_string(i) + "@example.org"));
    }
    int refused = 0, asked = 0, answered = 0;
    for (int i = 0; i < 20; ++i) {
      Device& late = world->add_device(i % 2 == 0 ? kBrowser : kTcpPhone);
      late.connect([&](bool connected) { refused += connected ? 0 : 1; });
      for (Device* phone : phones) {
        ++asked;
        phone->agent().request("MESSAGE", "sip:x8@example.org",
                               [&](int status) { answered += status == 200 ? 1 : 0; });
      }
      world->run(world->dice.between(0ms, 40ms));
      world->reload([&](Config& config) {
        for (const std::string_view name : {"access-wss", "access-udp"}) {
          std::string& host = find(config, name)->advertise_host;
          host = host.empty() ? "gateway.test" : "";
        }
      });
      world->run(world->dice.between(0ms, 40ms));
    }
    world->run(20s);
    EXPECT_EQ(refused, 0);
    EXPECT_EQ(answered, asked);
    for (std::size_t i = 0; i < browsers.size(); ++i) {
      if (i % 2 == 0) ends(browsers[i]->agent(), calls[i], extension(i), 0);
      if (i % 2 == 1) ends(extension(i), 0, browsers[i]->agent(), calls[i]);
    }
  });
}

TEST_F(ReloadScenario, AnswersComeInByTheNetworkListenerThatTheirRequestsWentOutBy) {
  for_each_seed([&] {
    const std::vector<Device*> all = arrive_all(kBrowser);
    std::vector<int> statuses(all.size(), -1);
    for (std::size_t i = 0; i < all.size(); ++i) {
      extension(i).answers = [](const Message&) { return Answer{486, true, 4s, true}; };
      all[i]->agent().call("sip:x" + std::to_string(i) + "@example.org",
                           [&statuses, i](int status) { statuses[i] = status; });
    }
    world->run(1500ms);
    world->reload([](Config& config) {
      ListenConfig& network = *find(config, "network-udp");
      network.name = "network-2";
      network.address = endpoint("10.0.0.6:5060");
    });
    std::string via;
    world->pbx().observe = [&](std::string_view text) {
      const auto message = Message::parse(text);
      if (message && message->method == "MESSAGE") via = message->header("Via");
      return false;
    };
    world->run(300ms);
    EXPECT_EQ(status_of([&](auto done) {
                all[0]->agent().request("MESSAGE", "sip:x8@example.org", done);
              }),
              200);
    EXPECT_NE(via.find("10.0.0.6"), via.npos) << via;
    world->run(10s);
    for (const int status : statuses) EXPECT_EQ(status, 486);
    EXPECT_EQ(world->gateway().machine().open_sockets(), world->gateway().listening());
    for (Device* device : all) {
      const int number = call(device->agent(), "sip:x9@example.org");
      EXPECT_EQ(status_of([&](auto done) { device->agent().hang_up(number, done); }), 200);
    }
  });
}

TEST_F(ReloadScenario, ListenerThatMovesServesAtItsNewAddressOnly) {
  for_each_seed([&] {
    constexpr std::string_view kOther = "198.51.100.1:9443";
    Device& stays = world->add_device(kBrowser);
    comes(stays);
    for (const std::string_view address : {kOther, kWss, kOther}) {
      world->reload(
          [&](Config& config) { find(config, "access-wss")->address = endpoint(address); });
      world->run(300ms);
      Device& device = world->add_device(kBrowser);
      device.use(endpoint(address == kWss ? kOther : kWss));
      EXPECT_TRUE(is_refused(device));
      device.use(endpoint(address));
      if (comes(device)) call(device.agent(), "sip:x0@example.org");
    }
    EXPECT_TRUE(stays.is_connected());
    call(stays.agent(), "sip:x1@example.org");
  });
}

TEST_F(ReloadScenario, DrainAndRestartFindTheListenersThatAReloadHasLeft) {
  for_each_seed([&] {
    Device& browser = world->add_device(kBrowser);
    comes(browser);
    const int number = call(browser.agent(), "sip:x0@example.org");
    remove("access-wss");
    world->run(world->dice.between(0ms, 200ms));
    bring_back();
    if (world->dice.chance(0.5)) world->run(world->dice.between(0ms, 5ms));
    if (world->dice.chance(0.5)) {
      world->gateway().drain();
      ASSERT_TRUE(world->run_until([&] { return !browser.is_connected(); }, 400s));
      EXPECT_TRUE(is_refused(world->add_device(kBrowser)));
    } else {
      world->restart_gateway();
      world->run(500ms);
      if (comes(browser)) ends(browser.agent(), number, extension(0), 0);
    }
  });
}

}  // namespace
}  // namespace ringway::sim
