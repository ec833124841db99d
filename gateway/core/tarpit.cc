#include "gateway/core/tarpit.h"

#include "gateway/base/subject.h"

namespace ringway {

bool Tarpit::holds(const Source& source) {
  if (held_ == 0 || !source.flow) return false;
  const FlowState* flow = flows_.find(source.flow);
  return flow && flow->tarpit;
}

bool Tarpit::hold(FlowId id, Instant now) {
  FlowState* flow = flows_.find(id);
  if (!flow || held_ >= kHeldMax) return false;
  flow->tarpit = true;
  ++held_;
  core_.counters.tarpitted.add();
  core_.wheel.arm(now + kHeld, subject_value(Subject::Tarpit, {id.slot(), id.generation()}));
  return true;
}

void Tarpit::over(SlotId slot, Outbox& outbox) {
  --held_;
  const FlowId id(core_.shard, slot.slot, slot.generation);
  if (flows_.find(id)) outbox.close_flow(id, 1008);
}

}  // namespace ringway
