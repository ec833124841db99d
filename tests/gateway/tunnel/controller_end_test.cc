#include "gateway/tunnel/controller_end.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace ringway::tunnel {
namespace {

constexpr Instant kStart = Instant(1000s);

SourceName port(std::uint16_t number) {
  SourceName name;
  name.size = 16;
  name.address[0] = 2;
  name.address[2] = static_cast<std::uint8_t>(number >> 8);
  name.address[3] = static_cast<std::uint8_t>(number);
  return name;
}

Endpoint endpoint(std::uint8_t last) {
  Endpoint out;
  out.address.bytes[0] = 127;
  out.address.bytes[3] = last;
  out.port = 2225;
  return out;
}

struct Ear final : LinkOwner {
  void on_greeted(std::uint16_t) override {}
  void on_message(std::uint16_t, std::uint32_t stream, std::uint32_t, Bytes bytes) override {
    messages.emplace_back(stream, std::string(as_text(bytes)));
  }
  void on_refused(std::uint16_t, std::uint32_t, std::uint32_t, Refusal) override {}
  void on_target(std::uint16_t, bool) override {}
  void on_forget(std::uint16_t, std::uint32_t) override {}
  std::vector<std::pair<std::uint32_t, std::string>> messages;
};

// A controller end with one connection to a far end that says what the test wants.
class World final : public ControllerOutside {
 public:
  explicit World(ControllerSettings settings = one_relay(), LinkSettings far_settings = {})
      : end(settings, *this, numbers, 1, {1, 2}), far(0, far_settings, ear, far_numbers) {
    end.start(now);
  }
  static ControllerSettings one_relay() {
    ControllerSettings settings;
    settings.relays = {{{endpoint(1)}, "relay"}};
    settings.connections = 1;
    return settings;
  }

  void connect_far() {
    end.connected(0, now);
    end.opened(0, now);
    far.opened(now);
    carry();
    ASSERT_TRUE(end.link(0).up());
  }
  void carry() {
    std::vector<std::uint8_t> bytes;
    while (end.link(0).has_output() || far.has_output()) {
      end.link(0).take_output(bytes);
      EXPECT_TRUE(far.received(bytes, now));
      far.take_output(bytes);
      end.received(0, bytes, now);
    }
  }
  void ask(std::uint16_t from, const std::string& text) {
    end.received(port(from), as_bytes(text), now);
    carry();
  }
  // The far end answers with body to the request that it got as the index-th.
  void answer(std::size_t index, const std::string& body) {
    const auto& [stream, text] = ear.messages.at(index);
    say(stream, text.substr(0, text.find(' ') + 1) + body);
  }
  void say(std::uint32_t stream, const std::string& text) {
    EXPECT_EQ(far.send(stream, as_bytes(text), now), Link::Sent::Yes);
    carry();
  }
  void pass(Duration time) {
    now += time;
    if (now >= end.next_deadline()) end.expire(now);
  }

  Sent send_datagram(const SourceName& to, Bytes bytes) override {
    said.emplace_back(to.address[2] << 8 | to.address[3], std::string(as_text(bytes)));
    return Sent::Yes;
  }
  void connect(std::uint16_t, const Endpoint& to) override { tried.push_back(to); }
  void close(std::uint16_t) override { ++closed; }
  void say(const std::string&) override {}

  Instant now = kStart;
  Numbers numbers, far_numbers;
  ControllerEnd end;
  Ear ear;
  Link far;
  std::vector<std::pair<int, std::string>> said;
  std::vector<Endpoint> tried;
  int closed = 0;
};

using Said = std::vector<std::pair<int, std::string>>;

TEST(ControllerEnd, TheSameCookieOfTwoPortsHasTwoAnswers) {
  World world;
  world.connect_far();
  world.ask(1, "7_1 d1:ae");
  world.ask(2, "7_1 d1:be");
  ASSERT_EQ(world.ear.messages.size(), 2u);
  EXPECT_NE(world.ear.messages[0].second.substr(0, 12), world.ear.messages[1].second.substr(0, 12));
  world.answer(1, "for two");
  world.answer(0, "for one");
  EXPECT_EQ(world.said, (Said{{2, "7_1 for two"}, {1, "7_1 for one"}}));
}

TEST(ControllerEnd, ARetransmissionAfterTheAnswerGoesUnderTheSameCookieAndIsAnswered) {
  World world;
  world.connect_far();
  world.ask(1, "7_1 de");
  world.answer(0, "ok");
  world.ask(1, "7_1 de");
  ASSERT_EQ(world.ear.messages.size(), 2u);
  EXPECT_EQ(world.ear.messages[0], world.ear.messages[1]);
  world.answer(1, "ok");
  EXPECT_EQ(world.said, (Said{{1, "7_1 ok"}, {1, "7_1 ok"}}));
}

TEST(ControllerEnd, AnAnswerIsGivenOnceHoweverOftenItComes) {
  World world;
  world.connect_far();
  world.ask(1, "7_1 de");
  for (int i = 0; i < 1000; ++i) world.answer(0, "ok");
  EXPECT_EQ(world.said, (Said{{1, "7_1 ok"}}));
  EXPECT_EQ(world.numbers.dropped_unexpected.value(), 999u);
}

TEST(ControllerEnd, AnAnswerAfterTheErrorOfTheTimeoutIsDropped) {
  World world;
  world.connect_far();
  world.ask(1, "7_1 {}");
  world.pass(4499ms);
  EXPECT_TRUE(world.said.empty());
  world.pass(2ms);
  ASSERT_EQ(world.said.size(), 1u);
  EXPECT_TRUE(world.said[0].second.starts_with(R"(7_1 {"result":"error")"));
  world.answer(0, "late");
  EXPECT_EQ(world.said.size(), 1u);
  EXPECT_EQ(world.numbers.timeouts.value(), 1u);
}

TEST(ControllerEnd, AFarEndThatInventsAnswersReachesNobody) {
  World world;
  world.connect_far();
  world.ask(1, "7_1 de");
  const std::uint32_t stream = world.ear.messages[0].first;
  world.say(stream, "7_1 without its prefix");
  world.say(stream, "other cookie");
  world.say(stream + 1, world.ear.messages[0].second);
  world.say(0xffff'ffff, "7_1 no such stream");
  EXPECT_TRUE(world.said.empty());
  EXPECT_EQ(world.numbers.dropped_unexpected.value(), 4u);
  world.answer(0, "ok");
  EXPECT_EQ(world.said, (Said{{1, "7_1 ok"}}));
}

TEST(ControllerEnd, ALongCookieComesBackWhole) {
  World world;
  world.connect_far();
  const std::string cookie(300, 'c');
  world.ask(1, cookie + " de");
  world.ask(2, cookie + " de");
  world.answer(1, "two");
  world.answer(0, "one");
  EXPECT_EQ(world.said, (Said{{2, cookie + " two"}, {1, cookie + " one"}}));
}

TEST(ControllerEnd, WhatNobodyAnswersStaysWithinTheBoundsAndIsRefusedBeyondThem) {
  ControllerSettings settings = World::one_relay();
  settings.pending_max = 16;
  settings.sources_max = 4;
  World world(settings);
  world.connect_far();
  for (std::uint16_t from = 1; from < 5; ++from) {
    // One socket has a quarter of the places.
    for (int i = 0; i < 5; ++i) world.ask(from, "7_" + std::to_string(i) + " de");
    ASSERT_EQ(world.said.size(), from);
    EXPECT_NE(world.said.back().second.find("too many requests"), std::string::npos);
  }
  world.ask(5, "8_1 de");
  ASSERT_EQ(world.said.size(), 5u);
  EXPECT_NE(world.said.back().second.find("too many controllers"), std::string::npos);
  EXPECT_EQ(world.numbers.sources.value(), 4u);
  EXPECT_EQ(world.numbers.pending.value(), 16u);
}

TEST(ControllerEnd, AFullTableLetsGoOfAPortThatWaitsForNothingAndKeepsItsPrefix) {
  ControllerSettings settings = World::one_relay();
  settings.sources_max = 4;
  World world(settings);
  world.connect_far();
  for (std::uint16_t from = 1; from <= 100; ++from) {
    world.ask(from, "7_1 de");
    world.answer(from - 1u, "ok");
    EXPECT_EQ(world.said.back(), (std::pair<int, std::string>{from, "7_1 ok"}));
  }
  EXPECT_EQ(world.numbers.sources.value(), 4u);
  // Forgotten and back: rtpengine still knows a retransmission.
  world.ask(1, "7_1 de");
  EXPECT_EQ(world.ear.messages.back().second, world.ear.messages.front().second);
}

TEST(ControllerEnd, OfKindDatagramsAFullTableKeepsForASecondWhoHadNoAnswer) {
  ControllerSettings settings = World::one_relay();
  settings.sources_max = 4;
  settings.link.carries = Carries::Datagrams;
  World world(settings, {.carries = Carries::Datagrams});
  world.connect_far();
  for (std::uint16_t from = 1; from <= 5; ++from) world.ask(from, "x");
  EXPECT_EQ(world.ear.messages.size(), 4u);
  EXPECT_EQ(world.numbers.dropped_full.value(), 1u);
  world.say(world.ear.messages[2].first, "answer");
  world.ask(6, "x");
  EXPECT_EQ(world.ear.messages.size(), 5u);
  world.pass(1001ms);
  for (std::uint16_t from = 7; from <= 10; ++from) world.ask(from, "x");
  EXPECT_EQ(world.ear.messages.size(), 9u);
}

TEST(ControllerEnd, WhatWaitsWhenTheTargetFallsSilentHasItsErrorOnce) {
  World world;
  world.connect_far();
  world.ask(1, "7_1 de");
  world.far.send_target(false);
  world.carry();
  world.answer(0, "late");
  ASSERT_EQ(world.said.size(), 1u);
  EXPECT_TRUE(world.said[0].second.starts_with("7_1 d6:result5:error"));
}

TEST(ControllerEnd, WhatWaitsWhenItIsStoppedHasItsError) {
  World world;
  world.connect_far();
  world.ask(1, "7_1 de");
  world.ask(1, "7_1 de");
  world.ask(2, "7_2 {}");
  world.end.stop(world.now);
  ASSERT_EQ(world.said.size(), 2u);
  EXPECT_TRUE(world.said[0].second.starts_with("7_1 d6:result5:error"));
  EXPECT_TRUE(world.said[1].second.starts_with(R"(7_2 {"result":"error")"));
  EXPECT_EQ(world.numbers.pending.value(), 0u);
}

TEST(ControllerEnd, TheAddressesOfANameAreTriedInTurn) {
  ControllerSettings settings = World::one_relay();
  settings.relays = {{{endpoint(1), endpoint(2), endpoint(3)}, "relay"}};
  World world(settings);
  for (int i = 0; i < 3; ++i) {
    world.end.closed(0, "refused", world.now);
    world.pass(1s);
  }
  EXPECT_EQ(world.tried,
            (std::vector<Endpoint>{endpoint(1), endpoint(2), endpoint(3), endpoint(1)}));
}

TEST(ControllerEnd, ABrokenConnectionIsMadeAgainWhereItWas) {
  ControllerSettings settings = World::one_relay();
  settings.relays = {{{endpoint(1), endpoint(2)}, "relay"}};
  World world(settings);
  world.connect_far();
  world.ask(1, "7_1 de");
  world.end.closed(0, "reset", world.now);
  ASSERT_EQ(world.said.size(), 1u);
  EXPECT_EQ(world.said[0].second.substr(0, 26), "7_1 d6:result5:error12:err");
  world.pass(1s);
  EXPECT_EQ(world.tried, (std::vector<Endpoint>{endpoint(1), endpoint(1)}));
}

}  // namespace
}  // namespace ringway::tunnel
