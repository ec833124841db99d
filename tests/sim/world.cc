#include "tests/sim/world.h"

#include <string>
#include <utility>

#include "gateway/transport/bounds.h"
#include "tests/sim/message.h"

namespace ringway::sim {
namespace {

std::string next_hop_host(std::size_t index) {
  return "10.0.0." + std::to_string(9 + index);
}

}  // namespace

World::World(std::uint64_t seed, Settings settings)
    : trace(clock, settings.printing),
      dice(seed),
      checks(clock, trace),
      network(clock, dice, trace),
      settings_(std::move(settings)) {
  checks.may_forget = settings_.tight;
  checks.may_reorder = settings_.faults[Fault::Again] != 0;
  const NextHopConfig first = settings_.config.next_hops.front();
  settings_.config.next_hops.clear();
  for (std::size_t i = 0; i < settings_.next_hops; ++i) {
    NextHopConfig next_hop = first;
    next_hop.name = "pbx-" + std::to_string(i);
    next_hop.host = next_hop_host(i);
    next_hop.priority = static_cast<std::uint16_t>(i);
    settings_.config.next_hops.push_back(next_hop);
    Resolution resolution;
    resolution.outcome = Resolution::Outcome::Found;
    resolution.targets.push_back(
        {first.transport.value_or(Transport::Udp), endpoint(next_hop.host + ":5060")});
    snapshot_->next_hops.push_back(resolution);
    pbxs_.push_back(std::make_unique<Pbx>(tools(), next_hop.host + ":5060", location_));
    pbxs_.back()->media_relayed = !settings_.config.media.relays.empty();
  }
  for (const NextHopConfig& other : settings_.others) {
    settings_.config.next_hops.push_back(other);
    Resolution resolution;
    resolution.outcome = Resolution::Outcome::Found;
    resolution.targets.push_back({Transport::Udp, endpoint(other.host + ":5060")});
    snapshot_->next_hops.push_back(resolution);
    pbxs_.push_back(std::make_unique<Pbx>(tools(), other.host + ":5060",
                                          other_locations_.emplace_back()));
  }
  if (!settings_.config.media.relays.empty()) relay = std::make_unique<MediaRelay>(tools());
  start_gateway();
}

void World::start_gateway() {
  std::shared_ptr<const FilterRules> filter;
  if (settings_.filter) {
    FilterRules::Rule rule;
    rule.name = "scanner";
    rule.match = FilterRules::Match::Prefix;
    rule.text = "friendly-scanner";
    filter = std::make_shared<const FilterRules>(std::vector{rule});
  }
  gateway_ = std::make_unique<Gateway>(tools(), settings_.config, settings_.shards,
                                       settings_.faults, snapshot_, std::move(filter));
}

std::uint64_t World::hits(Fault fault) const {
  std::uint64_t sum = gateway_->machine().hits[fault];
  for (const auto& gone : gone_) sum += gone->machine().hits[fault];
  return sum;
}

void World::restart_gateway() {
  gateway_->kill();
  gone_.push_back(std::move(gateway_));
  start_gateway();
}

void World::reload(const std::function<void(Config&)>& change) {
  change(settings_.config);
  gateway_->reload(settings_.config);
}

Device& World::add_device(Device::Kind kind) {
  devices.push_back(
      std::make_unique<Device>(tools(), static_cast<int>(devices.size()), kind, relay != nullptr));
  return *devices.back();
}

bool World::step(Instant end) {
  return clock.step(end) && !checks.failed();
}

bool World::run(Duration time) {
  const Instant end = clock.now() + time;
  clock.at(end, [] {});
  while (step(end)) {
  }
  return !checks.failed();
}

bool World::run_until(const std::function<bool()>& condition, Duration limit) {
  const Instant end = clock.now() + limit;
  clock.at(end, [] {});
  while (!condition()) {
    if (!step(end)) return false;
  }
  return true;
}

bool World::is_probing() {
  if (gateway_->probes() == 0) return false;
  for (std::size_t i = 0; i < gateway_->shards(); ++i) {
    if (gateway_->shard(i).core().occupancy().client_transactions != 0) return true;
  }
  return false;
}

bool World::is_asking_relays() {
  for (std::size_t i = 0; i < gateway_->shards(); ++i) {
    if (gateway_->shard(i).counters().ng_pending.value() != 0) return true;
  }
  return false;
}

void World::settle() {
  trace.line("world", "settles");
  network.weather = {};
  gateway_->machine().odds = {};
  if (relay) {
    relay->late = relay->error = 0;
    relay->serve(true);
  }
  for (auto& pbx : pbxs_) pbx->mode = Pbx::Mode::Serves;
  run(3s);  // until connections that are being made are there
  for (auto& device : devices) device->disconnect(Device::Leave::Close);
  // Longer than timer C, the last binding and the patience of every agent.
  if (!run(500s)) return;
  // Probes and the relays' pings never end; between two of them there is a moment without any.
  for (int i = 0; i < 10; ++i) {
    run_until([this] { return !is_probing() && !is_asking_relays(); }, 120s);
    gateway_->let_go();
    run(1ms);
    if (!is_probing() && !is_asking_relays()) break;
  }
  checks.each_request_was_answered(gateway_->counters());
  for (std::size_t i = 0; i < gateway_->shards(); ++i) {
    const ShardThread& shard = gateway_->shard(i);
    auto occupancy = shard.core().occupancy();
    for (const CallInfo& call : shard.core().calls(10, clock.now())) {
      trace.line("left over", std::string(call.call_id) + " " + std::string(call.state) + " flow " +
                                  std::to_string(call.flow.value()));
    }
    occupancy.deadlines -= std::min(occupancy.deadlines, gateway_->probes());
    checks.is_empty(static_cast<ShardIndex>(i), occupancy, shard.counters(),
                    shard.counters().buffers_in_use.value());
  }
  if (gateway_->is_draining()) checks.fail("the drain does not end");
  // Probes keep connections to next hops, and those theirs to us.
  const Config& config = gateway_->config();
  const std::size_t kept = gateway_->shards() * (bounds::kSpareDescriptors +
                                                 config.media.relays.size() + pbxs_.size()) +
                           pbxs_.size();
  if (gateway_->machine().open_streams() > kept) checks.fail("descriptors are still open");
  if (gateway_->machine().open_sockets() != gateway_->listening()) {
    checks.fail(std::to_string(gateway_->machine().open_sockets()) + " sockets are open for " +
                std::to_string(gateway_->listening()) + " listeners");
  }
  // Without memory for a delete the relay is left to find out by itself.
  const bool told = relay && !relay->forgot && !was_restarted() && !settings_.tight;
  if (told && !relay->sessions.empty()) {
    checks.fail("the media relay still has a session", relay->sessions.begin()->first);
  }
}

}  // namespace ringway::sim
