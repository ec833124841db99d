#include "gateway/core/parts.h"
#include "protocol/sip/build.h"
#include "protocol/sip/header_values.h"
#include "protocol/sip/parse.h"

// Responses: to their client transaction by the branch alone, then to the context, which forwards
// provisional and 2xx responses at once and otherwise the best final one (RFC 3261 16.7).

namespace ringway {
namespace {

using sip::HeaderName;
using sip::Method;

// RFC 3261 16.7 item 6: 6xx first, then the lowest class; within 4xx those that tell the caller
// how to do better.
int rank(sip::Status status) {
  if (status >= 600) return 0;
  const int by_class = status / 100 * 10;
  const bool helpful =
      status == 401 || status == 407 || status == 415 || status == 420 || status == 484;
  return by_class + (helpful ? 0 : 5);
}

// A client that was challenged answers within that time, or not at all.
constexpr Duration kChallengeAnswered = 10s;

bool is_challenge(sip::Status status) {
  return status == 401 || status == 407;
}

}  // namespace

void ProxyCore::Parts::receive_response(const Source& source, Bytes bytes, const Incoming& in,
                                        Instant now, Outbox& outbox) {
  const auto branch = sip::parse_branch(in.essentials.via.branch);
  if (!branch) {
    counters.stray_responses.add();
    return drop(DropReason::StrayResponse);
  }
  if (branch->shard != shard) {
    Output& output = outbox.add(Output::Kind::HandOver);
    output.shard = branch->shard;
    output.source = source;
    output.buffer = buffers.copy(bytes);
    counters.handed_over.add();
    if (!output.buffer) outbox.items().pop_back();
    return;
  }
  const SlotId client = transactions.find_client(*branch, in.essentials.cseq.method);
  if (!client) {
    counters.stray_responses.add();  // RFC 6026 7.3: never forwarded
    return drop(DropReason::StrayResponse);
  }
  ClientTransaction& transaction = *transactions.client(client);
  const sip::Status status = in.view.status();
  const SlotId context = transaction.context;
  const std::uint8_t index = transaction.branch_index;
  if (status != 503) next_hops.succeeded(transaction.target);
  const auto outcome = transactions.response_received(client, status, now, outbox);
  if (outcome.send_ack) {
    sip::MessageView& invite = other_view;
    if (sip::parse_message(transaction.request.bytes(), sip::Framing::Datagram, invite)) {
      BufferRef ack = buffers.take(transaction.request.size() + in.view.headers_end());
      if (ack) {
        Writer out(ack.space());
        sip::write_ack(invite, in.view, out);
        ack.set_size(out.size());
        if (!out.overflowed()) transactions.send_ack(client, std::move(ack), outbox);
      }
    }
  }
  if (outcome.to_user) {
    if (transaction.own != Subject::None) {
      own_response(client, in, now, outbox);
    } else if (contexts.find(context)) {
      take_response(context, index, in, now, outbox);
    } else if (sip::is_provisional(status)) {
      cancel_client(client, now, outbox);  // nobody waits for it any more
    }
  }
  if (outcome.terminated) client_outcome(client, outcome, status, now, outbox);
}

// Requests of our own: the probe's answer counts, others only have to end.
void ProxyCore::Parts::own_response(SlotId client, const Incoming& in, Instant now, Outbox&) {
  const ClientTransaction& transaction = *transactions.client(client);
  if (transaction.own == Subject::Probe) {
    probe_answered(transaction.own_value, transaction.target, in.view.status(), now);
  }
}

// A client transaction timed out, lost its transport or is over.
void ProxyCore::Parts::client_outcome(SlotId client, const TransactionLayer::Outcome& outcome,
                                      sip::Status status, Instant now, Outbox& outbox) {
  ClientTransaction* transaction = transactions.client(client);
  if (!transaction) return;
  const SlotId context_id = transaction->context;
  const std::uint8_t index = transaction->branch_index;
  const bool failed = outcome.timeout || outcome.transport_error;
  if (failed && !outcome.given_up) next_hops.failed(transaction->target, now);
  if (failed && transaction->own == Subject::Probe) {
    probe_answered(transaction->own_value, transaction->target, 0, now);
  }
  const bool for_size = transaction->target.tcp_for_size;
  if (outcome.terminated) transactions.release_client(client);
  ResponseContext* context = contexts.find(context_id);
  if (!context || index >= context->branch_count) return;
  if (outcome.terminated) context->branches[index].client = {};
  if (failed && context->branches[index].final_status == 0 && !context->answered) {
    if (outcome.transport_error && for_size && !context->cancelled) {
      // TCP was only for the size; where it is refused UDP has to do (RFC 3261 18.1.1).
      --context->branches_open;
      context->branches[index].final_status = 503;
      counters.back_to_udp.add();
      sip::Essentials essentials;
      if (context->branch_count < ResponseContext::kBranchesMax &&
          sip::parse_message(context->request.bytes(), sip::Framing::Datagram, view) &&
          sip::validate_request(view, essentials).ok()) {
        return forward(context_id, {view, essentials}, now, outbox);
      }
      ++context->branches_open;
      context->branches[index].final_status = 0;
    }
    return branch_ended(context_id, index, status, nullptr, now, outbox);
  }
  // A context that has passed on a 2xx to INVITE lives as long as its client transactions.
  if (context->answered && outcome.terminated) {
    for (std::uint8_t i = 0; i < context->branch_count; ++i) {
      if (transactions.client(context->branches[i].client)) return;
    }
    end_context(context_id, now, outbox);
  }
}

void ProxyCore::Parts::take_response(SlotId id, std::uint8_t index, const Incoming& in, Instant now,
                                     Outbox& outbox) {
  ResponseContext& context = *contexts.find(id);
  ClientBranch& branch = context.branches[index];
  const sip::Status status = in.view.status();
  if (status == 100) {
    if (context.timer_for == ContextTimer::FirstAnswer) {
      disarm(context);
      if (context.method == Method::Invite) {
        arm(id, ContextTimer::TimerC, now + config.timers.timer_c);
      }
    }
    if (branch.cancelled) cancel_client(branch.client, now, outbox);
    return;
  }
  if (sip::is_provisional(status)) {
    if (branch.cancelled) return cancel_client(branch.client, now, outbox);
    if (context.method != Method::Invite || context.answered) return;
    arm(id, ContextTimer::TimerC, now + config.timers.timer_c);
  } else if (!sip::is_success(status)) {
    return branch_ended(id, index, status, &in, now, outbox);
  } else {
    if (branch.final_status == 0) {
      branch.final_status = status;
      --context.branches_open;
    }
    disarm(context);
    // The call is decided; the other branches are called off (16.7 item 10).
    if (context.method == Method::Invite && context.branches_open != 0) {
      cancel_branches(id, now, outbox);
    }
  }

  if (context.initial && context.method == Method::Invite) {
    call_progress(context, in.view, in.essentials, now);
  }
  if (response_needs_relay(context, in.view)) {
    if (context.answered) {
      // A repeated 2xx: what was sent the first time (its description is rewritten already).
      const ServerTransaction* server = transactions.server(context.server);
      if (server && server->response) {
        transactions.respond(context.server, status, server->response, now, outbox);
      }
      return;
    }
    ParkedResponse parked{buffers.copy(as_bytes(in.view.text())), status, index};
    if (!parked.message) {
      drop(DropReason::NoBuffer);
      if (sip::is_success(status)) answer_without_media(id, now, outbox);
      return;
    }
    if (context.parked[0].message) {
      context.parked[1] = std::move(parked);
      return;
    }
    context.parked[0] = std::move(parked);
    return send_response_to_relay(id, now, outbox);
  }
  const bool registered = context.method == Method::Register && sip::is_success(status);
  if (registered) {
    // What the binding teaches is read before the context may end, and acted upon last.
    forward_response(id, in.view, {}, false, now, outbox);
    if (contexts.find(id)) learn_binding(id, in.view, now, outbox);
    if (contexts.find(id)) end_context(id, now, outbox);
    return;
  }
  forward_response(id, in.view, {}, false, now, outbox);
}

// A branch has its final response, or failed with status and no message.
void ProxyCore::Parts::branch_ended(SlotId id, std::uint8_t index, sip::Status status,
                                    const Incoming* in, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts.find(id);
  ClientBranch& branch = context.branches[index];
  if (branch.final_status == 0) --context.branches_open;
  branch.final_status = status;
  if (context.answered) {
    if (context.branches_open == 0 && context.best_status == 0) return;
    return;
  }
  if (in && status == 503) {
    const auto retry = sip::parse_seconds(in->view.value(HeaderName::RetryAfter));
    if (retry && !context.target.to_access) {
      next_hops.hold_off(context.target,
                         now + std::min<Duration>(std::chrono::seconds(*retry), 300s));
    } else {
      next_hops.failed(context.target, now);
    }
  }
  if (context.best_status == 0 || rank(status) < rank(context.best_status)) {
    context.best_status = status;
    context.best_branch = index;
    context.best = in ? buffers.copy(as_bytes(in->view.text())) : BufferRef{};
  }
  if (in && is_challenge(status)) branch.challenge = buffers.copy(as_bytes(in->view.text()));
  if (status >= 600) {
    context.next_target = 255;  // no new branches (16.7 item 5)
    cancel_branches(id, now, outbox);
  } else if ((status == 503 || status == 408 || status == 430) &&
             try_another(id, index, status, now, outbox)) {
    return;
  }
  if (context.branches_open == 0) send_best(id, now, outbox);
}

bool ProxyCore::Parts::try_another(SlotId id, std::uint8_t, sip::Status, Instant now,
                                   Outbox& outbox) {
  ResponseContext& context = *contexts.find(id);
  const TargetList* more = target_lists.find(context.more_targets);
  if (!more || context.next_target >= more->count || context.cancelled || context.answered ||
      context.branch_count == ResponseContext::kBranchesMax) {
    return false;
  }
  sip::Essentials essentials;
  if (!sip::parse_message(context.request.bytes(), sip::Framing::Datagram, view) ||
      !sip::validate_request(view, essentials).ok()) {
    return false;
  }
  try_next_target(id, {view, essentials}, now, outbox);
  return true;
}

void ProxyCore::Parts::send_best(SlotId id, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts.find(id);
  if (!context.best) {
    sip::Status status = context.cancelled ? sip::Status{487} : context.best_status;
    if (status == 430 && !context.initial) status = 480;
    return fail_locally(id, status == 0 ? 408 : status, status == 503 ? "Retry-After: 10\r\n" : "",
                        now, outbox);
  }
  const BufferRef best = std::move(context.best);
  if (context.call_new && context.call) {
    const SlotId id_of_call = std::exchange(context.call, {});
    Call* call = calls.get(id_of_call);  // none: a BYE of its early dialog ended it
    if (call && is_challenge(context.best_status)) {
      // It will be repeated with credentials at once, and then goes on in the same media session.
      call->context = {};
      wheel.cancel(call->timer);
      call->timer = wheel.arm(now + kChallengeAnswered, subject_value(Subject::Call, id_of_call));
    } else {
      end_call(id_of_call, true, now, outbox);
    }
  }
  forward_stored(id, best, {}, false, now, outbox);
}

// --- CANCEL ------------------------------------------------------------------------------------

void ProxyCore::Parts::cancel_branches(SlotId id, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts.find(id);
  for (std::uint8_t i = 0; i < context.branch_count; ++i) {
    ClientBranch& branch = context.branches[i];
    if (branch.final_status != 0) continue;
    branch.cancelled = true;
    cancel_client(branch.client, now, outbox);
  }
  if (!context.answered) arm(id, ContextTimer::TimerC, now + 64 * config.timers.t1);
}

// RFC 3261 9.1: only after a provisional response; with the branch of the INVITE.
void ProxyCore::Parts::cancel_client(SlotId client_id, Instant now, Outbox& outbox) {
  ClientTransaction* client = transactions.client(client_id);
  if (!client || !client->is_invite || !client->provisional || client->cancel) return;
  transactions.give_up_on(client_id, now);
  const SlotId cancel = transactions.reserve_client(Method::Cancel, client->target, 0);
  if (!cancel) return;
  client = transactions.client(client_id);
  client->cancel = cancel;
  BufferRef message = buffers.take(client->request.size() + 64);
  if (!message ||
      !sip::parse_message(client->request.bytes(), sip::Framing::Datagram, other_view)) {
    return transactions.release_client(cancel);
  }
  Writer out(message.space());
  sip::write_cancel(other_view, {}, out);
  if (out.overflowed()) return transactions.release_client(cancel);
  message.set_size(out.size());
  const auto outcome = transactions.start_client(cancel, std::move(message), now, outbox);
  if (outcome.terminated) transactions.release_client(cancel);
}

void ProxyCore::Parts::end_context(SlotId id, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts.find(id);
  disarm(context);
  if (target_lists.find(context.more_targets)) target_lists.release(context.more_targets);
  unlink_context_from_flow(id);
  if (context.state == ResponseContext::State::AwaitUserAgent) {
    // Whatever ended the wait, those behind it in the line still wait.
    UserAgent* agent = agents.get(agents.find(context.user_agent));
    SlotId* link = agent ? &agent->first_waiting : nullptr;
    while (link && *link && !(*link == id)) {
      ResponseContext* other = contexts.find(*link);
      link = other ? &other->next_waiting : nullptr;
    }
    if (link && *link) *link = context.next_waiting;
  }
  if (ServerTransaction* server = transactions.server(context.server)) server->context = {};
  for (std::uint8_t i = 0; i < context.branch_count; ++i) {
    if (ClientTransaction* client = transactions.client(context.branches[i].client)) {
      client->context = {};
      if (context.branches[i].final_status == 0) {
        cancel_client(context.branches[i].client, now, outbox);
      }
    }
  }
  contexts.release(id);
}

}  // namespace ringway
