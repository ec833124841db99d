#include "gateway/core/context_table.h"

#include "gateway/base/subject.h"
#include "protocol/sip/header_values.h"

namespace ringway {

using sip::HeaderName;

SlotId ContextTable::open(const Source& source, const Incoming& in) {
  BufferRef copy = core_.buffers.copy(as_bytes(in.view.text()));
  const SlotId id = copy ? table_.take() : SlotId{};
  if (!id) return {};
  ResponseContext& context = *table_.find(id);
  context.source = source;
  context.request = std::move(copy);
  context.method = in.view.method();
  context.initial = in.essentials.to_tag.empty();
  context.session_timer = in.view.has(HeaderName::SessionExpires) &&
                          sip::lists_token(in.view, HeaderName::Supported, "timer");
  if (source.flow) link_to_flow(id);
  return id;
}

SlotId ContextTable::open_own(sip::Method method, BufferRef request, const Source& source) {
  const SlotId id = table_.take();
  if (!id) return {};
  ResponseContext& context = *table_.find(id);
  context.own = true;
  context.method = method;
  context.request = std::move(request);
  context.source = source;
  return id;
}

void ContextTable::release(SlotId id) {
  ResponseContext& context = *table_.find(id);
  disarm(context);
  if (lists_.find(context.more_targets)) lists_.release(context.more_targets);
  unlink_from_flow(context, id);
  taken_back(context, id);
  table_.release(id);
}

void ContextTable::sent_down(SlotId id, const Target& target) {
  ResponseContext& context = *table_.find(id);
  taken_back(context, id);
  FlowState* flow = target.to_access ? flows_.find(target.flow) : nullptr;
  if (!flow) return;
  context.sent_on = target.flow;
  context.next_of_target = flow->first_sent;
  if (ResponseContext* next = table_.find(flow->first_sent)) next->previous_of_target = id;
  flow->first_sent = id;
}

void ContextTable::taken_back(ResponseContext& context, SlotId id) {
  if (ResponseContext* next = table_.find(context.next_of_target)) {
    next->previous_of_target = context.previous_of_target;
  }
  if (ResponseContext* previous = table_.find(context.previous_of_target)) {
    previous->next_of_target = context.next_of_target;
  } else if (FlowState* flow = flows_.find(context.sent_on); flow && flow->first_sent == id) {
    flow->first_sent = context.next_of_target;
  }
  context.next_of_target = context.previous_of_target = {};
  context.sent_on = {};
}

void ContextTable::set_source(SlotId id, const Source& source) {
  ResponseContext& context = *table_.find(id);
  unlink_from_flow(context, id);
  context.source = source;
  if (source.flow) link_to_flow(id);
}

void ContextTable::arm(SlotId id, ContextTimer timer, Instant deadline) {
  ResponseContext& context = *table_.find(id);
  core_.wheel.cancel(context.timer);
  context.timer_for = timer;
  context.timer = core_.wheel.arm(deadline, subject_value(Subject::Context, id));
}

void ContextTable::disarm(ResponseContext& context) {
  core_.wheel.cancel(context.timer);
  context.timer_for = ContextTimer::None;
}

void ContextTable::set_targets(ResponseContext& context, const TargetList& list) {
  context.target = list.targets[0];
  context.user_agent = context.target.user_agent;
  context.next_target = 1;
  if (lists_.find(context.more_targets)) lists_.release(context.more_targets);
  context.more_targets = list.count > 1 ? lists_.take(list) : SlotId{};
}

bool ContextTable::has_another_target(const ResponseContext& context) const {
  const TargetList* list = lists_.find(context.more_targets);
  return list && context.next_target < list->count;
}

void ContextTable::take_next_target(ResponseContext& context) {
  context.target = lists_.find(context.more_targets)->targets[context.next_target++];
}

void ContextTable::link_to_flow(SlotId id) {
  ResponseContext& context = *table_.find(id);
  FlowState* flow = flows_.find(context.source.flow);
  if (!flow) return;
  context.next_of_flow = flow->first_context;
  if (ResponseContext* next = table_.find(flow->first_context)) next->previous_of_flow = id;
  flow->first_context = id;
}

void ContextTable::unlink_from_flow(ResponseContext& context, SlotId id) {
  if (ResponseContext* next = table_.find(context.next_of_flow)) {
    next->previous_of_flow = context.previous_of_flow;
  }
  if (ResponseContext* previous = table_.find(context.previous_of_flow)) {
    previous->next_of_flow = context.next_of_flow;
  } else if (FlowState* flow = flows_.find(context.source.flow);
             flow && flow->first_context == id) {
    flow->first_context = context.next_of_flow;
  }
  context.next_of_flow = context.previous_of_flow = {};
}

}  // namespace ringway
