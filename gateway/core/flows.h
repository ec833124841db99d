#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "gateway/base/flow_id.h"
#include "gateway/base/flow_info.h"
#include "gateway/base/reserved_array.h"
#include "gateway/base/slot_table.h"
#include "gateway/peers/peer_table.h"

namespace ringway {

// The signalling half of a connection. What hangs on it is linked by its owner: user agents by
// Registrations, requests by ContextTable.
struct FlowState {
  std::uint32_t generation = 0;
  bool live = false;
  bool opened_by_us = false;
  bool from_proxy = false;  // as FlowInfo has it
  Transport transport = Transport::Tcp;
  ListenerIndex listener = kNoListener;
  Endpoint remote;
  PeerTable::FlowPeer peer;       // whom it belongs to by itself
  std::uint32_t first_agent = 0;  // slot + 1: user agents registered over it
  SlotId first_context;           // requests that came over it and are not answered yet
  bool tarpit = false;            // it is held, and whatever comes over it gets no answer
  SlotId first_sent;              // requests that went down it and have no final response
};

// The established connections of this shard.
class Flows {
 public:
  explicit Flows(ShardIndex shard) : shard_(shard), states_(kSlots) {}

  void opened(const FlowInfo& info, const PeerTable::FlowPeer& peer);
  // nullptr: ended, another shard's, or none.
  FlowState* find(FlowId flow);
  // Also one that has ended, as long as its slot is not used again.
  FlowState* find_ended(FlowId flow);
  bool is_own(FlowId flow) const { return flow.shard() == shard_; }
  // A flow of another shard has ended: it said so.
  void ended_elsewhere(FlowId flow);
  // True if another shard has said that of flow, or of a later one in its slot.
  bool has_ended_elsewhere(FlowId flow) const;

 private:
  static constexpr std::uint32_t kSlots = 1u << 17;

  ShardIndex shard_;
  ReservedArray<FlowState> states_;
  // By shard and slot: the newest generation that has ended. Made for a shard when it speaks.
  std::array<std::unique_ptr<ReservedArray<std::uint32_t>>, 256> ended_elsewhere_;
};

}  // namespace ringway
