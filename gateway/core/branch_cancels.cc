#include "gateway/core/branch_cancels.h"

#include <utility>

#include "protocol/sip/build.h"
#include "protocol/sip/parse.h"

namespace ringway {
namespace {

// Why a branch is called off, as whole header lines (RFC 3326): what the CANCEL says that came to
// us, or that somebody else has answered, so that no phone shows a missed call.
std::string_view reason_of(const ResponseContext& context) {
  if (context.cancel_reason) return as_text(context.cancel_reason.bytes());
  if (!context.completed_elsewhere) return {};
  return "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n";
}

}  // namespace

void BranchCancels::cancel_all(SlotId id, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  for (std::uint8_t i = 0; i < context.branch_count(); ++i) {
    if (context.branch(i).final_status != 0) continue;
    context.call_off(i);
    cancel(context, i, now, outbox);
  }
  if (!context.is_answered()) {
    contexts_.arm(id, ContextTimer::TimerC, now + 64 * core_.config.timers.t1);
  }
}

void BranchCancels::cancel(const ResponseContext& context, std::uint8_t branch, Instant now,
                           Outbox& outbox) {
  cancel_client(context.branch(branch).client, reason_of(context), now, outbox);
}

void BranchCancels::cancel_again(SlotId id, const Target& target, Instant now, Outbox& outbox) {
  ResponseContext* context = contexts_.find(id);
  if (!context || context->is_answered()) return;
  for (std::uint8_t i = 0; i < context->branch_count(); ++i) {
    const ClientBranch& branch = context->branch(i);
    ClientTransaction* client = transactions_.client(branch.client);
    if (!client || branch.final_status != 0 || !client->cancel ||
        client->target.user_agent != target.user_agent) {
      continue;
    }
    client->target.aim_at(target);
    context->target.flow = target.flow;
    contexts_.sent_down(id, client->target);
    transactions_.release_client(std::exchange(client->cancel, {}));
    cancel(*context, i, now, outbox);
  }
}

// RFC 3261 9.1: only after a provisional response; with the branch of the INVITE.
void BranchCancels::cancel_client(SlotId id, std::string_view reason, Instant now, Outbox& outbox) {
  ClientTransaction* client = transactions_.client(id);
  if (!client || !client->is_invite || !client->provisional || client->cancel) return;
  transactions_.give_up_on(id, now);
  const SlotId cancel = transactions_.reserve_client(sip::Method::Cancel, client->target, 0);
  if (!cancel) return;
  client = transactions_.client(id);
  client->cancel = cancel;
  BufferRef message = core_.buffers.take(client->request.size() + reason.size() + 64);
  if (!message || !sip::parse_message(client->request.bytes(), sip::Framing::Datagram, request_)) {
    return transactions_.release_client(cancel);
  }
  Writer out(message.space());
  sip::write_cancel(request_, reason, out);
  if (out.overflowed()) return transactions_.release_client(cancel);
  message.set_size(out.size());
  const auto outcome = transactions_.start_client(cancel, std::move(message), now, outbox);
  if (outcome.terminated) transactions_.release_client(cancel);
}

}  // namespace ringway
