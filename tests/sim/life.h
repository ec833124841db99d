#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/sim/dice.h"
#include "tests/sim/world.h"

namespace ringway::sim {

// Some of what a kernel may do to a program, so that none hides another; now and then nothing.
PerFault<double> draw_faults(Dice& dice);

// A world whose every detail is drawn from its seed, and what people do in it: they register, call,
// cancel, hang up, lose their connections and come back, while the next hops, the media relay and
// the gateway itself have their bad moments, and strangers try their luck.
class Life {
 public:
  Life(std::uint64_t seed, bool printing);

  // Lives it to its end and beyond. Empty, or what was wrong.
  std::string live();
  World& world() { return world_; }

 private:
  // Each calls itself again, a moment later, while life goes on.
  void device_acts(Device& device);
  void extension_acts(Pbx& pbx, const std::string& user);
  void fate_acts();
  void reload();

  void act(Device& device);
  void act_in_call(UserAgent& agent);
  void come_back(Device& device);
  void stranger_acts(Device& device);
  std::string forged_route(const UserAgent& agent);
  std::string somebody();
  Answer draw_answer();
  int draw_status();
  template <typename T>
  const T& one_of(const std::vector<T>& list) {
    return list[dice_.below(list.size())];
  }

  Dice dice_;  // of this life's beginning
  World world_;
  Instant end_;
  std::vector<std::string> extensions_;
  std::vector<ListenConfig> gone_;  // listeners that the configuration has no more
  bool drained_ = false;
};

}  // namespace ringway::sim
