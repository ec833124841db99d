#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/config/listener_info.h"
#include "gateway/filter/filter.h"
#include "gateway/routing/next_hops.h"
#include "tests/sim/checks.h"
#include "tests/sim/network.h"
#include "tests/sim/shell.h"
#include "tls/mac.h"

namespace ringway::sim {

// Where the simulated gateway listens.
inline constexpr std::string_view kWss = "198.51.100.1:8443", kWs = "198.51.100.1:8080",
                                  kTls = "198.51.100.1:5061", kAccess = "198.51.100.1:5060",
                                  kInner = "10.0.0.5:5060", kRelay = "10.0.0.7:2223";

// A configuration with all these listeners, one default next hop and a media relay.
Config make_config();

// One process: shards that know each other only by mail, as gateway/shard has it, without threads
// and without a kernel.
class Gateway {
 public:
  struct Tools {
    Clock& clock;
    Dice& dice;
    Trace& trace;
    Network& network;
    Checks& checks;
  };
  Gateway(Tools tools, const Config& config, std::size_t shards, std::uint32_t epoch,
          std::shared_ptr<const NextHopSnapshot> next_hops,
          std::shared_ptr<const FilterRules> filter);

  // The process is gone: its connections reset, nothing more is heard of it.
  void kill();
  bool is_gone() const { return gone_; }
  void drain();

  std::size_t shards() const { return shards_.size(); }
  Shell& shard(std::size_t index) { return *shards_[index]; }
  std::vector<const Counters*> counters() const;
  std::uint64_t total(const Counter Counters::*counter) const;
  // Mail to another shard arrives in order, a moment later.
  void post(ShardIndex from, ShardIndex to, Mail mail);

  const Config& config() const { return config_; }
  const std::vector<ListenerInfo>& listeners() const { return listeners_; }
  tls::Mac& mac() { return mac_; }
  std::uint32_t epoch() const { return epoch_; }
  Tools& tools() { return tools_; }

  // What the resolver knows; any other name does not exist.
  std::map<std::string, Endpoint, std::less<>> names;

 private:
  void open_doors();

  Tools tools_;
  Config config_;
  std::vector<ListenerInfo> listeners_;
  tls::Mac mac_;
  std::uint32_t epoch_;
  std::vector<std::unique_ptr<Shell>> shards_;
  std::vector<Instant> last_mail_;  // by from and to
  std::uint64_t spread_;            // which shard the kernel gives a datagram's source to
  bool gone_ = false;
};

}  // namespace ringway::sim
