#pragma once

#include "gateway/base/slot_table.h"
#include "gateway/core/flows.h"
#include "gateway/core/response_context.h"
#include "gateway/core/services.h"
#include "gateway/routing/next_hop_set.h"

namespace ringway {

// The response contexts of one shard, their deadlines, the targets that they have left to try, and
// which of them came over which flow.
class ContextTable {
 public:
  // Both outlive this object.
  ContextTable(Services& core, Flows& flows)
      : core_(core), flows_(flows), table_(core.config.limits.contexts) {}

  ResponseContext* find(SlotId id) { return table_.find(id); }
  // For a request as received; a copy is kept. Empty: no place or no buffer.
  SlotId open(const Source& source, const Incoming& in);
  // For a request of our own: nobody waits for its response.
  SlotId open_own(sip::Method method, BufferRef request, const Source& source);
  // Takes it off its flow and frees it with its targets and its deadline.
  void release(SlotId id);

  // It went down the flow of target; those that went down one are found by next_of_target.
  void sent_down(SlotId id, const Target& target);
  // The first of those that went down that flow, or nearly so: of another shard's flows there is
  // one list, and sent_on tells them apart.
  SlotId first_sent(FlowId flow);
  // The same of those that came over access flows of other shards; source tells them apart.
  SlotId first_from_abroad() const { return abroad_.first_context; }
  // Its flow has ended: it is found as one of that no more.
  void flow_ended(ResponseContext& context, SlotId id);
  // It is found as one of that flow no more.
  void taken_back(ResponseContext& context, SlotId id);
  // Its responses go to source from now on.
  void set_source(SlotId id, const Source& source);

  void arm(SlotId id, ContextTimer timer, Instant deadline);
  void disarm(ResponseContext& context);

  // The first of list is tried now; the rest is kept for later, without room only the first.
  void set_targets(ResponseContext& context, const TargetList& list);
  bool has_another_target(const ResponseContext& context) const;
  // Precondition: has_another_target().
  void take_next_target(ResponseContext& context);

  std::uint32_t size() const { return table_.size(); }
  // One of them still waits for its final response. Looks at all.
  bool has_unanswered() const {
    for (std::uint32_t slot = 0; slot < table_.used_slots(); ++slot) {
      const ResponseContext* context = table_.at(slot);
      if (context && !context->is_answered()) return true;
    }
    return false;
  }
  // The same of those that came in or went out by that listener.
  bool has_unanswered_of(ListenerIndex listener) const {
    for (std::uint32_t slot = 0; slot < table_.used_slots(); ++slot) {
      const ResponseContext* context = table_.at(slot);
      if (!context || context->is_answered()) continue;
      if (context->source.listener == listener || context->target.listener == listener) return true;
    }
    return false;
  }
  std::uint32_t target_lists() const { return lists_.size(); }

 private:
  static constexpr std::uint32_t kTargetLists = 16'384;

  // A list of contexts that a flow has: where its links lie.
  struct FlowList {
    SlotId ResponseContext::*next;
    SlotId ResponseContext::*previous;
    SlotId FlowState::*first;
  };
  static constexpr FlowList kCameOver{&ResponseContext::next_of_flow,
                                      &ResponseContext::previous_of_flow,
                                      &FlowState::first_context};
  static constexpr FlowList kSentDown{&ResponseContext::next_of_target,
                                      &ResponseContext::previous_of_target,
                                      &FlowState::first_sent};

  void link(const FlowList& list, FlowState& flow, ResponseContext& context, SlotId id);
  void unlink(const FlowList& list, FlowState* flow, ResponseContext& context, SlotId id);
  FlowState* home_of(FlowId flow);
  void link_to_flow(SlotId id);
  void unlink_from_flow(ResponseContext& context, SlotId id);

  Services& core_;
  Flows& flows_;
  FlowState abroad_;  // the lists of all access flows of other shards: few, after a move
  SlotTable<ResponseContext> table_;
  SlotTable<TargetList> lists_{kTargetLists};
};

}  // namespace ringway
