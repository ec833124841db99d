#include "tests/sim/gateway.h"

#include <algorithm>
#include <utility>

#include "gateway/config/tcp_twins.h"
#include "tests/sim/message.h"
#include "tests/sim/secure.h"

namespace ringway::sim {
namespace {

ListenConfig listen(Side side, Transport transport, std::string_view address) {
  ListenConfig config;
  config.name =
      std::string(side == Side::Access ? "access-" : "network-") + std::string(to_text(transport));
  config.side = side;
  if (side == Side::Access) config.admission = Admission::Open;  // guests call, too
  config.transport = transport;
  config.address = endpoint(address);
  return config;
}

// The key that all starts of the gateway share, as with key_file.
constexpr tls::MacKey kKey{1, 2, 3, 4, 5, 6, 7, 8};
constexpr std::size_t kLogRecords = 4'096;  // of one turn

}  // namespace

Config make_config() {
  Config config;
  config.listen = {
      listen(Side::Access, Transport::Wss, kWss), listen(Side::Access, Transport::Ws, kWs),
      listen(Side::Access, Transport::Tls, kTls), listen(Side::Access, Transport::Udp, kAccess),
      listen(Side::Network, Transport::Udp, kInner)};
  NextHopConfig next_hop;
  next_hop.name = "pbx";
  next_hop.host = "10.0.0.9";
  next_hop.port = 5060;
  next_hop.transport = Transport::Udp;
  next_hop.probe_interval = Duration::zero();  // cases end when nothing is under way
  config.next_hops = {next_hop};
  config.media.relays = {endpoint(kRelay)};
  config.limits.transactions = 8'192;
  config.limits.client_transactions = 8'192;
  config.limits.contexts = 4'096;
  config.limits.bindings = 1'024;
  config.limits.dialogs = 1'024;
  config.limits.flows = 512;
  config.limits.buffer_bytes = 64u << 20;
  // What nobody ends is over before the world is judged.
  config.timers.call_longest = 240s;
  config.timers.idle_connection = 60s;
  config.log_level = LogLevel::Debug;
  return config;
}

Gateway::Gateway(Tools tools, const Config& config, std::size_t shards,
                 const PerFault<double>& faults, std::shared_ptr<const NextHopSnapshot> next_hops,
                 std::shared_ptr<const FilterRules> filter)
    : tools_(tools),
      config_(config),
      machine_(tools.clock, tools.dice, tools.trace, tools.checks, tools.network),
      descriptors_(shards),
      filter_(filter),
      told_at_(shards) {
  add_tcp_twins(config_);
  for (const ListenConfig& entry : config_.listen) held_.push_back({entry, entry.address});
  seed_randomness(tools_.dice.next());
  exchange_ = std::make_unique<Exchange>(shards);
  machine_.home = endpoint("10.0.0.5:0");
  machine_.odds = faults;
  tools_.checks.gateway_started();
  for (const RelayConfig& relay : config_.media.relays) tools_.checks.allow(relay.address);
  for (const Resolution& resolution : next_hops->next_hops) {
    for (const ResolvedTarget& target : resolution.targets) tools_.checks.allow(target.endpoint);
  }
  for (std::size_t i = 0; i < shards; ++i) {
    shards_.push_back(make_shard(static_cast<ShardIndex>(i), next_hops, filter));
    const auto opened = shards_.back()->open();
    if (!opened) tools_.checks.fail("a shard does not start", opened.error());
  }
}

std::unique_ptr<ShardThread> Gateway::make_shard(
    ShardIndex index, const std::shared_ptr<const NextHopSnapshot>& next_hops,
    const std::shared_ptr<const FilterRules>& filter) {
  ShardListeners listeners;
  for (const ListenConfig& entry : config_.listen) {
    listeners.sockets.push_back(open_socket(entry, index));
    listeners.infos.push_back({entry, entry.address});
    descriptors_[index].push_back(listeners.sockets.back().fd());
  }
  logs_.push_back(std::make_unique<Log::Queue>(kLogRecords));
  ShardSetup setup{.config = config_,
                   .index = index,
                   .listeners = std::move(listeners),
                   .exchange = *exchange_,
                   .tls = server_tls(config_),
                   .pages = nullptr,
                   .filter = filter,
                   .next_hops = next_hops,
                   .token_key = kKey,
                   .log = *logs_.back(),
                   .wake_control = [this, index] {
                     tools_.clock.after(0ns, [this, index] {
                       if (!gone_) read_control(index);
                     });
                   }};
  setup.make_kernel = [this](Counters&, ShardIndex shard) {
    return machine_.make_kernel(
        shard, {[this, shard] { turn(shard); },
                [this, shard] { exchange_->waker(shard).announce_sleep(); }});
  };
  return std::make_unique<ShardThread>(std::move(setup));
}

Gateway::~Gateway() {
  kill();
}

void Gateway::kill() {
  if (std::exchange(gone_, true)) return;
  tools_.trace.line("gateway", "dies");
  machine_.kill();
  for (auto& shard : shards_) shard->end();
  for (auto& shard : shards_) shard.reset();
}

void Gateway::turn(std::size_t shard) {
  shards_[shard]->turn();
  print_log(shard);
  tools_.checks.gauges_are_sane(static_cast<ShardIndex>(shard), shards_[shard]->counters());
}

void Gateway::drain() {
  tools_.trace.line("gateway", "drains");
  draining_ = true;
  for (std::size_t i = 0; i < shards_.size(); ++i) tell(i, Drain{});
}

void Gateway::let_go() {
  for (std::size_t i = 0; i < shards_.size(); ++i) machine_.notify(static_cast<ShardIndex>(i));
}

void Gateway::tell(std::size_t shard, ToShard message) {
  if (!shards_[shard]->port().send(std::move(message))) {
    tools_.checks.fail("a shard does not read what control says");
  }
  machine_.notify(static_cast<ShardIndex>(shard));
}

void Gateway::read_control(std::size_t shard) {
  ControlPort& port = shards_[shard]->port();
  for (; FromShard* message = port.front(); port.pop()) {
    if (const auto* question = std::get_if<ResolveName>(message)) resolve(shard, *question);
    if (std::holds_alternative<Drained>(*message)) ++drained_;
    if (const auto* failed = std::get_if<ShardFailed>(message)) {
      tools_.checks.fail("a shard has ended", failed->text);
    }
  }
}

void Gateway::resolve(std::size_t shard, const ResolveName& question) {
  const auto known = names.find(question.name());
  Resolution resolution;
  resolution.outcome = Resolution::Outcome::NoSuchName;
  if (known != names.end()) {
    resolution.outcome = Resolution::Outcome::Found;
    resolution.targets.push_back({question.transport, known->second});
    tools_.checks.allow(known->second);
  }
  tools_.clock.after(tools_.dice.between(1ms, 200ms),
                     [this, shard, ticket = question.ticket, resolution] {
                       if (!gone_) tell(shard, Resolved{ticket, resolution});
                     });
}

void Gateway::print_log(std::size_t shard) {
  Log::Queue& log = *logs_[shard];
  for (; LogRecord* record = log.front(); log.pop()) {
    if (!tools_.trace.printing()) continue;
    std::string text(record->event);
    for (std::size_t i = 0; i < record->field_count; ++i) {
      const LogRecord::Field& field = record->fields[i];
      text +=
          " " + std::string(field.key) + "=" +
          (field.is_number ? std::to_string(field.number) : std::string(record->text_of(field)));
    }
    tools_.trace.line("shard " + std::to_string(shard), "log: " + text);
  }
}

std::uint32_t Gateway::probes() const {
  return static_cast<std::uint32_t>(std::ranges::count_if(
      config_.next_hops, [](const auto& hop) { return hop.probe_interval > 0s; }));
}

std::vector<const Counters*> Gateway::counters() const {
  std::vector<const Counters*> all;
  for (const auto& shard : shards_) all.push_back(&shard->counters());
  return all;
}

std::uint64_t Gateway::total(const Counter Counters::*counter) const {
  std::uint64_t total = 0;
  for (const auto& shard : shards_) total += (shard->counters().*counter).value();
  return total;
}

}  // namespace ringway::sim
