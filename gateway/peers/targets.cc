#include "gateway/peers/targets.h"

#include <algorithm>

namespace ringway {
namespace {

// One socket serves endpoint if it is bound to that address or to all of this machine's. Which
// addresses those are is not known here; loopback is one of them.
bool serves(const Endpoint& bound, const Endpoint& endpoint) {
  if (bound.port != endpoint.port || bound.port == 0) return false;
  if (bound.address == endpoint.address) return true;
  return bound.address.is_any() && endpoint.address.is_loopback();
}

}  // namespace

Targets::Targets(const Config& config, const std::vector<ListenerInfo>& listeners,
                 const PeerTable& peers)
    : config_(config), listeners_(listeners), peers_(peers) {}

bool Targets::is_own(const Endpoint& endpoint) const {
  for (const ListenerInfo& listener : listeners_) {
    if (listener.config.removed) continue;
    if (serves(listener.local, endpoint) || serves(listener.config.address, endpoint)) return true;
    const auto advertised = parse_address(listener.config.advertise_host);
    if (!advertised) continue;
    const std::uint16_t port =
        listener.config.advertise_port != 0 ? listener.config.advertise_port : listener.local.port;
    if (serves({*advertised, port}, endpoint)) return true;
  }
  if (config_.admin.enabled && serves(config_.admin.address, endpoint)) return true;
  return std::ranges::any_of(config_.media.relays, [&](const RelayConfig& relay) {
    return serves(relay.address, endpoint);
  });
}

Targets::Place Targets::place_of(const Endpoint& endpoint, Instant now) const {
  const Address& address = endpoint.address;
  if (endpoint.port == 0 || address.is_any() || address.is_multicast()) return Place::Forbidden;
  // A prefix of members that covers ourselves does not make our own ports targets; a next hop that
  // is exactly there does.
  if (is_own(endpoint)) {
    return peers_.is_exactly_next_hop(endpoint, now) ? Place::Listed : Place::Forbidden;
  }
  if (peers_.is_listed(endpoint, now)) return Place::Listed;
  if (!is_private(address)) return Place::FarEnd;
  // A server at a private address is another machine, whatever the port. On loopback every port is
  // another program of this one.
  const bool listed = !address.is_loopback() && peers_.is_listed_address(address, now);
  return listed ? Place::FarEnd : Place::Forbidden;
}

}  // namespace ringway
