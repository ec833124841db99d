#include "gateway/core/response_sender.h"

#include <utility>

#include "protocol/sip/parse.h"

namespace ringway {
namespace {

using sip::Method;

}  // namespace

ResponseSender::ResponseSender(const Parts& parts)
    : core_(parts.core),
      contexts_(parts.contexts),
      transactions_(parts.transactions),
      registrations_(parts.registrations),
      calls_(parts.calls),
      media_(parts.media),
      replies_(parts.replies),
      admission_(parts.admission),
      fraud_(parts.fraud),
      cancels_(parts.cancels),
      writer_(parts.core, parts.router, parts.header_rules) {}

void ResponseSender::forward_stored(SlotId id, const BufferRef& message,
                                    std::optional<std::string_view> body, Instant now,
                                    Outbox& outbox) {
  if (!sip::parse_message(message.bytes(), sip::Framing::Datagram, stored_)) {
    return fail(id, 500, {}, now, outbox);
  }
  forward(id, stored_, body, now, outbox);
}

void ResponseSender::forward(SlotId id, const sip::MessageView& response,
                             std::optional<std::string_view> body, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  const sip::Status status = response.status();
  const bool registered = context.method == Method::Register && sip::is_success(status);
  if (admission_.tells_too_much(context, status)) return fail(id, 403, {}, now, outbox);
  if (context.target.to_access && !fraud_.may_redirect(context.target, response, now)) {
    return fail(id, 403, {}, now, outbox);
  }
  if (transactions_.server(context.server)) {
    BufferRef message = writer_.write(context, response, body, now);
    if (!message) {
      if (sip::is_final(status)) fail(id, 500, {}, now, outbox);
      return;
    }
    const bool repeats = context.method == Method::Invite && sip::is_success(status);
    if (context.asker_away && sip::is_final(status) && !repeats) {
      context.held = {std::move(message), status};
    } else {
      transactions_.respond(context.server, status, std::move(message), now, outbox);
    }
    if (!sip::is_final(status)) return;
    admission_.answered(context, status, now);
    context.answer();
    // A 2xx to INVITE may be repeated for 64*T1 (RFC 6026 8.1).
    if (context.method == Method::Invite && sip::is_success(status)) {
      return calls_.note_answer(context, &response, status, now, outbox);
    }
  } else if (!sip::is_final(status)) {
    return;  // a request of our own, or its asker is gone
  }
  calls_.note_answer(context, &response, status, now, outbox);
  if (registered && !context.target.to_access &&
      sip::parse_message(context.request.bytes(), sip::Framing::Datagram, request_)) {
    registrations_.learn(context, request_, response, now, outbox);
  }
  if (context.held.message) return;  // until its asker is back
  end(id, now, outbox);
}

void ResponseSender::fail(SlotId id, sip::Status status, std::string_view extra, Instant now,
                          Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  const SlotId server = context.server;
  if (server && transactions_.server(server) && !context.is_answered()) {
    if (status == 408 && context.method != Method::Invite) {
      transactions_.abandon(server, now, outbox);  // RFC 4320 4.2
    } else if (hold_refusal(id, status, extra, now, outbox)) {
      admission_.answered(context, status, now);
    } else if (sip::parse_message(context.request.bytes(), sip::Framing::Datagram, request_)) {
      replies_.respond(server, request_, context.source, status, extra, now, outbox);
      admission_.answered(context, status, now);
    }
  }
  if (context.call_new) {
    const bool cancelled = context.is_cancelled();
    calls_.refused(context, status, cancelled ? CallEnder::Caller : CallEnder::Gateway,
                   cancelled       ? CallEndReason::Cancelled
                   : status == 408 ? CallEndReason::NoAnswer
                                   : CallEndReason::Refused,
                   now, outbox);
  } else {
    calls_.note_answer(context, nullptr, status, now, outbox);
  }
  if (context.held.message) return;  // until its asker is back
  end(id, now, outbox);
}

// A refusal of ours waits for it like a response of the far end. What is still under way for the
// request is called off. False: its asker is there, or there is no buffer.
bool ResponseSender::hold_refusal(SlotId id, sip::Status status, std::string_view extra,
                                  Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  if (!context.asker_away || context.held.message ||
      !sip::parse_message(context.request.bytes(), sip::Framing::Datagram, request_)) {
    return false;
  }
  context.held = {replies_.response(request_, context.source, status, extra), status};
  if (!context.held.message) return false;
  context.answer();
  contexts_.disarm(context);
  cancels_.cancel_all(id, now, outbox);
  return true;
}

void ResponseSender::give_held(SlotId id, Instant now, Outbox& outbox) {
  ParkedResponse held = std::exchange(contexts_.find(id)->held, {});
  const SlotId server = contexts_.find(id)->server;
  if (transactions_.server(server)) {
    transactions_.respond(server, held.status, std::move(held.message), now, outbox);
  }
  end(id, now, outbox);
}

void ResponseSender::end(SlotId id, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  // Whatever ended the wait, those behind it in the line still wait.
  if (context.is_waiting_for(ResponseContext::State::AwaitUserAgent) || context.awaits_return) {
    registrations_.stop_waiting(context, id);
  }
  if (context.asker_away) registrations_.stop_asking(context, id);
  media_.request_failed(context, now, outbox);
  if (context.call_new) {  // nobody has answered it, and nobody will
    calls_.refused(context, context.best_status(), CallEnder::Gateway, CallEndReason::NoAnswer, now,
                   outbox);
  }
  if (ServerTransaction* server = transactions_.server(context.server)) server->context = {};
  for (std::uint8_t i = 0; i < context.branch_count(); ++i) {
    const ClientBranch& branch = context.branch(i);
    if (ClientTransaction* client = transactions_.client(branch.client)) {
      client->context = {};
      if (branch.final_status == 0) {
        cancels_.cancel(context, i, now, outbox);
      }
    }
  }
  contexts_.release(id);
}

}  // namespace ringway
