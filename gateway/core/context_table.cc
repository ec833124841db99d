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
  FlowState* flow = target.to_access ? home_of(target.flow) : nullptr;
  if (!flow) return;
  context.sent_on = target.flow;
  link(kSentDown, *flow, context, id);
}

void ContextTable::taken_back(ResponseContext& context, SlotId id) {
  const FlowId flow = std::exchange(context.sent_on, {});
  unlink(kSentDown, home_of(flow), context, id);
}

SlotId ContextTable::first_sent(FlowId flow) {
  const FlowState* home = home_of(flow);
  return home ? home->first_sent : SlotId{};
}

void ContextTable::flow_ended(ResponseContext& context, SlotId id) {
  unlink_from_flow(context, id);
  context.source.flow = {};
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
  FlowState* flow = home_of(context.source.flow);
  if (flow == &abroad_ && core_.listener(context.source.listener).side != Side::Access) return;
  if (flow) link(kCameOver, *flow, context, id);
}

FlowState* ContextTable::home_of(FlowId flow) {
  if (!flow) return nullptr;
  return flows_.is_own(flow) ? flows_.find(flow) : &abroad_;
}

void ContextTable::unlink_from_flow(ResponseContext& context, SlotId id) {
  unlink(kCameOver, home_of(context.source.flow), context, id);
}

void ContextTable::link(const FlowList& list, FlowState& flow, ResponseContext& context,
                        SlotId id) {
  context.*list.next = flow.*list.first;
  if (ResponseContext* next = table_.find(flow.*list.first)) next->*list.previous = id;
  flow.*list.first = id;
}

void ContextTable::unlink(const FlowList& list, FlowState* flow, ResponseContext& context,
                          SlotId id) {
  if (ResponseContext* next = table_.find(context.*list.next)) {
    next->*list.previous = context.*list.previous;
  }
  if (ResponseContext* previous = table_.find(context.*list.previous)) {
    previous->*list.next = context.*list.next;
  } else if (flow && flow->*list.first == id) {
    flow->*list.first = context.*list.next;
  }
  context.*list.next = context.*list.previous = {};
}

}  // namespace ringway
