#pragma once

#include <vector>

#include "gateway/base/outbox.h"
#include "gateway/core/services.h"
#include "gateway/routing/next_hop_set.h"
#include "gateway/transaction/layer.h"

namespace ringway {

// OPTIONS to next hops, so that a dead one is known before a call finds out.
class Probes {
 public:
  // All outlive this object.
  Probes(Services& core, TransactionLayer& transactions, NextHopSet& next_hops)
      : core_(core), transactions_(transactions), next_hops_(next_hops) {}

  // Arms the first deadline of each next hop; once.
  void start(Instant now);
  // Others may have come, or want to be probed at all; places do not move.
  void next_hops_changed(Instant now);
  // The deadline of a next hop, or what once() names: one OPTIONS to each of its addresses.
  void due(SlotId probe, Instant now, Outbox& outbox);
  // For a deadline beside those that come again and again.
  static constexpr SlotId once(std::uint16_t next_hop) { return {next_hop, 2}; }
  // The same beside its deadline, whether or not it is probed at all.
  void ask_now(std::uint16_t next_hop, Instant now, Outbox& outbox);
  // status 0: no answer, which was counted as a failure already.
  void answered(const Target& target, sip::Status status, Instant now, Outbox& outbox);
  // A request that was too large for a datagram did not get there by TCP; every shard is told.
  void tcp_refused(const Endpoint& remote, Instant now, Outbox& outbox);

 private:
  void send(std::uint16_t next_hop, Instant now, Outbox& outbox);
  void arm(std::size_t next_hop, Instant now);
  void ask(std::uint16_t index, const Target& target, Instant now, Outbox& outbox);
  void ask_by_tcp(std::uint16_t index, const Target& target, Instant now, Outbox& outbox);
  static void announce_tcp(const Endpoint& remote, bool up, Outbox& outbox);
  BufferRef write(const NextHopConfig& next_hop, const Target& target, SlotId client);

  Services& core_;
  TransactionLayer& transactions_;
  NextHopSet& next_hops_;
  std::vector<TimerWheel::Handle> timers_;  // by next hop
};

}  // namespace ringway
