#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "gateway/base/endpoint.h"
#include "gateway/base/outbox.h"
#include "gateway/base/prefix.h"
#include "gateway/config/config.h"
#include "gateway/config/listener_info.h"
#include "gateway/peers/peer.h"
#include "gateway/routing/next_hops.h"
#include "protocol/base/time.h"

namespace ringway {

// From the source of a message to its peer. An address makes a next hop or a trusted server on
// network listeners only: on an access listener whoever writes that address into a datagram stays
// a stranger. Lookups neither allocate nor change anything; publish() does both.
class PeerTable {
 public:
  // How long an address counts after its name no longer leads there: dialogs and caches of others
  // outlive the answer of DNS.
  static constexpr Duration kFormerFor = 600s;

  // Both outlive the table.
  PeerTable(const Config& config, const std::vector<ListenerInfo>& listeners);

  // The configuration has other members and trusted prefixes now.
  void config_changed();
  // The addresses of next hops and of their members, as they are known from now on.
  void publish(const NextHopSnapshot& snapshot, Instant now);

  // Kept with the flow and given back to peer_of().
  using FlowPeer = ringway::FlowPeer;
  // One that we opened. next_hop: on whose behalf; kNoNextHop: to the far end of a dialog.
  static FlowPeer opened_for(std::uint16_t next_hop);
  // One that was accepted. certificate_names: whom the verified client certificate speaks for
  // (RFC 5922 7.1), each name ended by a line feed; empty without one.
  FlowPeer accepted_with(std::string_view certificate_names) const;

  // flow: of a stream, else nullptr. registered: the flow or, over UDP, the address has a binding
  // that a next hop granted.
  Peer peer_of(const Source& source, const FlowPeer* flow, bool registered, Instant now) const;

  // The next hop whose address, former address or member that is, whatever the port; one whose
  // port fits too comes first. Peer::kNoNextHop: none.
  std::uint16_t next_hop_at(const Endpoint& endpoint, Instant now) const;
  // True if endpoint is exactly one that a next hop's name or a member leads to.
  bool is_listed(const Endpoint& endpoint, Instant now) const;
  // The same without members.
  bool is_exactly_next_hop(const Endpoint& endpoint, Instant now) const;
  // True if that address is a next hop's, whatever the port.
  bool is_listed_address(const Address& address, Instant now) const;
  // True if that next hop has host as its name or among its members, or endpoint belongs to it.
  bool is_of(std::uint16_t next_hop, std::string_view host, const Endpoint& endpoint,
             Instant now) const;
  // The next hop that has that host among its members or as its own name, or kNoNextHop.
  std::uint16_t next_hop_named(std::string_view host) const;

 private:
  struct Known {
    Endpoint endpoint;  // port 0: a member's host, any port
    std::uint16_t next_hop = 0;
    Instant until{};  // Instant::max(): it leads there now
  };
  struct MemberPrefix {
    Prefix prefix;
    std::uint16_t next_hop = 0;
  };
  static constexpr std::size_t kKnownMax = 4'096;

  void add(const Endpoint& endpoint, std::uint16_t next_hop, std::vector<Known>& out) const;
  std::span<const Known> at(const Address& address) const;
  bool is_trusted(const Address& address) const;

  const Config& config_;
  const std::vector<ListenerInfo>& listeners_;
  std::vector<Known> known_;  // sorted by address; known_.size() <= kKnownMax
  std::vector<MemberPrefix> members_;
  std::vector<Prefix> trusted_;
};

}  // namespace ringway
