#pragma once

#include <cstdint>
#include <vector>

#include "gateway/base/endpoint.h"
#include "gateway/base/transport.h"
#include "gateway/config/config.h"
#include "gateway/config/listener_info.h"
#include "gateway/peers/peer_table.h"
#include "protocol/base/time.h"

namespace ringway {

// Where a message may be sent on the network side. Flows of the access side are targets by their
// tokens; this is about addresses, those that a URI names and those that a name led to.
class Targets {
 public:
  // All outlive the object.
  Targets(const Config& config, const std::vector<ListenerInfo>& listeners, const PeerTable& peers);

  enum class Place : std::uint8_t {
    Listed,     // a next hop or a member: always
    FarEnd,     // only as the far end that a dialog has named
    Forbidden,  // never: nobody lives there, it is ours, a relay's or the admin page's, or it is
                // loopback, private or link-local and not listed
  };
  // Cost: one lookup and a dozen comparisons.
  Place place_of(const Endpoint& endpoint, Instant now) const;

 private:
  bool is_own(const Endpoint& endpoint) const;

  const Config& config_;
  const std::vector<ListenerInfo>& listeners_;
  const PeerTable& peers_;
};

}  // namespace ringway
