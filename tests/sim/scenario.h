#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "tests/sim/world.h"

namespace ringway::sim {

using State = UserAgent::Call::State;
inline constexpr Device::Kind kBrowser{Transport::Wss, true};
inline constexpr Device::Kind kTlsPhone{Transport::Tls, true};
inline constexpr Device::Kind kUdpPhone{Transport::Udp, false};

// One story for each test, in the world of the simulation but in good weather unless the story says
// otherwise. Ends as every world does: everybody leaves, and nothing may be left.
// RINGWAY_SIM_TRACE=1 prints every event.
class Scenario : public testing::Test {
 protected:
  void make(World::Settings settings = {}, std::uint64_t seed = kSeed) {
    settings.printing = std::getenv("RINGWAY_SIM_TRACE") != nullptr;
    world = std::make_unique<World>(seed, std::move(settings));
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

}  // namespace ringway::sim
