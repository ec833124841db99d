#include "gateway/core/branch_results.h"

#include <algorithm>
#include <array>
#include <utility>

#include "protocol/base/ascii.h"
#include "protocol/sip/header_values.h"

namespace ringway {
namespace {

using sip::HeaderName;
using sip::Method;
using Decision = ResponseContext::Decision;

}  // namespace

BranchResults::BranchResults(const Parts& parts)
    : core_(parts.core),
      contexts_(parts.contexts),
      transactions_(parts.transactions),
      next_hops_(parts.next_hops),
      calls_(parts.calls),
      cancels_(parts.cancels),
      sender_(parts.sender) {}

std::optional<BranchResults::Retry> BranchResults::next_retry() {
  if (next_retry_ == retries_.size()) {
    retries_.clear();
    next_retry_ = 0;
    return std::nullopt;
  }
  return retries_[next_retry_++];
}

void BranchResults::ended(SlotId id, std::uint8_t index, sip::Status status, const Incoming* in,
                          Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  if (in && status == 503 && !context.is_answered()) {
    const auto retry = sip::parse_seconds(in->view.value(HeaderName::RetryAfter));
    if (retry && !context.target.to_access) {
      next_hops_.hold_off(context.target,
                          now + std::min<Duration>(std::chrono::seconds(*retry), 300s));
    } else {
      next_hops_.failed(context.target, now);
    }
  }
  BufferRef message = in ? core_.buffers.copy(as_bytes(in->view.text())) : BufferRef{};
  const auto decision =
      context.failed(index, status, std::move(message), in && sip::is_challenge(status));
  perform(id, index, decision, now, outbox);
}

void BranchResults::perform(SlotId id, std::uint8_t index, Decision decision, Instant now,
                            Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  switch (decision) {
    case Decision::Nothing:
    case Decision::Forward:
    case Decision::CancelBranch:
      return;
    case Decision::CancelBranches:
      return cancels_.cancel_all(id, now, outbox);
    case Decision::TryAnother:
      if (contexts_.has_another_target(context)) return retries_.push_back({id, true, index});
      if (context.has_open_branches()) return;
      [[fallthrough]];
    case Decision::SendBest:
      return send_best(id, now, outbox);
    case Decision::FailHere:
      return sender_.fail(id, 487, {}, now, outbox);
  }
}

void BranchResults::send_best(SlotId id, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  if (!context.has_best()) {
    sip::Status status = context.is_cancelled() ? sip::Status{487} : context.best_status();
    if (status == 430 && !context.initial) status = 480;
    return sender_.fail(id, status == 0 ? 408 : status, status == 503 ? "Retry-After: 10\r\n" : "",
                        now, outbox);
  }
  const BufferRef best = context.take_best();
  const bool cancelled = context.is_cancelled();
  calls_.refused(context, context.best_status(), cancelled ? CallEnder::Caller : CallEnder::NextHop,
                 cancelled ? CallEndReason::Cancelled : CallEndReason::Refused, now, outbox);
  // RFC 4320 4.2: a 408 to anything but an INVITE comes too late to be of use.
  if (context.best_status() == 408 && context.method != Method::Invite) {
    return sender_.fail(id, 408, {}, now, outbox);
  }
  sender_.forward_stored(id, best, {}, now, outbox);
}

void BranchResults::retry_failed(const Retry& retry, Instant now, Outbox& outbox) {
  ResponseContext* context = contexts_.find(retry.context);
  if (!context || context->is_answered()) return;
  if (retry.silent) {
    context->silence_ended(retry.branch);
    if (context->method == Method::Invite) {
      contexts_.arm(retry.context, ContextTimer::TimerC, now + core_.config.timers.timer_c);
    }
    return;
  }
  if (!retry.next_target) {
    context->count_again(retry.branch);
    return ended(retry.context, retry.branch, 503, nullptr, now, outbox);
  }
  if (!context->has_open_branches()) send_best(retry.context, now, outbox);
}

void BranchResults::next_hop_silent(SlotId id, Instant now) {
  ResponseContext& context = *contexts_.find(id);
  const auto index = static_cast<std::uint8_t>(context.branch_count() - 1);
  if (const ClientTransaction* client = transactions_.client(context.branch(index).client)) {
    next_hops_.failed(client->target, now);
  }
  context.silent(index);
  retries_.push_back({id, true, index, true});
}

void BranchResults::try_again(SlotId id, std::uint8_t index, bool other_profile) {
  retries_.push_back({id, false, index, false, other_profile});
}

void BranchResults::cancel(SlotId id, const sip::MessageView* request, Instant now,
                           Outbox& outbox) {
  ResponseContext* context = contexts_.find(id);
  if (!context) return;
  if (request && !context->cancel_reason) {
    std::array<std::uint8_t, 512> memory;
    Writer lines(memory);
    for (const sip::Header& header : request->headers()) {
      if (!ascii::equal_ignoring_case(request->text(header.name_text), "reason")) continue;
      lines.text(request->text().substr(header.begin, header.end - header.begin));
    }
    if (!lines.overflowed() && lines.size() != 0) {
      context->cancel_reason = core_.buffers.copy(lines.written());
    }
  }
  perform(id, 0, context->cancel(), now, outbox);
}

void BranchResults::timer_c(SlotId id, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  core_.counters.timer_c_fired.add();
  // 64*T1 after the CANCEL (RFC 3261 9.1).
  if (context.is_cancelled()) return sender_.fail(id, 487, {}, now, outbox);
  cancel(id, nullptr, now, outbox);
}

}  // namespace ringway
