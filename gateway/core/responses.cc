#include "gateway/core/responses.h"

#include <utility>

#include "protocol/sip/build.h"
#include "protocol/sip/parse.h"

namespace ringway {
namespace {

using sip::Method;
using Decision = ResponseContext::Decision;

// The only branch was refused for what its description offers (RFC 3261 21.4.13, 21.4.26).
bool may_speak_otherwise(const ResponseContext& context, sip::Status status) {
  return (status == 415 || status == 488 || status == 606) && context.initial &&
         context.method == Method::Invite && context.branch_count() <= 2 &&
         !context.is_cancelled() && !context.is_answered() && context.may_fork();
}

}  // namespace

Responses::Responses(const Parts& parts)
    : core_(parts.core),
      contexts_(parts.contexts),
      transactions_(parts.transactions),
      next_hops_(parts.next_hops),
      calls_(parts.calls),
      media_(parts.media),
      probes_(parts.probes),
      cancels_(parts.cancels),
      results_(parts.results),
      steps_(parts.steps),
      sender_(parts.sender) {}

void Responses::receive(const Source& source, const Incoming& in, Instant now, Outbox& outbox) {
  const auto branch = sip::parse_branch(in.essentials.via.branch, core_.branch_key);
  if (!branch) {
    core_.counters.stray_responses.add();
    return core_.drop(DropReason::StrayResponse);
  }
  if (branch->shard != core_.shard) return hand_over(source, in, branch->shard, outbox);
  const SlotId client = transactions_.find_client(*branch, in.essentials.cseq.method);
  if (!client) {
    core_.counters.stray_responses.add();  // RFC 6026 7.3: never forwarded
    return core_.drop(DropReason::StrayResponse);
  }
  ClientTransaction& transaction = *transactions_.client(client);
  if (!is_from_target(source, transaction.target)) {
    core_.counters.response_wrong_source.add();
    return core_.drop(DropReason::WrongSource);
  }
  const sip::Status status = in.view.status();
  const SlotId context = transaction.context;
  const std::uint8_t index = transaction.branch_index;
  if (status != 503) next_hops_.succeeded(transaction.target);
  const auto outcome = transactions_.response_received(client, status, now, outbox);
  if (outcome.send_ack) send_ack(client, in, outbox);
  if (outcome.to_user) {
    if (transaction.own != Subject::None) {
      // Of requests of our own the probe's answer counts; others only have to end.
      if (transaction.own == Subject::Probe) {
        probes_.answered(transaction.target, status, now, outbox);
      }
    } else if (contexts_.find(context)) {
      take(context, index, in, now, outbox);
    } else if (sip::is_provisional(status)) {
      cancels_.cancel_client(client, {}, now, outbox);  // nobody waits for it any more
    }
  }
  if (outcome.terminated) client_outcome(client, outcome, status, now, outbox);
}

void Responses::hand_over(const Source& source, const Incoming& in, ShardIndex shard,
                          Outbox& outbox) {
  BufferRef copy = core_.buffers.copy(as_bytes(in.view.text()));
  core_.counters.handed_over.add();
  if (!copy) return core_.drop(DropReason::NoBuffer);
  Output& output = outbox.add(Output::Kind::HandOver);
  output.shard = shard;
  output.source = source;
  output.buffer = std::move(copy);
}

// A response counts only from where its request went: down the same flow, or on that listener from
// that address, whatever the port (a server may answer a stream by opening another one, RFC 3261
// 18.2.2).
bool Responses::is_from_target(const Source& source, const Target& target) const {
  if (target.flow) return source.flow == target.flow;
  if (source.transport != target.transport) return false;
  if (source.listener != target.listener &&
      source.listener != core_.heir_of(target.listener)) {
    return false;
  }
  return source.remote.address == target.remote.address;
}

void Responses::send_ack(SlotId client, const Incoming& in, Outbox& outbox) {
  const BufferRef& invite = transactions_.client(client)->request;
  if (!sip::parse_message(invite.bytes(), sip::Framing::Datagram, invite_)) return;
  BufferRef ack = core_.buffers.take(invite.size() + in.view.headers_end());
  if (!ack) return;
  Writer out(ack.space());
  sip::write_ack(invite_, in.view, out);
  ack.set_size(out.size());
  if (!out.overflowed()) transactions_.send_ack(client, std::move(ack), outbox);
}

void Responses::client_outcome(SlotId client, const TransactionLayer::Outcome& outcome,
                               sip::Status status, Instant now, Outbox& outbox) {
  ClientTransaction* transaction = transactions_.client(client);
  if (!transaction) return;
  const SlotId id = transaction->context;
  const std::uint8_t index = transaction->branch_index;
  const bool failed = outcome.timeout || outcome.transport_error;
  const bool for_size = transaction->target.tcp_for_size;  // says nothing of who serves UDP
  if (failed && !outcome.given_up && !for_size) next_hops_.failed(transaction->target, now);
  if (failed && transaction->own == Subject::Probe) {
    if (outcome.transport_error) next_hops_.probe_refused(transaction->target);
    probes_.answered(transaction->target, 0, now, outbox);
  }
  if (outcome.terminated) transactions_.release_client(client);
  ResponseContext* context = contexts_.find(id);
  if (!context || index >= context->branch_count()) return;
  if (outcome.terminated) context->client_ended(index);
  if (failed && context->branch(index).final_status == 0 && !context->is_answered()) {
    if (outcome.transport_error && for_size && !context->is_cancelled() && context->may_fork()) {
      // TCP was only for the size; where it is refused UDP has to do (RFC 3261 18.1.1).
      context->discount(index, 503);
      core_.counters.back_to_udp.add();
      return results_.try_again(id, index, false);
    }
    return results_.ended(id, index, status, nullptr, now, outbox);
  }
  if (context->held.message) return;
  // A context that has passed on a 2xx to INVITE lives as long as its client transactions.
  if (context->is_answered() && outcome.terminated) {
    for (std::uint8_t i = 0; i < context->branch_count(); ++i) {
      if (transactions_.client(context->branch(i).client)) return;
    }
    sender_.end(id, now, outbox);
  }
}

void Responses::take(SlotId id, std::uint8_t index, const Incoming& in, Instant now,
                     Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  const sip::Status status = in.view.status();
  if (status == 100) return take_trying(id, index, now, outbox);
  if (sip::is_provisional(status)) {
    const Decision decision = context.provisional(index);
    if (decision == Decision::CancelBranch) {
      return cancels_.cancel(context, index, now, outbox);
    }
    if (decision != Decision::Forward) return;
    contexts_.arm(id, ContextTimer::TimerC, now + core_.config.timers.timer_c);
    if (!context.takes_provisional(now)) return core_.drop(DropReason::Budget);
  } else if (!sip::is_success(status)) {
    if (may_speak_otherwise(context, status) && media_.try_other_profile(context, now, outbox)) {
      context.discount(index, status);
      return results_.try_again(id, index, true);
    }
    if (status == 482 && index > 0 && media_.took_retry_for_copy(context, now, outbox)) {
      // What it said of the first one is its answer.
      return results_.ended(id, index, context.branch(index - 1).final_status, nullptr, now,
                            outbox);
    }
    return results_.ended(id, index, status, &in, now, outbox);
  } else {
    const Decision decision = context.success(index, status);
    contexts_.disarm(context);
    context.completed_elsewhere = true;
    if (decision == Decision::CancelBranches) cancels_.cancel_all(id, now, outbox);
  }
  const bool repeated =
      sip::is_success(status) && context.method == Method::Invite &&
      (context.initial ? calls_.is_repeated_success(context, in) : context.is_answered());
  SlotId dialog = context.dialog;
  if (context.initial && context.method == Method::Invite) {
    dialog = calls_.progress(context, in, now);
  }
  steps_.pass(id, dialog, repeated, in, now, outbox);
}

// A 100 goes no further (RFC 3261 16.7 item 5), but its sender is not silent.
void Responses::take_trying(SlotId id, std::uint8_t index, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  if (context.timer_for == ContextTimer::FirstAnswer) {
    contexts_.disarm(context);
    if (context.method == Method::Invite) {
      contexts_.arm(id, ContextTimer::TimerC, now + core_.config.timers.timer_c);
    }
  }
  if (context.branch(index).cancelled) cancels_.cancel(context, index, now, outbox);
}

}  // namespace ringway
