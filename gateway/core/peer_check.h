#pragma once

#include <array>
#include <cstdint>

#include "gateway/core/flows.h"
#include "gateway/core/registrations.h"
#include "gateway/core/services.h"
#include "gateway/peers/peer_table.h"
#include "gateway/peers/rights.h"
#include "gateway/routing/route_preprocess.h"

namespace ringway {

// The one place where a request is asked, on its way in, who sent it and what that peer may do.
class PeerCheck {
 public:
  // All outlive this object.
  PeerCheck(Services& core, Flows& flows, Registrations& registrations, const PeerTable& peers)
      : core_(core), flows_(flows), registrations_(registrations), peers_(peers) {}

  Peer peer_of(const Source& source, Instant now);
  // For another shard: with what only this one knows of its flow.
  Source with_peer(const Source& source) const;
  // True for what gets no answer whatever it asks: a stranger on the network side. Counted, and
  // logged with the lines of configuration that would let him in.
  bool is_dropped(const Source& source, const Peer& peer, const sip::MessageView& request,
                  Instant now);
  // What the request may do. route: what preprocess_route() made of it.
  Right right_of(const Source& source, const Peer& peer, const Incoming& in,
                 const RoutePreprocess& route) const;

 private:
  static constexpr Duration kLoggedAgainAfter = 60s;
  struct Logged {
    Address address;
    Instant at{};
  };

  void log_stranger(const Source& source, const sip::MessageView& request, Instant now);

  Services& core_;
  Flows& flows_;
  Registrations& registrations_;
  const PeerTable& peers_;
  std::array<Logged, 64> logged_{};  // by a hash of the address
};

// True for OPTIONS that asks about ourselves: it names us, no user, and no Route but ours.
bool asks_about_us(const Incoming& in, const OwnUris& own, bool listed_monitor);

}  // namespace ringway
