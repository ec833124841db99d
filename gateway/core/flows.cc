#include "gateway/core/flows.h"

namespace ringway {

void Flows::opened(const FlowInfo& info) {
  if (info.flow.slot() >= states_.size()) return;
  FlowState& flow = states_[info.flow.slot()];
  flow = {};
  flow.generation = info.flow.generation();
  flow.live = true;
  flow.opened_by_us = info.opened_by_us;
  flow.transport = info.transport;
  flow.listener = info.listener;
  flow.remote = info.remote;
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

}  // namespace ringway
