#include "tests/sim/attacker.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

// An attacker among honest user agents: whatever he tries, nobody is reached past the rules, no
// answer of his counts for another's request, no identity of his is believed, and nothing leaves to
// an address that neither the configuration nor a dialog has named.

namespace ringway::sim {
namespace {

using State = UserAgent::Call::State;

class Siege {
 public:
  Siege(std::uint64_t seed, bool printing) : world(seed, settings(seed, printing)) {
    world.pbx().challenges = world.dice.chance(0.3);
    world.pbx().record_routes = world.dice.chance(0.5);
    alice = &world.add_device({Transport::Wss, true});
    bob = &world.add_device({Transport::Udp, true});
    mallory = &world.add_device({Transport::Wss, true});
    guest = &world.add_device({Transport::Ws, true});
    attacker = std::make_unique<Attacker>(world, *mallory, *guest);
    for (Device* device : {alice, bob, mallory}) {
      device->connect([device](bool connected) {
        if (connected) device->agent().register_for(400);
      });
    }
    guest->connect();
    world.run(3s);
  }

  // Calls that the attacker sees the inside of: his own, in both directions.
  void live(int steps, std::size_t kind) {
    for (int i = 0; i < steps && !world.checks.failed(); ++i) {
      switch (world.dice.below(6)) {
        case 0:
          mallory->agent().call("sip:x1@example.org");
          break;
        case 1:
          world.pbx().extension("x1").call("sip:u2@example.org");
          break;
        case 2:
          alice->agent().call("sip:u2@example.org");
          break;
        case 3:
          bob->agent().call("sip:u0@example.org");
          break;
        default:
          if (kind == kAny) {
            attacker->act();
          } else {
            attacker->act(kind);
          }
      }
      world.run(world.dice.between(20ms, 1500ms));
      hang_up_some();
    }
    world.settle();
  }

  static constexpr std::size_t kAny = SIZE_MAX;
  World world;
  Device *alice = nullptr, *bob = nullptr, *mallory = nullptr, *guest = nullptr;
  std::unique_ptr<Attacker> attacker;

 private:
  static World::Settings settings(std::uint64_t seed, bool printing) {
    World::Settings made;
    made.printing = printing;
    made.shards = 1 + seed % 3;
    for (ListenConfig& listen : made.config.listen) listen.admission = Admission::Registered;
    made.config.budgets.enabled = false;  // else he is cut off after four tries
    made.config.timers.grace = 3s;
    return made;
  }

  void hang_up_some() {
    for (Device* device : {alice, bob, mallory}) {
      for (const int call : device->agent().calls_in(State::Up)) {
        if (world.dice.chance(0.2)) device->agent().hang_up(call);
      }
    }
  }
};

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

TEST(Attack, EachKindAlone) {
  Siege first(1, false);
  for (std::size_t kind = 0; kind < first.attacker->kinds(); ++kind) {
    Siege siege(kind + 1, false);
    siege.live(30, kind);
    EXPECT_FALSE(siege.world.checks.failed())
        << "attack " << kind << ": " << siege.world.checks.failure();
  }
}

TEST(Attack, EverySeed) {
  const std::uint64_t replay = number_from("RINGWAY_SIM_SEED", 0);
  const std::uint64_t first = replay != 0 ? replay : 1;
  const std::uint64_t count = replay != 0 ? 1 : number_from("RINGWAY_SIM_SEEDS", 200);
  int failures = 0;
  for (std::uint64_t seed = first; seed < first + count && failures < 5; ++seed) {
    Siege siege(seed, replay != 0);
    siege.live(40, Siege::kAny);
    if (!siege.world.checks.failed()) continue;
    ++failures;
    ADD_FAILURE() << "RINGWAY_SIM_SEED=" << seed << ": " << siege.world.checks.failure();
  }
}

}  // namespace
}  // namespace ringway::sim
