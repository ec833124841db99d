#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "gateway/base/outbox.h"
#include "gateway/core/call_info.h"
#include "gateway/core/calls.h"
#include "gateway/core/probes.h"
#include "gateway/core/relay_watch.h"
#include "gateway/core/services.h"
#include "gateway/media/relay_set.h"
#include "gateway/routing/next_hop_set.h"

namespace ringway {

// What a person asks of a running shard. A command names entries by what a list shows of them, and
// says on how many it was carried out; 0: none has that name.
class Commands {
 public:
  struct Parts {  // all outlive this object
    Services& core;
    NextHopSet& next_hops;
    RelaySet& relays;
    Calls& calls;
    RelayWatch& relay_watch;
    Probes& probes;
  };
  explicit Commands(const Parts& parts);

  // Views are lent until the next call of the core.
  std::vector<NextHopInfo> next_hops(Instant now) const;

  std::uint32_t end_calls(std::string_view call_id, Instant now, Outbox& outbox);
  std::uint32_t hold_next_hop(std::string_view name, bool held);
  std::uint32_t probe_next_hop(std::string_view name, Instant now, Outbox& outbox);
  std::uint32_t hold_relay(std::string_view address, bool held);
  std::uint32_t probe_relay(std::string_view address, Instant now, Outbox& outbox);
  // A reload may have removed some: whoever takes such a place over is not held.
  void next_hops_changed();
  // The time of the service drain is over: every call ends.
  void release_calls(Instant now, Outbox& outbox);

 private:
  std::uint32_t for_next_hops(std::string_view name, auto work);
  std::uint32_t for_relays(std::string_view address, auto work);

  Services& core_;
  NextHopSet& next_hops_;
  RelaySet& relays_;
  Calls& calls_;
  RelayWatch& relay_watch_;
  Probes& probes_;
};

}  // namespace ringway
