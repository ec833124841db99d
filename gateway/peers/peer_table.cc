#include "gateway/peers/peer_table.h"

#include <algorithm>
#include <span>
#include <tuple>

#include "protocol/base/ascii.h"

namespace ringway {
namespace {

auto order_of(const Address& address) {
  return std::tie(address.family, address.bytes);
}

// RFC 5922 7.2: names are compared whole and without case; a wildcard speaks for nobody here.
bool covers(std::string_view name, const NextHopConfig& next_hop) {
  const auto same = [&](std::string_view own) { return ascii::equal_ignoring_case(own, name); };
  return same(next_hop.host) || std::ranges::any_of(next_hop.domains, same) ||
         std::ranges::any_of(next_hop.members, same);
}

}  // namespace

PeerTable::PeerTable(const Config& config, const std::vector<ListenerInfo>& listeners)
    : config_(config), listeners_(listeners) {
  config_changed();
}

void PeerTable::config_changed() {
  members_.clear();
  trusted_.clear();
  for (std::size_t i = 0; i < config_.next_hops.size(); ++i) {
    for (const std::string& member : config_.next_hops[i].members) {
      if (const auto prefix = parse_prefix(member)) {
        members_.push_back({*prefix, static_cast<std::uint16_t>(i)});
      }
    }
  }
  for (const TrustedConfig& trusted : config_.trusted) {
    for (const std::string& text : trusted.prefixes) {
      if (const auto prefix = parse_prefix(text)) trusted_.push_back(*prefix);
    }
  }
}

void PeerTable::add(const Endpoint& endpoint, std::uint16_t next_hop,
                    std::vector<Known>& out) const {
  const auto same = [&](const Known& known) {
    return known.endpoint == endpoint && known.next_hop == next_hop;
  };
  if (out.size() < kKnownMax && std::ranges::none_of(out, same)) {
    out.push_back({endpoint, next_hop, Instant::max()});
  }
}

void PeerTable::publish(const NextHopSnapshot& snapshot, Instant now) {
  std::vector<Known> news;
  for (std::size_t i = 0; i < snapshot.next_hops.size(); ++i) {
    for (const ResolvedTarget& target : snapshot.next_hops[i].targets) {
      add(target.endpoint, static_cast<std::uint16_t>(i), news);
    }
  }
  for (std::size_t i = 0; i < snapshot.members.size(); ++i) {
    for (const Address& address : snapshot.members[i]) {
      add({address, 0}, static_cast<std::uint16_t>(i), news);
    }
  }
  std::vector<Known> former;
  for (const Known& before : known_) {
    const Instant until = std::min(before.until, now + kFormerFor);
    const bool still = std::any_of(news.begin(), news.end(), [&](const Known& known) {
      return known.endpoint == before.endpoint && known.next_hop == before.next_hop;
    });
    if (until > now && !still) former.push_back({before.endpoint, before.next_hop, until});
  }
  former.resize(std::min(former.size(), kKnownMax - news.size()));
  news.insert(news.end(), former.begin(), former.end());
  std::ranges::stable_sort(news, {},
                           [](const Known& known) { return order_of(known.endpoint.address); });
  known_ = std::move(news);
}

PeerTable::FlowPeer PeerTable::opened_for(std::uint16_t next_hop) {
  return {next_hop == Peer::kNoNextHop, next_hop};
}

PeerTable::FlowPeer PeerTable::accepted_with(std::string_view certificate_names) const {
  FlowPeer peer;
  while (!certificate_names.empty()) {
    const std::size_t end = std::min(certificate_names.find('\n'), certificate_names.size());
    const std::string_view name = certificate_names.substr(0, end);
    certificate_names.remove_prefix(std::min(end + 1, certificate_names.size()));
    for (std::size_t i = 0; i < config_.next_hops.size() && !name.empty(); ++i) {
      if (!covers(name, config_.next_hops[i])) continue;
      peer.next_hop = static_cast<std::uint16_t>(i);
      return peer;
    }
  }
  return peer;
}

Peer PeerTable::peer_of(const Source& source, const FlowPeer* flow, bool registered,
                        Instant now) const {
  const bool network = source.listener < listeners_.size() &&
                       listeners_[source.listener].config.side == Side::Network;
  if (!network) return {registered ? PeerKind::UserAgent : PeerKind::Stranger, Peer::kNoNextHop};
  if (flow && flow->next_hop != Peer::kNoNextHop) return {PeerKind::NextHop, flow->next_hop};
  if (flow && flow->far_end) return {PeerKind::FarEnd, Peer::kNoNextHop};
  // A request that passes us twice in a row comes from our own port, and only along its dialog.
  const auto is_own = [&](const ListenerInfo& listener) {
    return !listener.config.removed && listener.local.port == source.remote.port &&
           (listener.local.address == source.remote.address ||
            (listener.local.address.is_any() && source.remote.address.is_loopback()));
  };
  if (source.transport == Transport::Udp && std::ranges::any_of(listeners_, is_own)) {
    return {PeerKind::FarEnd, Peer::kNoNextHop};
  }
  const std::uint16_t next_hop = next_hop_at(source.remote, now);
  if (next_hop != Peer::kNoNextHop) return {PeerKind::NextHop, next_hop};
  if (is_trusted(source.remote.address)) return {PeerKind::Trusted, Peer::kNoNextHop};
  return {};
}

std::span<const PeerTable::Known> PeerTable::at(const Address& address) const {
  return std::ranges::equal_range(known_, order_of(address), {}, [](const Known& known) {
    return order_of(known.endpoint.address);
  });
}

std::uint16_t PeerTable::next_hop_at(const Endpoint& endpoint, Instant now) const {
  std::uint16_t by_address = Peer::kNoNextHop;
  for (const Known& known : at(endpoint.address)) {
    if (known.until <= now) continue;
    if (known.endpoint.port == endpoint.port) return known.next_hop;
    if (by_address == Peer::kNoNextHop) by_address = known.next_hop;
  }
  if (by_address != Peer::kNoNextHop) return by_address;
  for (const MemberPrefix& member : members_) {
    if (member.prefix.contains(endpoint.address)) return member.next_hop;
  }
  return Peer::kNoNextHop;
}

bool PeerTable::is_exactly_next_hop(const Endpoint& endpoint, Instant now) const {
  return std::ranges::any_of(at(endpoint.address), [&](const Known& known) {
    return known.until > now && known.endpoint.port == endpoint.port;
  });
}

bool PeerTable::is_listed(const Endpoint& endpoint, Instant now) const {
  if (is_exactly_next_hop(endpoint, now) || is_exactly_next_hop({endpoint.address, 0}, now)) {
    return true;
  }
  return std::ranges::any_of(members_, [&](const MemberPrefix& member) {
    return member.prefix.contains(endpoint.address);
  });
}

bool PeerTable::is_listed_address(const Address& address, Instant now) const {
  return next_hop_at({address, 0}, now) != Peer::kNoNextHop;
}

bool PeerTable::is_of(std::uint16_t next_hop, std::string_view host, const Endpoint& endpoint,
                      Instant now) const {
  if (next_hop >= config_.next_hops.size()) return false;
  const NextHopConfig& config = config_.next_hops[next_hop];
  const auto same = [&](std::string_view own) { return ascii::equal_ignoring_case(own, host); };
  if (same(config.host) || std::ranges::any_of(config.members, same)) return true;
  const auto known = at(endpoint.address);
  return std::ranges::any_of(known, [&](const Known& one) {
           return one.next_hop == next_hop && one.until > now;
         }) ||
         std::ranges::any_of(members_, [&](const MemberPrefix& member) {
           return member.next_hop == next_hop && member.prefix.contains(endpoint.address);
         });
}

std::uint16_t PeerTable::next_hop_named(std::string_view host) const {
  for (std::size_t i = 0; i < config_.next_hops.size(); ++i) {
    const NextHopConfig& next_hop = config_.next_hops[i];
    const auto same = [&](std::string_view own) { return ascii::equal_ignoring_case(own, host); };
    if (same(next_hop.host) || std::ranges::any_of(next_hop.members, same)) {
      return static_cast<std::uint16_t>(i);
    }
  }
  return Peer::kNoNextHop;
}

bool PeerTable::is_trusted(const Address& address) const {
  return std::ranges::any_of(trusted_,
                             [&](const Prefix& prefix) { return prefix.contains(address); });
}

}  // namespace ringway
