#include "gateway/core/flows.h"

namespace ringway {

void Flows::opened(const FlowInfo& info, const PeerTable::FlowPeer& peer) {
  if (info.flow.slot() >= states_.size()) return;
  FlowState& flow = states_[info.flow.slot()];
  flow = {};
  flow.generation = info.flow.generation();
  flow.live = true;
  flow.opened_by_us = info.opened_by_us;
  flow.from_proxy = info.from_proxy;
  flow.transport = info.transport;
  flow.listener = info.listener;
  flow.remote = info.remote;
  flow.peer = peer;
}

FlowState* Flows::find(FlowId flow) {
  FlowState* state = find_ended(flow);
  return state && state->live ? state : nullptr;
}

FlowState* Flows::find_ended(FlowId flow) {
  if (!flow || !is_own(flow) || flow.slot() >= states_.size()) return nullptr;
  FlowState& state = states_[flow.slot()];
  return state.generation == flow.generation() ? &state : nullptr;
}

void Flows::ended_elsewhere(FlowId flow) {
  if (is_own(flow) || flow.slot() >= kSlots) return;
  auto& ended = ended_elsewhere_[flow.shard()];
  if (!ended) ended = std::make_unique<ReservedArray<std::uint32_t>>(kSlots);
  (*ended)[flow.slot()] = flow.generation();
}

bool Flows::has_ended_elsewhere(FlowId flow) const {
  const auto& ended = ended_elsewhere_[flow.shard()];
  return ended && flow.slot() < kSlots && (*ended)[flow.slot()] >= flow.generation();
}

}  // namespace ringway
