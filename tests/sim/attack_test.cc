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
    // A trunk that is closed to the access side, and somebody else's server.
    NextHopConfig other = made.config.next_hops.front();
    other.name = "trunk";
    other.host = "10.0.0.12";
    other.domains = {"carrier.example"};
    other.from = NextHopFrom::Network;
    made.others.push_back(other);
    other.name = "evil";
    other.host = "10.0.0.13";
    other.domains = {"evil.example"};
    other.from = NextHopFrom::Both;
    made.others.push_back(other);
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

// RFC 5626 5.3: a second tab of the same user agent takes over what is new, and no call.
TEST(Attack, ADialogStaysOnItsFlowWhileThatLives) {
  World world(11);
  Device& one = world.add_device({Transport::Wss, true});
  Device& two = world.add_device({Transport::Ws, true});
  for (Device* device : {&one, &two}) device->connect();
  world.run(2s);
  one.agent().register_for(300);
  world.run(1s);
  one.agent().call("sip:x1@example.org");
  world.run(3s);
  ASSERT_EQ(one.agent().calls_in(State::Up).size(), 1u);
  const Profile& profile = one.agent().profile();
  Message made = Message::request("REGISTER", "sip:example.org");
  made.add("Via", two.agent().profile().via + ";branch=z9hG4bKtab;rport");
  made.add("Max-Forwards", "70");
  made.add("From", "<" + one.agent().aor() + ">;tag=tab");
  made.add("To", "<" + one.agent().aor() + ">");
  made.add("Call-ID", "tab");
  made.add("CSeq", "1 REGISTER");
  made.add("Expires", "300");
  made.add("Contact", "<" + profile.contact + ">" + profile.contact_params + ";expires=300");
  int byes = 0, granted = 0;
  two.observe = [&](std::string_view text) {
    byes += text.starts_with("BYE ");
    granted += text.starts_with("SIP/2.0 200 ");
    return true;
  };
  two.send_raw(made.text());
  world.run(1s);
  ASSERT_EQ(granted, 1);
  UserAgent& extension = world.pbx().extension("x1");
  for (const int call : extension.calls_in(State::Up)) extension.hang_up(call);
  world.run(2s);
  EXPECT_EQ(one.agent().calls_in(State::Up).size(), 0u);
  EXPECT_EQ(byes, 0);
  EXPECT_FALSE(world.checks.failed()) << world.checks.failure();
}

// The relay's ports are not for who was asked for credentials and never came back with any.
TEST(Attack, NoMediaSessionIsHeldForWhoWasOnlyChallenged) {
  World::Settings settings;
  settings.config.budgets.enabled = false;
  World world(12, settings);
  world.pbx().challenges = true;
  Device& guest = world.add_device({Transport::Ws, true});
  guest.connect();
  world.run(2s);
  int challenged = 0;
  guest.observe = [&](std::string_view text) {
    challenged += text.starts_with("SIP/2.0 407 ");
    return true;
  };
  for (int i = 0; i < 20; ++i) {
    const std::string serial = std::to_string(i);
    Message made = Message::request("INVITE", "sip:x1@example.org");
    made.add("Via", guest.agent().profile().via + ";branch=z9hG4bKguest" + serial + ";rport");
    made.add("Max-Forwards", "70");
    made.add("From", "<sip:guest@example.org>;tag=" + serial);
    made.add("To", "<sip:x1@example.org>");
    made.add("Call-ID", "guest-" + serial);
    made.add("CSeq", "1 INVITE");
    made.add("Contact", "<" + guest.agent().profile().contact + ">");
    made.add("Content-Type", "application/sdp");
    made.body = guest.agent().description();
    guest.send_raw(made.text());
    world.run(500ms);
    EXPECT_EQ(world.relay->sessions.size(), 0u) << "of call " << i;
  }
  EXPECT_EQ(challenged, 20) << "each one was asked for credentials, none was out of its share";
  EXPECT_EQ(world.relay->offers, 20);
  EXPECT_FALSE(world.checks.failed()) << world.checks.failure();
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
