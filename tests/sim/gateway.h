#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/filter/filter.h"
#include "gateway/routing/next_hops.h"
#include "gateway/shard/exchange.h"
#include "gateway/shard/shard_thread.h"
#include "tests/sim/checks.h"
#include "tests/sim/machine.h"
#include "tests/sim/network.h"

namespace ringway::sim {

// Where the simulated gateway listens.
inline constexpr std::string_view kWss = "198.51.100.1:8443", kWs = "198.51.100.1:8080",
                                  kTls = "198.51.100.1:5061", kAccess = "198.51.100.1:5060",
                                  kInner = "10.0.0.5:5060", kRelay = "10.0.0.7:2223";

// A configuration with all these listeners, one default next hop and a media relay.
Config make_config();

// One process: the program's own shards (turns, streams, datagrams, TLS, mailboxes, drain) on a
// made-up computer, and of the control thread what they cannot do without.
class Gateway {
 public:
  struct Tools {
    Clock& clock;
    Dice& dice;
    Trace& trace;
    Network& network;
    Checks& checks;
  };
  Gateway(Tools tools, const Config& config, std::size_t shards, const PerFault<double>& faults,
          std::shared_ptr<const NextHopSnapshot> next_hops,
          std::shared_ptr<const FilterRules> filter);
  ~Gateway();

  // The process is gone: its connections reset, nothing more is heard of it.
  void kill();
  void drain();
  // SIGHUP: file is the configuration from now on, on each shard a moment later.
  void reload(Config file);
  // Each shard has a turn: what it has lent to others comes back in that.
  void let_go();
  // It was asked to, and not every shard has said that it has.
  bool is_draining() const { return draining_ && drained_ != shards_.size(); }

  std::size_t shards() const { return shards_.size(); }
  const ShardThread& shard(std::size_t index) const { return *shards_[index]; }
  std::vector<const Counters*> counters() const;
  std::uint64_t total(const Counter Counters::*counter) const;
  Machine& machine() { return machine_; }
  const Machine& machine() const { return machine_; }
  // Probes are armed for good on each shard; everything else has to end.
  std::uint32_t probes() const;

  const Config& config() const { return config_; }
  // Listeners that no reload has taken away, on all shards.
  std::size_t listening() const;

  // What the resolver knows; any other name does not exist.
  std::map<std::string, Endpoint, std::less<>> names;

 private:
  std::unique_ptr<ShardThread> make_shard(ShardIndex index,
                                          const std::shared_ptr<const NextHopSnapshot>& next_hops,
                                          const std::shared_ptr<const FilterRules>& filter);
  Socket open_socket(const ListenConfig& listen, ShardIndex shard);
  std::vector<NewListener> open_more(ShardIndex shard, const std::vector<AddedPlace>& added);
  void take_over(ShardIndex shard, PublishConfig publish);
  void turn(std::size_t shard);
  void tell(std::size_t shard, ToShard message);
  void read_control(std::size_t shard);
  void resolve(std::size_t shard, const ResolveName& question);
  void print_log(std::size_t shard);

  Tools tools_;
  Config config_;
  Machine machine_;
  std::unique_ptr<Exchange> exchange_;
  std::vector<std::unique_ptr<Log::Queue>> logs_;
  std::vector<std::unique_ptr<ShardThread>> shards_;
  std::vector<std::vector<int>> descriptors_;  // by shard and place; -1: it has none
  std::vector<ListenerInfo> held_;             // by place, as the shards are to have them
  std::shared_ptr<const FilterRules> filter_;
  std::uint64_t generation_ = 1;
  std::vector<Instant> told_at_;  // by shard: its latest configuration
  std::size_t drained_ = 0;  // shards
  bool draining_ = false;
  bool gone_ = false;
};

}  // namespace ringway::sim
