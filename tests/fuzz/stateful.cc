#include "tests/fuzz/targets.h"
#include "tests/fuzz/two_shards.h"

// Sequences of messages, flows and time over two shards. The input is a script: each step is a byte
// that says what happens, and the bytes that it needs.

namespace ringway::fuzz {
namespace {

// What the script has left; zeros behind its end.
class Script {
 public:
  explicit Script(Bytes input) : data_(input.data()), left_(input.size()) {}
  bool empty() const { return left_ == 0; }
  std::uint8_t next() {
    if (left_ == 0) return 0;
    --left_;
    return *data_++;
  }
  std::string_view take(std::size_t size) {
    size = std::min(size, left_);
    const std::string_view text(reinterpret_cast<const char*>(data_), size);
    data_ += size;
    left_ -= size;
    return text;
  }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

constexpr Duration kTimes[] = {1ms, 100ms, 500ms, 1s, 4s, 12s, 32s, 180s, 600s, 4'000s};
constexpr int kStatuses[] = {100, 180, 183, 200, 202, 302, 401, 403, 404, 407,
                             408, 480, 486, 487, 488, 491, 500, 503, 600, 603};

void step(TwoShards& world, Script& script) {
  switch (script.next() % 12) {
    case 0:
    case 1: {
      const std::uint8_t who = script.next(), what = script.next(), which = script.next();
      return world.user_sends(who, what, which);
    }
    case 2: {
      const std::uint8_t what = script.next(), which = script.next();
      return world.pbx_sends(what, which);
    }
    case 3:
    case 4: {
      const std::uint8_t which = script.next();
      return world.pbx_answers(which, kStatuses[script.next() % std::size(kStatuses)]);
    }
    case 5: {
      const std::uint8_t which = script.next();
      return world.user_answers(which, kStatuses[script.next() % std::size(kStatuses)]);
    }
    case 6: {
      const std::uint8_t which = script.next();
      return world.in_dialog(which, script.next());
    }
    case 7:
      return world.advance(kTimes[script.next() % std::size(kTimes)]);
    case 8:
      return world.toggle_flow(script.next());
    case 9: {  // what somebody once sent, from anywhere, with a few other bytes
      const std::uint8_t which = script.next(), from = script.next(), count = script.next() % 4;
      std::string text = world.earlier(which);
      for (int i = 0; i < count && !text.empty(); ++i) {
        const std::size_t at = (script.next() * std::size_t{256} + script.next()) % text.size();
        text[at] = static_cast<char>(script.next());
      }
      return world.deliver_from(from, text);
    }
    case 10: {
      const std::uint8_t from = script.next();
      return world.deliver_from(from, script.take(script.next()));
    }
    case 11:
      return world.switch_state(script.next());
  }
}

}  // namespace

void check_stateful(Bytes input) {
  Script script(input);
  TwoShards world;
  for (int steps = 0; steps < 400 && !script.empty(); ++steps) step(world, script);
  world.end();
}

}  // namespace ringway::fuzz
