#include "gateway/core/flow_recovery.h"

#include <utility>

#include "protocol/sip/parse.h"

namespace ringway {
namespace {

Target target_of(const UserAgent& agent) {
  Target target;
  target.to_access = true;
  target.user_agent = agent.hash;
  target.aim_at(agent.source);
  return target;
}

}  // namespace

FlowRecovery::FlowRecovery(const Parts& parts)
    : core_(parts.core),
      flows_(parts.flows),
      contexts_(parts.contexts),
      registrations_(parts.registrations),
      calls_(parts.calls),
      steps_(parts.steps),
      sender_(parts.sender),
      results_(parts.results),
      askers_(parts.askers),
      cancels_(parts.cancels),
      responses_(parts.responses) {}

// --- A user agent ------------------------------------------------------------------------------

void FlowRecovery::agent_changed(const Registrations::Change& change, Instant now, Outbox& outbox) {
  const UserAgent* agent = registrations_.get(change.agent);
  if (!agent) return;
  using Kind = Registrations::Change::Kind;
  switch (change.kind) {
    case Kind::Away:
      return calls_.agent_away(*agent, now);
    case Kind::Here:
      return agent_here(*agent, change, now, outbox);
    case Kind::Gone:
      agent_gone(*agent, change, now, outbox);
      return registrations_.release(change.agent);
  }
}

void FlowRecovery::agent_here(const UserAgent& agent, const Registrations::Change& change,
                              Instant now, Outbox& outbox) {
  calls_.agent_here(agent, now);
  const Target target = target_of(agent);
  const Source source = agent.source;
  // What went down its old flow and has no answer, whether or not that flow is known to be dead.
  if (change.old_flow != source.flow) {
    for (SlotId next = contexts_.first_sent(change.old_flow);
         ResponseContext* context = contexts_.find(next);) {
      const SlotId id = next;
      next = context->next_of_target;
      if (context->sent_on == change.old_flow && context->target.user_agent == target.user_agent) {
        send_again(id, target, now, outbox);
      }
    }
  }
  for (SlotId next = registrations_.take_waiting(change.agent);
       ResponseContext* context = contexts_.find(next);) {
    const SlotId id = next;
    next = std::exchange(context->next_waiting, {});
    if (context->awaits_return) {
      send_again(id, target, now, outbox);
    } else {
      steps_.resume(id, now, outbox);
    }
  }
  asker_back(agent, now, outbox);
}

// A user agent that has rung hears the CANCEL, any other one the request.
void FlowRecovery::send_again(SlotId id, const Target& target, Instant now, Outbox& outbox) {
  sender_.send_again(id, target, outbox);
  cancels_.cancel_again(id, target, now, outbox);
}

// Its requests that wait for it have their responses from now on where it is.
void FlowRecovery::asker_back(const UserAgent& agent, Instant now, Outbox& outbox) {
  const Source source = agent.source;
  for (SlotId next = registrations_.take_asking(registrations_.find(agent.hash));
       ResponseContext* context = contexts_.find(next);) {
    const SlotId id = next;
    next = std::exchange(context->next_asking, {});
    askers_.follow_asker(id, source, now, outbox);
  }
}

void FlowRecovery::agent_gone(const UserAgent& agent, const Registrations::Change& change,
                              Instant now, Outbox& outbox) {
  calls_.agent_gone(agent, change.left, now);
  for (SlotId next = registrations_.take_waiting(change.agent);
       ResponseContext* context = contexts_.find(next);) {
    const SlotId id = next;
    next = std::exchange(context->next_waiting, {});
    context->awaits_return = false;
    core_.counters.waits_expired.add();
    responses_.fail(id, context->is_cancelled() ? 487 : 480, {}, now, outbox);
  }
  for (SlotId next = registrations_.take_asking(change.agent);
       ResponseContext* context = contexts_.find(next);) {
    const SlotId id = next;
    next = std::exchange(context->next_asking, {});
    askers_.asker_gone(id, now, outbox);
  }
}

// --- A flow ------------------------------------------------------------------------------------

// What came over it or went down it waits for its user agent to come back on another one.
void FlowRecovery::flow_ended(FlowId id, Instant now, Outbox& outbox) {
  FlowState* flow = flows_.find(id);
  if (!flow) return;
  const Side side = core_.listener(flow->listener).side;
  for (SlotId next = flow->first_context; ResponseContext* context = contexts_.find(next);) {
    const SlotId here = next;
    next = context->next_of_flow;
    context->next_of_flow = context->previous_of_flow = {};
    asker_lost_flow(here, *context, side, id, now, outbox);
  }
  flow->first_context = {};
  for (SlotId next = flow->first_sent; ResponseContext* context = contexts_.find(next);) {
    const SlotId here = next;
    next = context->next_of_target;
    context->next_of_target = context->previous_of_target = {};
    context->sent_on = {};
    wait_for_return(*context, here, now);
  }
  flow->first_sent = {};
  flow->live = false;
  registrations_.flow_ended(*flow, id, now, outbox);
  calls_.flow_ended(id, now);
  Output::Announcement& gone = outbox.add(Output::Kind::Announce).announcement;
  gone.kind = Output::Announcement::Kind::FlowGone;
  gone.flow = id;
}

void FlowRecovery::flow_ended_elsewhere(FlowId id, Instant now, Outbox& outbox) {
  for (SlotId next = contexts_.first_from_abroad();
       ResponseContext* context = contexts_.find(next);) {
    const SlotId here = next;
    next = context->next_of_flow;
    if (context->source.flow != id) continue;
    const std::uint64_t agent = asker_of(*context);
    contexts_.flow_ended(*context, here);
    wait_for_asker(here, *context, agent, id, now, outbox);
  }
  for (SlotId next = contexts_.first_sent(id); ResponseContext* context = contexts_.find(next);) {
    const SlotId here = next;
    next = context->next_of_target;
    if (context->sent_on != id) continue;
    const UserAgent* agent = registrations_.get(registrations_.find(context->target.user_agent));
    if (agent && !agent->away && agent->source.flow != id) {
      send_again(here, target_of(*agent), now, outbox);
      continue;
    }
    contexts_.taken_back(*context, here);
    wait_for_return(*context, here, now);
  }
}

// Where nobody can come back, an INVITE is called off: its caller can hear no answer any more.
void FlowRecovery::asker_lost_flow(SlotId id, ResponseContext& context, Side side, FlowId flow,
                                   Instant now, Outbox& outbox) {
  const std::uint64_t agent = asker_of(context);
  context.source.flow = {};
  if (side == Side::Access) return wait_for_asker(id, context, agent, flow, now, outbox);
  if (!context.is_answered() && !context.asker_away) askers_.reconnect_asker(id, outbox);
}

void FlowRecovery::wait_for_asker(SlotId id, ResponseContext& context, std::uint64_t agent,
                                  FlowId flow, Instant now, Outbox& outbox) {
  if (context.is_answered() || context.asker_away) return;
  if (agent != 0) {
    registrations_.ask(agent, id);
    const UserAgent& asker = *registrations_.get(registrations_.find(agent));
    if (!asker.away && asker.source.flow != flow) asker_back(asker, now, outbox);
  } else if (context.method == sip::Method::Invite) {
    results_.cancel(id, nullptr, now, outbox);
  }
}

// The user agent that sent the request; 0: none that is known.
std::uint64_t FlowRecovery::asker_of(const ResponseContext& context) {
  std::string_view from;
  if (sip::parse_message(context.request.bytes(), sip::Framing::Datagram, request_)) {
    from = request_.value(sip::HeaderName::From);
  }
  const std::uint64_t agent = registrations_.user_agent_of(context.source, from);
  const Call* call = calls_.get(context.call);
  if (!call || agent != 0) return agent;
  // It has registered over another flow meanwhile.
  const std::uint64_t party = call->party(context.from).target.user_agent;
  return registrations_.get(registrations_.find(party)) ? party : 0;
}

// False: it has no user agent that could come back.
bool FlowRecovery::wait_for_return(ResponseContext& context, SlotId id, Instant now) {
  if (context.is_answered() || context.own || !context.has_open_branches()) return false;
  if (context.awaits_return) return true;
  const std::uint64_t user_agent = context.target.user_agent;
  if (!registrations_.get(registrations_.find(user_agent))) return false;
  context.user_agent = user_agent;
  context.awaits_return = true;
  registrations_.wait(user_agent, id, now + core_.config.timers.grace);
  return true;
}

// A request to a user agent whose flow died with it: it goes down the newer flow, or waits for one.
bool FlowRecovery::survives(const ClientTransaction& client, Instant now, Outbox& outbox) {
  ResponseContext* context = contexts_.find(client.context);
  if (!context || !client.target.to_access || !client.target.flow) return false;
  const UserAgent* agent = registrations_.get(registrations_.find(client.target.user_agent));
  if (!agent) return false;
  if (!agent->away && agent->source.flow != client.target.flow) {
    Target target = client.target;
    target.aim_at(agent->source);
    send_again(client.context, target, now, outbox);
    return true;
  }
  return wait_for_return(*context, client.context, now);
}

}  // namespace ringway
