#include <gtest/gtest.h>

#include <cstdlib>
#include <deque>
#include <map>
#include <set>
#include <string>

#include "gateway/base/random.h"
#include "gateway/tunnel/controller_end.h"
#include "gateway/tunnel/relay_end.h"
#include "protocol/bencode/bencode.h"

// Both ends on an invented network: controllers that retransmit, an rtpengine that keeps replies by
// cookie, datagrams that are lost and doubled beside the tunnel, and streams that are cut at any
// byte, stand still and break.

namespace ringway::tunnel {
namespace {

struct Ask {
  std::string body;
  std::uint32_t asked = 0;     // datagrams that reached the tunnel
  std::uint32_t answered = 0;  // datagrams that came back
  std::uint32_t errors = 0;    // of these, errors of the tunnel
};

class World final : ControllerOutside, RelayOutside {
 public:
  explicit World(std::uint64_t seed, bool breaks)
      : random_(seed),
        breaks_(breaks),
        controller_(controller_settings(), *this, controller_numbers_, seed, {seed, 7}),
        relay_(relay_settings(), *this, relay_numbers_) {}

  void run() {
    controller_.start(now_);
    relay_.start(now_);
    for (int i = 0; i < 3000; ++i) step(i < 2400);
    for (int i = 0; i < 3000; ++i) step(false);  // all deadlines pass
    check_end();
  }

 private:
  static constexpr std::uint32_t kControllers = 5;

  static ControllerSettings controller_settings() {
    ControllerSettings settings;
    settings.relays = {{{Endpoint{}}, "relay"}};
    settings.link.message_bytes_max = kDatagramBytesMax;
    return settings;
  }
  static RelaySettings relay_settings() {
    RelaySettings settings;
    settings.target = "rtpengine";
    settings.ping = false;
    settings.link.message_bytes_max = kDatagramBytesMax;
    return settings;
  }

  bool dice(std::uint64_t in) { return random_.below(in) == 0; }

  void step(bool asks) {
    now_ += Duration(1ms) * static_cast<std::int64_t>(1 + random_.below(8));
    if (asks && dice(2)) ask();
    if (asks && breaks_ && dice(150)) break_one();
    for (auto& [place, wire] : wires_) carry(place, wire);
    while (!wires_to_drop_.empty()) {
      wires_.erase(wires_to_drop_.back());
      wires_to_drop_.pop_back();
    }
    deliver_answers();
    if (now_ >= controller_.next_deadline()) controller_.expire(now_);
    if (now_ >= relay_.next_deadline()) relay_.expire(now_);
    open_waiting();
  }

  // --- Controllers

  static SourceName name_of(std::uint32_t controller) {
    SourceName name;
    name.size = 16;
    name.address[0] = 2;
    name.address[3] = static_cast<std::uint8_t>(controller);
    return name;
  }

  void ask() {
    const auto controller = static_cast<std::uint32_t>(random_.below(kControllers));
    // Cookies of all controllers are the same on purpose; some are asked again.
    const std::string cookie = "7_" + std::to_string(random_.below(400));
    Ask& ask = asks_[{controller, cookie}];
    if (ask.body.empty()) {
      const std::size_t size = dice(10) ? random_.below(65'000) : random_.below(3000);
      ask.body = "d1:c" + std::to_string(controller) + cookie + std::string(size, 'x') + "e";
    }
    ++ask.asked;
    const std::string text = cookie + " " + ask.body;
    controller_.received(name_of(controller), as_bytes(text), now_);
  }

  ControllerOutside::Sent send_datagram(const SourceName& to, Bytes bytes) override {
    const auto message = split_message(bytes);
    EXPECT_TRUE(message);
    const auto found = asks_.find({to.address[3], std::string(message->cookie)});
    EXPECT_NE(found, asks_.end());
    if (found == asks_.end()) return ControllerOutside::Sent::Yes;
    Ask& ask = found->second;
    ++ask.answered;
    EXPECT_LE(ask.answered, ask.asked) << "answered twice";
    const std::string expected = " r" + ask.body;
    if (message->rest.find("error-reason") != message->rest.npos) {
      ++ask.errors;
    } else {
      EXPECT_EQ(message->rest, expected);
    }
    return ControllerOutside::Sent::Yes;
  }

  // --- rtpengine

  bool open_target(SlotId) override { return true; }
  void close_target(SlotId) override {}
  RelayOutside::Sent send_target(SlotId socket, Bytes bytes) override {
    if (dice(12)) return RelayOutside::Sent::Yes;  // lost beside the tunnel
    const auto message = split_message(bytes);
    EXPECT_TRUE(message);
    const std::string cookie(message->cookie), body(message->rest.substr(1));
    // Kept by the cookie alone: whoever else used it would get this reply.
    const auto [found, is_new] = replies_.emplace(cookie, "r" + body);
    if (is_new) ++executed_[body];
    const int copies = dice(12) ? 2 : 1;
    for (int i = 0; i < copies; ++i) answers_.push_back({socket, cookie + " " + found->second});
    return RelayOutside::Sent::Yes;
  }
  void deliver_answers() {
    while (!answers_.empty() && !dice(3)) {
      // Order does not matter.
      const auto which = static_cast<long>(random_.below(answers_.size()));
      const auto answer = answers_[static_cast<std::size_t>(which)];
      answers_.erase(answers_.begin() + which);
      relay_.target_received(answer.first, as_bytes(answer.second), now_);
    }
  }

  // --- The streams between

  struct Wire {
    std::uint16_t far = 0;
    std::deque<std::uint8_t> there, back;
  };
  using ControllerOutside::Sent;

  void connect(std::uint16_t link, const Endpoint&) override { waiting_.push_back(link); }
  void open_waiting() {
    const auto all = std::exchange(waiting_, {});
    for (const std::uint16_t link : all) {
      if (breaks_ && dice(3)) {
        controller_.closed(link, "refused", now_);
        continue;
      }
      const auto far = relay_.accepted(now_);
      ASSERT_TRUE(far);
      wires_[link] = Wire{*far, {}, {}};
      relay_.opened(*far, now_);
      controller_.connected(link, now_);
      controller_.opened(link, now_);
    }
  }
  void close(std::uint16_t link) override {
    // Called by whichever end finds its far end silent; the other one hears of it.
    for (auto& [place, wire] : wires_) {
      if (place == link) return wires_to_drop_.push_back(place), relay_.closed(wire.far);
    }
    for (const std::uint16_t waiting : waiting_) EXPECT_NE(waiting, link);
  }
  void break_one() {
    if (wires_.empty()) return;
    auto at = wires_.begin();
    std::advance(at, static_cast<long>(random_.below(wires_.size())));
    // What was under way arrives in part.
    const std::uint16_t place = at->first;
    carry(place, at->second);
    const std::uint16_t far = at->second.far;
    wires_.erase(place);
    relay_.closed(far);
    controller_.closed(place, "reset", now_);
  }
  void carry(std::uint16_t place, Wire& wire) {
    std::vector<std::uint8_t> bytes;
    controller_.link(place).take_output(bytes);
    wire.there.insert(wire.there.end(), bytes.begin(), bytes.end());
    relay_.link(wire.far).take_output(bytes);
    wire.back.insert(wire.back.end(), bytes.begin(), bytes.end());
    move(wire.there, [&](Bytes piece) { relay_.received(wire.far, piece, now_); });
    move(wire.back, [&](Bytes piece) { controller_.received(place, piece, now_); });
  }
  template <typename Give>
  void move(std::deque<std::uint8_t>& from, Give&& give) {
    if (dice(6)) return;  // it stands still for a moment
    for (int i = 0; i < 8 && !from.empty(); ++i) {
      const std::size_t size = 1 + random_.below(dice(2) ? 20 : 40'000);
      const auto end = from.begin() + static_cast<long>(std::min(size, from.size()));
      const std::vector<std::uint8_t> piece(from.begin(), end);
      from.erase(from.begin(), end);
      give(piece);
    }
  }
  void say(const std::string&) override {}
  void complain(std::uint16_t, const std::string&) override {}

  // --- What must hold

  void check_end() {
    std::uint32_t answers = 0, errors = 0;
    for (const auto& [key, ask] : asks_) {
      EXPECT_GE(ask.answered, 1u) << key.second << " of " << key.first << " had no answer at all";
      EXPECT_LE(ask.answered, ask.asked);
      answers += ask.answered;
      errors += ask.errors;
    }
    for (const auto& [body, times] : executed_) {
      EXPECT_EQ(times, 1) << "executed twice: " << body.substr(0, 20);
    }
    EXPECT_EQ(controller_numbers_.pending.value(), 0u);
    EXPECT_GT(answers, 500u);
    EXPECT_LT(errors, answers / 2);
  }

  Random random_;
  const bool breaks_;
  Instant now_ = Instant(1000s);
  Numbers controller_numbers_, relay_numbers_;
  ControllerEnd controller_;
  RelayEnd relay_;
  std::map<std::pair<std::uint32_t, std::string>, Ask> asks_;
  std::map<std::string, std::string> replies_;
  std::map<std::string, int> executed_;
  std::deque<std::pair<SlotId, std::string>> answers_;
  std::map<std::uint16_t, Wire> wires_;
  std::vector<std::uint16_t> wires_to_drop_, waiting_;
};

std::uint64_t seeds() {
  const char* text = std::getenv("RINGWAY_SIM_SEEDS");
  return text ? std::strtoull(text, nullptr, 10) : 25;
}

TEST(TunnelSimulation, NoMessageIsChangedLostWithoutAnErrorOrAnsweredTwice) {
  for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World(seed, seed % 2 == 0).run();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace ringway::tunnel
