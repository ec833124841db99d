#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "tests/sim/checks.h"
#include "tests/sim/clock.h"
#include "tests/sim/device.h"
#include "tests/sim/dice.h"
#include "tests/sim/gateway.h"
#include "tests/sim/media_relay.h"
#include "tests/sim/network.h"
#include "tests/sim/pbx.h"
#include "tests/sim/trace.h"

namespace ringway::sim {

// Everything there is, made from one seed.
class World {
 public:
  struct Settings {
    std::size_t shards = 2;
    Config config = make_config();
    std::size_t next_hops = 1;  // 10.0.0.9 and the ones after it, by priority
    std::vector<NextHopConfig> others;  // behind those; each has users of its own
    bool filter = false;                // drops scanners by their User-Agent
    bool tight = false;         // its limits are so low that it must refuse and forget
    PerFault<double> faults;  // of the kernel
    bool printing = false;
  };
  explicit World(std::uint64_t seed) : World(seed, Settings{}) {}
  World(std::uint64_t seed, Settings settings);
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Device& add_device(Device::Kind kind);
  Pbx& pbx(std::size_t index = 0) { return *pbxs_[index]; }
  std::size_t pbxs() const { return pbxs_.size(); }
  Gateway& gateway() { return *gateway_; }
  // The process ends without a word and a new one starts, with the same key.
  void restart_gateway();
  // The configuration file is changed and read again; a restart reads it, too.
  void reload(const std::function<void(Config&)>& change);
  // How often the kernels of all processes did that.
  std::uint64_t hits(Fault fault) const;
  bool was_restarted() const { return !gone_.empty(); }

  // One event, and what has to be true after it. False: nothing is left until end, or a check
  // failed.
  bool step(Instant end = kNever);
  // All that happens in that time. False: a check failed.
  bool run(Duration time);
  // Until condition holds; false if it does not within limit, or a check failed.
  bool run_until(const std::function<bool()>& condition, Duration limit = 60s);
  // Everybody leaves, the weather clears up, all timers run out: then nothing may be left.
  void settle();

  Clock clock;
  Trace trace;
  Dice dice;
  Checks checks;
  Network network;

 private:
  Gateway::Tools tools() { return {clock, dice, trace, network, checks}; }
  void start_gateway();
  bool is_probing();
  bool is_asking_relays();

  Settings settings_;
  std::shared_ptr<NextHopSnapshot> snapshot_ = std::make_shared<NextHopSnapshot>();
  Location location_;
  std::deque<Location> other_locations_;
  std::vector<std::unique_ptr<Gateway>> gone_;  // their callbacks still point there
  std::unique_ptr<Gateway> gateway_;
  std::vector<std::unique_ptr<Pbx>> pbxs_;

 public:
  std::unique_ptr<MediaRelay> relay;  // null: none is configured
  std::vector<std::unique_ptr<Device>> devices;
};

}  // namespace ringway::sim
