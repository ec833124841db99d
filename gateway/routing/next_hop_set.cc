#include "gateway/routing/next_hop_set.h"

#include <algorithm>

#include "gateway/config/listener_info.h"
#include "protocol/base/ascii.h"

namespace ringway {
namespace {

constexpr std::uint8_t kFailuresUntilDown = 2;
constexpr Duration kDownFor = 30s;
constexpr Duration kTcpRefusedFor = 300s;

bool names_domain(const NextHopConfig& next_hop, std::string_view domain) {
  return std::ranges::any_of(next_hop.domains, [&](const std::string& own) {
    return ascii::equal_ignoring_case(own, domain);
  });
}

}  // namespace

NextHopSet::NextHopSet(const Config& config, const std::vector<ListenerInfo>& listeners,
                       Counters& counters, Log& log, Random& random)
    : config_(config),
      listeners_(listeners),
      counters_(counters),
      log_(log),
      random_(random),
      snapshot_(std::make_shared<NextHopSnapshot>()) {
  find_groups();
}

ListenerIndex NextHopSet::listener_for(Transport transport, Family family,
                                       std::uint16_t next_hop) const {
  std::string_view wanted;
  if (next_hop < config_.next_hops.size()) wanted = config_.next_hops[next_hop].send_from;
  const auto found = std::ranges::find_if(listeners_, [&](const ListenerInfo& listener) {
    return !wanted.empty() && !listener.config.removed && listener.config.name == wanted;
  });
  const ListenerInfo* named = found == listeners_.end() ? nullptr : &*found;
  ListenerIndex fallback = kNoListener;
  int best_fit = 0;
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    const ListenerInfo& listener = listeners_[i];
    const ListenConfig& config = listener.config;
    if (config.removed || config.transport != transport || listener.local.family() != family) {
      continue;
    }
    const auto index = static_cast<ListenerIndex>(i);
    if (!wanted.empty() && (config.name == wanted || config.twin_of == wanted)) return index;
    const bool network = config.side == Side::Network;
    // The listener that is wanted speaks another transport: one on its address is next of kin.
    const int fit = !network ? 1 : named && named->local.address == listener.local.address ? 3 : 2;
    if (fit == 1 && !wanted.empty()) continue;
    if (fit > best_fit) {
      fallback = index;
      best_fit = fit;
    }
  }
  return fallback;
}

NextHopSet::Outcome NextHopSet::select_next_hop(std::uint16_t next_hop, Instant now,
                                                TargetList& out) {
  Outcome outcome = Outcome::AllDown;
  for (const Wanted wanted : {Wanted::Healthy, Wanted::NotHeldOff, Wanted::HeldOff}) {
    outcome = select_targets(next_hop, wanted, Silent::Tried, now, out);
    if (outcome != Outcome::AllDown) break;
  }
  return outcome;
}

bool NextHopSet::is_open_to(std::uint16_t next_hop, Side from) const {
  if (next_hop >= config_.next_hops.size()) return false;
  const NextHopFrom open_to = config_.next_hops[next_hop].from;
  return open_to == NextHopFrom::Both ||
         open_to == (from == Side::Access ? NextHopFrom::Access : NextHopFrom::Network);
}

std::uint16_t NextHopSet::group_of(std::uint16_t next_hop) const {
  return next_hop < groups_.size() ? groups_[next_hop] : 0;
}

// A group's number is that of its first member, plus one.
void NextHopSet::find_groups() {
  const auto& all = config_.next_hops;
  groups_.resize(all.size(), 0);
  for (std::size_t i = 0; i < all.size(); ++i) {
    groups_[i] = static_cast<std::uint16_t>(i + 1);
    for (std::size_t j = 0; j < i; ++j) {
      const bool both_default = all[i].domains.empty() && all[j].domains.empty();
      const bool shared = std::ranges::any_of(
          all[i].domains, [&](const std::string& domain) { return names_domain(all[j], domain); });
      if (!both_default && !shared) continue;
      const std::uint16_t mine = groups_[i], other = groups_[j];
      for (std::size_t k = 0; k <= i; ++k) {
        if (groups_[k] == std::max(mine, other)) groups_[k] = std::min(mine, other);
      }
    }
  }
}

NextHopSet::Outcome NextHopSet::select_targets(std::uint16_t next_hop, Wanted wanted,
                                               Silent silent, Instant now, TargetList& out) {
  if (next_hop >= snapshot_->next_hops.size()) return Outcome::NotResolved;
  const Resolution& resolution = snapshot_->next_hops[next_hop];
  if (resolution.targets.empty()) return Outcome::NotResolved;
  bool any_up = false, any_listener = false;
  std::array<std::uint8_t, 32> order;
  const std::size_t count = draw_order(resolution.targets, order);
  for (std::size_t i = 0; i < count; ++i) {
    const ResolvedTarget& resolved = resolution.targets[order[i]];
    const ListenerIndex listener =
        listener_for(resolved.transport, resolved.endpoint.family(), next_hop);
    if (listener == kNoListener) continue;
    any_listener = true;
    const bool held_off = is_held_off(resolved.endpoint, resolved.transport, now);
    if (held_off != (wanted == Wanted::HeldOff)) continue;
    if (wanted == Wanted::Healthy && !is_up(resolved.endpoint, resolved.transport, now)) continue;
    if (silent == Silent::Left && is_silent(resolved.endpoint, resolved.transport, now)) {
      probe_wanted_.set(next_hop);
      continue;
    }
    any_up = true;
    Target target;
    target.transport = resolved.transport;
    target.remote = resolved.endpoint;
    target.listener = listener;
    target.next_hop = next_hop;
    out.add(std::move(target));
  }
  if (any_up) return Outcome::Found;
  return any_listener ? Outcome::AllDown : Outcome::NoListener;
}

// RFC 2782: within a priority each is drawn in proportion to its weight, anew for each request.
std::size_t NextHopSet::draw_order(const std::vector<ResolvedTarget>& targets,
                                   std::array<std::uint8_t, 32>& order) {
  const std::size_t count = std::min(targets.size(), order.size());
  for (std::size_t i = 0; i < count; ++i) order[i] = static_cast<std::uint8_t>(i);
  for (std::size_t first = 0; first + 1 < count; ++first) {
    const ResolvedTarget& head = targets[order[first]];
    std::uint64_t sum = 0;
    std::size_t last = first;
    while (last < count && targets[order[last]].priority == head.priority &&
           targets[order[last]].transport == head.transport) {
      sum += targets[order[last++]].weight;
    }
    if (sum == 0) continue;
    std::uint64_t drawn = random_.below(sum);
    for (std::size_t i = first; i < last; ++i) {
      const std::uint16_t weight = targets[order[i]].weight;
      if (drawn < weight) {
        const auto at = [&](std::size_t place) {
          return order.begin() + static_cast<std::ptrdiff_t>(place);
        };
        std::rotate(at(first), at(i), at(i + 1));
        break;
      }
      drawn -= weight;
    }
  }
  return count;
}

void NextHopSet::select_for_probe(std::uint16_t next_hop, TargetList& out) const {
  if (next_hop >= snapshot_->next_hops.size()) return;
  for (const ResolvedTarget& resolved : snapshot_->next_hops[next_hop].targets) {
    Target target;
    target.transport = resolved.transport;
    target.remote = resolved.endpoint;
    target.listener = listener_for(resolved.transport, resolved.endpoint.family(), next_hop);
    target.next_hop = next_hop;
    if (target.listener != kNoListener) out.add(std::move(target));
  }
}

NextHopSet::Outcome NextHopSet::select(std::string_view domain, Side from, bool explicit_only,
                                       Instant now, TargetList& out) {
  struct Candidate {
    std::uint16_t next_hop, priority;
    std::uint64_t draw;  // larger first: weight decides how large it tends to be
  };
  std::array<Candidate, 32> candidates;
  std::size_t count = 0;
  bool by_domain = false, any_serves = false, any_open = false;
  for (const NextHopConfig& next_hop : config_.next_hops) {
    by_domain |= !next_hop.removed && names_domain(next_hop, domain);
  }
  if (!by_domain && explicit_only) return Outcome::NoRoute;
  for (std::size_t i = 0; i < config_.next_hops.size() && count < candidates.size(); ++i) {
    const NextHopConfig& next_hop = config_.next_hops[i];
    if (next_hop.removed) continue;
    if (by_domain ? !names_domain(next_hop, domain) : !next_hop.domains.empty()) continue;
    any_serves = true;
    if (!is_open_to(static_cast<std::uint16_t>(i), from)) continue;
    any_open = true;
    if (held_.test(i)) continue;
    candidates[count++] = {static_cast<std::uint16_t>(i), next_hop.priority, next_hop.weight};
  }
  if (count == 0 && any_open) return Outcome::AllDown;
  if (count == 0) return any_serves ? Outcome::NotOpen : Outcome::NoRoute;
  if (count > 1) {
    // RFC 2782 in short: draw within a priority, each in proportion to its weight. Few, in the
    // configuration's order where nothing else decides, and no memory: inserted one by one.
    const auto begin = candidates.begin(), end = begin + static_cast<std::ptrdiff_t>(count);
    for (auto it = begin; it != end; ++it) {
      const auto place = std::upper_bound(
          begin, it, *it,
          [](const Candidate& a, const Candidate& b) { return a.priority < b.priority; });
      std::rotate(place, it, it + 1);
    }
    for (auto first = begin; first != end; ++first) {
      const auto last = std::find_if(first, end, [&](const Candidate& candidate) {
        return candidate.priority != first->priority;
      });
      std::uint64_t sum = 0;
      for (auto it = first; it != last; ++it) sum += it->draw;
      if (sum == 0) continue;
      std::uint64_t drawn = random_.below(sum);
      for (auto it = first; it != last; ++it) {
        if (drawn < it->draw) {
          std::rotate(first, it, it + 1);
          break;
        }
        drawn -= it->draw;
      }
    }
  }
  Outcome first = Outcome::NotResolved;
  for (const Wanted wanted : {Wanted::Healthy, Wanted::NotHeldOff, Wanted::HeldOff}) {
    for (std::size_t i = 0; i < count; ++i) {
      const Outcome outcome =
          select_targets(candidates[i].next_hop, wanted, Silent::Left, now, out);
      if (i == 0) first = outcome;
    }
    if (out.count != 0) return Outcome::Found;
  }
  return first;
}

std::uint16_t NextHopSet::find_by_uri(const sip::Uri& uri, std::uint16_t rather) const {
  const auto fits = [&](const NextHopConfig& next_hop) {
    const bool port_fits = uri.port == next_hop.port || (uri.port == 0 && next_hop.port == 5060) ||
                           (uri.port == 5060 && next_hop.port == 0);
    return port_fits && !next_hop.removed && ascii::equal_ignoring_case(next_hop.host, uri.host);
  };
  if (rather < config_.next_hops.size() && fits(config_.next_hops[rather])) return rather;
  for (std::size_t i = 0; i < config_.next_hops.size(); ++i) {
    if (fits(config_.next_hops[i])) return static_cast<std::uint16_t>(i);
  }
  return kNone;
}

std::uint16_t NextHopSet::next_hop_of(const Endpoint& endpoint) const {
  for (std::size_t i = 0; i < snapshot_->next_hops.size(); ++i) {
    if (i < config_.next_hops.size() && config_.next_hops[i].removed) continue;
    for (const ResolvedTarget& target : snapshot_->next_hops[i].targets) {
      if (target.endpoint.address == endpoint.address) return static_cast<std::uint16_t>(i);
    }
  }
  return kNone;
}

bool NextHopSet::is_next_hop(const Endpoint& source) const {
  for (const Resolution& resolution : snapshot_->next_hops) {
    for (const ResolvedTarget& target : resolution.targets) {
      if (target.endpoint == source) return true;
    }
  }
  return false;
}

NextHopSet::Health* NextHopSet::health(const Endpoint& endpoint, Transport transport) {
  for (std::size_t i = 0; i < next_health_ && i < health_.size(); ++i) {
    Health& entry = health_[i];
    if (entry.transport == transport && entry.endpoint == endpoint) return &entry;
  }
  return nullptr;
}

NextHopSet::Health& NextHopSet::take_health(const Endpoint& endpoint, Transport transport) {
  if (Health* entry = health(endpoint, transport)) return *entry;
  Health& entry = health_[next_health_ % health_.size()];
  ++next_health_;
  if (entry.counted_down) counters_.next_hop_down.subtract();
  entry = {};
  entry.endpoint = endpoint;
  entry.transport = transport;
  return entry;
}

bool NextHopSet::is_up(const Endpoint& endpoint, Transport transport, Instant now) const {
  if (next_health_ == 0) return true;
  const Health* entry = health(endpoint, transport);
  return !entry || (entry->down_until <= now && entry->held_until <= now);
}

// Down, and no call could find out that it is back sooner than a probe does.
bool NextHopSet::is_silent(const Endpoint& endpoint, Transport transport, Instant now) const {
  const Health* entry = next_health_ == 0 ? nullptr : health(endpoint, transport);
  return entry && entry->down_until > now && entry->answers_probes && entry->probe_waits;
}

std::uint16_t NextHopSet::take_probe_wanted(Instant now) {
  for (std::size_t i = 0; probe_wanted_.any() && i < probe_wanted_.size(); ++i) {
    if (!probe_wanted_.test(i)) continue;
    probe_wanted_.reset(i);
    if (now < probe_wanted_at_[i]) continue;
    probe_wanted_at_[i] = now + kProbeAgain;
    return static_cast<std::uint16_t>(i);
  }
  return kNone;
}

bool NextHopSet::is_held_off(const Endpoint& endpoint, Transport transport, Instant now) const {
  const Health* entry = next_health_ == 0 ? nullptr : health(endpoint, transport);
  return entry && entry->held_until > now;
}

void NextHopSet::failed(const Target& target, Instant now) {
  if (target.to_access || target.next_hop == kNone) return;
  Health& entry = take_health(target.remote, target.transport);
  if (entry.failures < 255) ++entry.failures;
  if (entry.failures < kFailuresUntilDown) return;
  if (!entry.counted_down) {
    const EndpointText text(target.remote);
    log_.warning("next_hop_down", {{"next_hop", config_.next_hops[target.next_hop].name},
                                   {"address", text.text()},
                                   {"transport", to_text(target.transport)}});
    counters_.next_hop_down.add();
    entry.counted_down = true;
  }
  entry.down_until = std::max(entry.down_until, now + kDownFor);
}

void NextHopSet::probe_sent(const Target& target, Instant now) {
  const bool waits = std::exchange(take_health(target.remote, target.transport).probe_waits, true);
  if (waits) failed(target, now);
}

void NextHopSet::probe_answered(const Target& target) {
  if (target.next_hop == kNone) return;
  take_health(target.remote, target.transport).answers_probes = true;
  succeeded(target);
}

void NextHopSet::probe_refused(const Target& target) {
  if (Health* entry = health(target.remote, target.transport)) entry->probe_waits = false;
}

void NextHopSet::succeeded(const Target& target) {
  if (next_health_ == 0 || target.next_hop == kNone) return;
  Health* entry = health(target.remote, target.transport);
  if (!entry) return;
  entry->probe_waits = false;
  if (entry->failures == 0) return;
  if (entry->counted_down) {
    const EndpointText text(target.remote);
    log_.info("next_hop_up", {{"next_hop", config_.next_hops[target.next_hop].name},
                              {"address", text.text()},
                              {"transport", to_text(target.transport)}});
    counters_.next_hop_down.subtract();
    entry->counted_down = false;
  }
  entry->failures = 0;
  entry->down_until = {};
  entry->held_until = {};
}

void NextHopSet::hold_off(const Target& target, Instant until) {
  if (target.next_hop == kNone) return;
  Health& entry = take_health(target.remote, target.transport);
  entry.held_until = std::max(entry.held_until, until);
}

void NextHopSet::tcp_refused(const Endpoint& endpoint, Instant now) {
  take_health(endpoint, Transport::Udp).no_tcp_until = now + kTcpRefusedFor;
}

bool NextHopSet::is_tcp_refused(const Endpoint& endpoint, Instant now) const {
  const Health* entry = next_health_ == 0 ? nullptr : health(endpoint, Transport::Udp);
  return entry && entry->no_tcp_until > now;
}

bool NextHopSet::wants_tcp_probe(const Endpoint& endpoint, Duration interval, Instant now) const {
  const Health* entry = next_health_ == 0 ? nullptr : health(endpoint, Transport::Udp);
  return entry && entry->no_tcp_until > now && entry->no_tcp_until <= now + 2 * interval;
}

void NextHopSet::tcp_works(const Endpoint& endpoint) {
  if (next_health_ != 0) take_health(endpoint, Transport::Udp).no_tcp_until = {};
}

}  // namespace ringway
