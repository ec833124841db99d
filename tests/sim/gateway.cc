#include "tests/sim/gateway.h"

#include <algorithm>

#include "protocol/base/keyed_hash.h"
#include "tests/sim/message.h"

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
  config.limits.buffer_bytes = 64u << 20;
  // A call between phones on UDP that nobody ends is over before the world is judged.
  config.timers.call_longest = 240s;
  config.log_level = LogLevel::Debug;
  return config;
}

Gateway::Gateway(Tools tools, const Config& config, std::size_t shards, std::uint32_t epoch,
                 std::shared_ptr<const NextHopSnapshot> next_hops,
                 std::shared_ptr<const FilterRules> filter)
    : tools_(tools),
      config_(config),
      mac_(kKey),
      epoch_(epoch),
      last_mail_(shards * shards),
      spread_(tools.dice.next()) {
  for (const ListenConfig& entry : config_.listen) listeners_.push_back({entry, entry.address});
  for (const ListenConfig& entry : config_.listen) {
    if (entry.transport != Transport::Udp || !entry.tcp_twin) continue;
    ListenConfig twin = entry;
    twin.transport = Transport::Tcp;
    twin.name = entry.name + "-tcp";
    twin.twin_of = entry.name;
    listeners_.push_back({twin, twin.address});
  }
  tools_.checks.gateway_started();
  for (const Resolution& resolution : next_hops->next_hops) {
    for (const ResolvedTarget& target : resolution.targets) tools_.checks.allow(target.endpoint);
  }
  for (std::size_t i = 0; i < shards; ++i) {
    shards_.push_back(
        std::make_unique<Shell>(*this, static_cast<ShardIndex>(i), shards, tools_.dice.next()));
  }
  open_doors();
  for (auto& shard : shards_) shard->start(next_hops, filter);
}

// The kernel spreads connections over the shards' sockets, and datagrams by their source.
void Gateway::open_doors() {
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    const auto index = static_cast<ListenerIndex>(i);
    if (listeners_[i].config.transport == Transport::Udp) {
      tools_.network.bind(listeners_[i].local,
                          [this, index](const Endpoint& from, std::string_view bytes) {
                            if (gone_) return;
                            const HashKey key{spread_, index};
                            const std::uint64_t hash = keyed_hash(key, to_string(from));
                            shards_[hash % shards_.size()]->receive_datagram(index, from, bytes);
                          });
    } else {
      tools_.network.listen(listeners_[i].local,
                            [this, index](const Endpoint& from,
                                          std::shared_ptr<Wire> wire) -> std::optional<Wire::End> {
                              if (gone_) return std::nullopt;
                              return shards_[tools_.dice.below(shards_.size())]->accept(index, from,
                                                                                        wire);
                            });
    }
  }
}

void Gateway::post(ShardIndex from, ShardIndex to, Mail mail) {
  if (to >= shards_.size()) return tools_.checks.fail("mail to a shard that is not there");
  Instant& last = last_mail_[from * shards_.size() + to];
  last = std::max(last, tools_.clock.now() + tools_.dice.between(2us, 400us));
  tools_.clock.at(last, [this, to, mail = std::make_shared<Mail>(std::move(mail))] {
    if (!gone_) shards_[to]->receive_mail(*mail);
  });
}

void Gateway::drain() {
  tools_.trace.line("gateway", "drains");
  for (const ListenerInfo& listener : listeners_) {
    if (listener.config.transport != Transport::Udp) {
      tools_.network.stop_listening(listener.local);
    }
  }
  for (auto& shard : shards_) shard->drain();
}

void Gateway::kill() {
  tools_.trace.line("gateway", "dies");
  gone_ = true;
  for (auto& shard : shards_) shard->kill();
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
