#include <gtest/gtest.h>

#include "tests/sim/world.h"

// One story for each test, in the same world as the simulation but in good weather unless the
// story says otherwise.

namespace ringway::sim {
namespace {

using State = UserAgent::Call::State;
constexpr Device::Kind kBrowser{Transport::Wss, true};
constexpr Device::Kind kTlsPhone{Transport::Tls, true};
constexpr Device::Kind kUdpPhone{Transport::Udp, false};

class Scenario : public testing::Test {
 protected:
  void make(World::Settings settings = {}) {
    settings.printing = std::getenv("RINGWAY_SIM_TRACE") != nullptr;
    world = std::make_unique<World>(kSeed, std::move(settings));
  }
  // A device that is registered.
  Device& arrive(Device::Kind kind, int seconds = 300) {
    Device& device = world->add_device(kind);
    return arrive(device, seconds);
  }
  Device& arrive(Device& device, int seconds = 300) {
    int status = -1;
    device.connect([&](bool connected) {
      if (connected) device.agent().register_for(seconds, [&](int final) { status = final; });
    });
    EXPECT_TRUE(world->run_until([&] { return status >= 0; })) << world->checks.failure();
    EXPECT_EQ(status, 200);
    return device;
  }
  // The number of a call that stands.
  int call(UserAgent& caller, std::string_view target) {
    const int number = caller.call(target);
    EXPECT_TRUE(world->run_until([&] { return caller.at(number).state == State::Up; }))
        << world->checks.failure();
    world->run(1s);  // until the ACK is there
    return number;
  }
  // The status of a request, once it has one; 0: none came.
  int status_of(const std::function<void(UserAgent::Done)>& ask) {
    int status = -1;
    ask([&](int final) { status = final; });
    world->run_until([&] { return status >= 0; });
    return status;
  }
  void TearDown() override {
    if (!world) return;
    world->settle();
    EXPECT_FALSE(world->checks.failed()) << world->checks.failure();
  }

  static constexpr std::uint64_t kSeed = 1;
  std::unique_ptr<World> world;
};

TEST_F(Scenario, BrowserCallsPhoneWithMedia) {
  make();
  UserAgent& browser = arrive(kBrowser).agent();
  UserAgent& phone = world->pbx().extension("x1");
  const int number = call(browser, "sip:x1@example.org");
  EXPECT_NE(browser.at(number).last_sdp.find("SAVPF"), std::string::npos);
  EXPECT_EQ(phone.at(0).last_sdp.find("SAVPF"), std::string::npos);
  EXPECT_EQ(world->relay->sessions.size(), 1u);
  EXPECT_EQ(status_of([&](auto done) { browser.hang_up(number, done); }), 200);
  world->run(1s);
  EXPECT_EQ(phone.at(0).state, State::Over);
  EXPECT_TRUE(world->relay->sessions.empty());
}

}  // namespace
}  // namespace ringway::sim
