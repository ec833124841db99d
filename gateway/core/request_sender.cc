#include "gateway/core/request_sender.h"

#include <array>
#include <utility>

#include "gateway/base/subject.h"
#include "protocol/sip/branch.h"

namespace ringway {
namespace {

using sip::Method;

}  // namespace

RequestSender::RequestSender(const Parts& parts)
    : core_(parts.core),
      contexts_(parts.contexts),
      transactions_(parts.transactions),
      routes_(parts.routes),
      responses_(parts.responses),
      refusals_(parts.refusals),
      writer_(parts.core, parts.registrations, parts.router, parts.header_rules),
      size_(parts.core, parts.next_hops) {}

void RequestSender::forward(SlotId id, const Incoming& in, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  const RoutePreprocess& route = routes_.of(id, context.source, in, now);
  routes_.forget();
  Target target = context.target;
  std::array<std::uint8_t, sip::kBranchBytes + 8> memory;
  Writer branch(memory);
  const RequestWriter::Job job{context,
                               in,
                               route,
                               target,
                               {},
                               core_.listener(context.source.listener).side,
                               contexts_.has_another_target(context),
                               now};
  if (context.method == Method::Ack) return forward_ack(id, job, now, outbox);

  const SlotId client = transactions_.reserve_client(context.method, target, context.loop_hash);
  BufferRef message;
  if (client) {
    sip::write_branch(transactions_.branch_of(client), core_.branch_key, branch);
    RequestWriter::Job with_branch = job;
    with_branch.branch = branch.written_text();
    message = writer_.write(with_branch);
    if (!message) transactions_.release_client(client);
  }
  if (!message) return refusals_.fail(id, 503, "Retry-After: 5\r\n", now, outbox);
  size_.fit(target, message, now);
  start_client(id, client, std::move(message), target, now, outbox);
}

// No transaction: a branch that names no slot.
void RequestSender::forward_ack(SlotId id, RequestWriter::Job job, Instant now, Outbox& outbox) {
  std::array<std::uint8_t, sip::kBranchBytes + 8> memory;
  Writer branch(memory);
  // The same for a repetition of the ACK (RFC 3261 16.11).
  const std::uint64_t hash = keyed_hash(core_.branch_key, job.in.essentials.via.text);
  sip::write_branch({core_.shard, 0xff'ffff, static_cast<std::uint32_t>(hash),
                     static_cast<std::uint32_t>(hash >> 32)},
                    core_.branch_key, branch);
  job.branch = branch.written_text();
  if (BufferRef message = writer_.write(job)) {
    Target target = job.target;
    size_.fit(target, message, now);
    TransactionLayer::send_to(target, core_.config, std::move(message), 0, outbox);
  } else {
    core_.drop(DropReason::NoBuffer);
  }
  refusals_.end(id, now, outbox);
}

void RequestSender::start_client(SlotId id, SlotId client, BufferRef message, const Target& target,
                                 Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  ClientTransaction& transaction = *transactions_.client(client);
  transaction.target = target;
  transaction.context = id;
  transaction.branch_index = context.forwarded(client);
  contexts_.sent_down(id, target);
  if (contexts_.has_another_target(context)) {
    contexts_.arm(id, ContextTimer::FirstAnswer, now + core_.config.timers.first_answer);
  } else if (context.method == Method::Invite) {
    contexts_.arm(id, ContextTimer::TimerC, now + core_.config.timers.timer_c);
  }
  const auto outcome = transactions_.start_client(client, std::move(message), now, outbox);
  if (outcome.terminated || outcome.transport_error) {
    responses_.client_outcome(client, outcome, 503, now, outbox);
  }
}

void RequestSender::send_again(SlotId id, const Target& target, Outbox& outbox) {
  ResponseContext* context = contexts_.find(id);
  if (!context || context->is_answered()) return;
  context->awaits_return = false;
  for (std::uint8_t i = 0; i < context->branch_count(); ++i) {
    const ClientBranch& branch = context->branch(i);
    ClientTransaction* client = transactions_.client(branch.client);
    if (!client || branch.final_status != 0 || client->target.user_agent != target.user_agent ||
        !client->request || client->cancel) {
      continue;
    }
    client->target.aim_at(target);
    context->target.flow = target.flow;
    core_.counters.sent_again.add();
    TransactionLayer::send_to(client->target, core_.config, client->request,
                              subject_value(Subject::ClientSend, branch.client), outbox);
    contexts_.sent_down(id, client->target);
  }
}

}  // namespace ringway
