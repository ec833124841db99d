#include "gateway/core/responses.h"

#include <array>
#include <utility>

#include "protocol/base/ascii.h"
#include "protocol/sip/build.h"
#include "protocol/sip/header_values.h"
#include "protocol/sip/parse.h"
#include "protocol/transaction/key.h"

namespace ringway {
namespace {

using sip::HeaderName;
using sip::Method;
using Decision = ResponseContext::Decision;

// The only branch was refused for what its description offers (RFC 3261 21.4.13, 21.4.26).
bool may_speak_otherwise(const ResponseContext& context, sip::Status status) {
  return (status == 415 || status == 488 || status == 606) && context.initial &&
         context.method == Method::Invite && context.branch_count() <= 2 &&
         !context.is_cancelled() && !context.is_answered() && context.may_fork();
}

// Why a branch is called off, as whole header lines (RFC 3326): what the CANCEL says that came to
// us, or that somebody else has answered, so that no phone shows a missed call.
std::string_view reason_of(const ResponseContext& context) {
  if (context.cancel_reason) return as_text(context.cancel_reason.bytes());
  if (!context.completed_elsewhere) return {};
  return "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n";
}

}  // namespace

Responses::Responses(const Parts& parts)
    : core_(parts.core),
      contexts_(parts.contexts),
      transactions_(parts.transactions),
      next_hops_(parts.next_hops),
      registrations_(parts.registrations),
      calls_(parts.calls),
      media_(parts.media),
      probes_(parts.probes),
      replies_(parts.replies),
      admission_(parts.admission),
      fraud_(parts.fraud),
      writer_(parts.core, parts.router, parts.header_rules) {}

std::optional<Responses::Retry> Responses::next_retry() {
  if (next_retry_ == retries_.size()) {
    retries_.clear();
    next_retry_ = 0;
    return std::nullopt;
  }
  return retries_[next_retry_++];
}

// --- From the wire to the context --------------------------------------------------------------

void Responses::receive(const Source& source, const Incoming& in, Instant now, Outbox& outbox) {
  const auto branch = sip::parse_branch(in.essentials.via.branch, core_.branch_key);
  if (!branch) {
    core_.counters.stray_responses.add();
    return core_.drop(DropReason::StrayResponse);
  }
  if (branch->shard != core_.shard) {
    BufferRef copy = core_.buffers.copy(as_bytes(in.view.text()));
    core_.counters.handed_over.add();
    if (!copy) return core_.drop(DropReason::NoBuffer);
    Output& output = outbox.add(Output::Kind::HandOver);
    output.shard = branch->shard;
    output.source = source;
    output.buffer = std::move(copy);
    return;
  }
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
      cancel_client(client, {}, now, outbox);  // nobody waits for it any more
    }
  }
  if (outcome.terminated) client_outcome(client, outcome, status, now, outbox);
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
  if (!sip::parse_message(invite.bytes(), sip::Framing::Datagram, request_)) return;
  BufferRef ack = core_.buffers.take(invite.size() + in.view.headers_end());
  if (!ack) return;
  Writer out(ack.space());
  sip::write_ack(request_, in.view, out);
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
      retries_.push_back({id, false, index});
      return;
    }
    return branch_ended(id, index, status, nullptr, now, outbox);
  }
  if (context->held.message) return;
  // A context that has passed on a 2xx to INVITE lives as long as its client transactions.
  if (context->is_answered() && outcome.terminated) {
    for (std::uint8_t i = 0; i < context->branch_count(); ++i) {
      if (transactions_.client(context->branch(i).client)) return;
    }
    end(id, now, outbox);
  }
}

void Responses::take(SlotId id, std::uint8_t index, const Incoming& in, Instant now,
                     Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  const sip::Status status = in.view.status();
  if (status == 100) {
    if (context.timer_for == ContextTimer::FirstAnswer) {
      contexts_.disarm(context);
      if (context.method == Method::Invite) {
        contexts_.arm(id, ContextTimer::TimerC, now + core_.config.timers.timer_c);
      }
    }
    const ClientBranch& branch = context.branch(index);
    if (branch.cancelled) cancel_client(branch.client, reason_of(context), now, outbox);
    return;
  }
  if (sip::is_provisional(status)) {
    const Decision decision = context.provisional(index);
    if (decision == Decision::CancelBranch) {
      return cancel_client(context.branch(index).client, reason_of(context), now, outbox);
    }
    if (decision != Decision::Forward) return;
    contexts_.arm(id, ContextTimer::TimerC, now + core_.config.timers.timer_c);
    if (!context.takes_provisional(now)) return core_.drop(DropReason::Budget);
  } else if (!sip::is_success(status)) {
    if (may_speak_otherwise(context, status) && media_.try_other_profile(context, now, outbox)) {
      context.discount(index, status);
      return retries_.push_back({id, false, index, false, true});
    }
    return branch_ended(id, index, status, &in, now, outbox);
  } else {
    const Decision decision = context.success(index, status);
    contexts_.disarm(context);
    context.completed_elsewhere = true;
    if (decision == Decision::CancelBranches) cancel_branches(id, now, outbox);
  }
  const bool repeated = sip::is_success(status) && context.method == Method::Invite &&
                        (context.initial ? calls_.is_repeated_success(context, in)
                                         : context.is_answered());
  SlotId dialog = context.dialog;
  if (context.initial && context.method == Method::Invite) {
    dialog = calls_.progress(context, in, now);
  }
  if (media_.comes_late(context, in.view)) {
    if (sip::is_success(status)) succeed_too_late(id, in.view, now, outbox);
    return;
  }
  const sdp::Action action = media_.response_passes(context, dialog, in.view);
  if (repeated) return repeat(id, in, action, now, outbox);
  // Nothing overtakes what waits for the relay (RFC 3262 3, RFC 3264 4).
  if (context.parked_count != 0 || media_.needs_relay(context, action)) {
    return park(id, in, action, now, outbox);
  }
  const auto body = media_.body_without_relay(context, action, in.view, now, outbox);
  forward(id, in.view, body, now, outbox);
}

// A 2xx that its sender repeats until it has an ACK (RFC 3261 13.3.1.4): what was made of it the
// first time. Another dialog's 2xx is no repetition.
void Responses::repeat(SlotId id, const Incoming& in, sdp::Action action, Instant now,
                       Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  // The first one waits itself, or the relay could make nothing of it.
  if (context.parked_count != 0 || media_.needs_relay(context, action)) return;
  const auto body = media_.body_without_relay(context, action, in.view, now, outbox);
  forward(id, in.view, body, now, outbox);
}

void Responses::park(SlotId id, const Incoming& in, sdp::Action action, Instant now,
                     Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  const sip::Status status = in.view.status();
  BufferRef copy = core_.buffers.copy(as_bytes(in.view.text()));
  if (!copy || !context.park_response({std::move(copy), status, action})) {
    core_.drop(DropReason::NoBuffer);
    if (sip::is_success(status)) answer_without_media(id, now, outbox);
    return;
  }
  if (context.parked_count == 1 && !media_.send_response(id, now, outbox)) {
    answer_done(id, {}, now, outbox);
  }
}

void Responses::answer_done(SlotId id, const Calls::MediaResult& result, Instant now,
                            Outbox& outbox) {
  ResponseContext* context = contexts_.find(id);
  if (!context || context->parked_count == 0) return;
  const ParkedResponse parked = context->take_parked();
  const bool success = sip::is_success(parked.status);
  BufferRef body = media_.answer_done(*context, parked, result, now, outbox);
  // A call that stands goes on with what was agreed; its 2xx must be acknowledged.
  if (!body && success && !context->initial) {
    body = media_.last_answer(*context, parked.message);
  }
  if (body) {
    forward_stored(id, parked.message, as_text(body.bytes()), now, outbox);
  } else if (success) {
    if (!context->is_answered()) return answer_without_media(id, now, outbox);
    forward_stored(id, parked.message, std::string_view{}, now, outbox);
  }
  next_parked(id, now, outbox);
}

// What waited behind a response: goes on, up to the next one that the relay has to see.
void Responses::next_parked(SlotId id, Instant now, Outbox& outbox) {
  for (;;) {
    ResponseContext* context = contexts_.find(id);
    if (!context || context->parked_count == 0) return;
    const BufferRef message = context->parked[0].message;
    if (!sip::parse_message(message.bytes(), sip::Framing::Datagram, stored_)) {
      context->take_parked();
      continue;
    }
    const sdp::Action action = context->parked[0].action;
    if (media_.needs_relay(*context, action)) {
      if (!media_.send_response(id, now, outbox)) answer_done(id, {}, now, outbox);
      return;
    }
    const sip::Status status = context->take_parked().status;
    if (!media_.comes_late(*context, stored_)) {
      const auto body = media_.body_without_relay(*context, action, stored_, now, outbox);
      forward_stored(id, message, body, now, outbox);
    } else if (sip::is_success(status)) {
      succeed_too_late(id, stored_, now, outbox);
    }
  }
}

// A 2xx of a call that is over. Where its caller has had one before, another fork has answered, or
// a callee repeats itself: the caller acknowledges it, and ends that dialog (RFC
// 3261 13.2.2.4, 16.7 item 5). Nobody can make anything of its description any more.
void Responses::succeed_too_late(SlotId id, const sip::MessageView& response, Instant now,
                                 Outbox& outbox) {
  if (!contexts_.find(id)->is_answered()) return answer_without_media(id, now, outbox);
  forward(id, response, std::string_view{}, now, outbox);
}

// The callee has answered a call that cannot have media: it is released there, refused here.
void Responses::answer_without_media(SlotId id, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  const SlotId call = context.initial ? context.call : SlotId{};
  context.call_new = false;
  fail(id, 503, {}, now, outbox);
  calls_.release(call, Calls::Sides::Callee, CallEndReason::NoMedia, now, outbox);
}

// --- Branches ----------------------------------------------------------------------------------

// A branch has its final response, or failed with status and no message.
void Responses::branch_ended(SlotId id, std::uint8_t index, sip::Status status, const Incoming* in,
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

void Responses::perform(SlotId id, std::uint8_t index, Decision decision, Instant now,
                        Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  switch (decision) {
    case Decision::Nothing:
    case Decision::Forward:
    case Decision::CancelBranch:
      return;
    case Decision::CancelBranches:
      return cancel_branches(id, now, outbox);
    case Decision::TryAnother:
      if (contexts_.has_another_target(context)) return retries_.push_back({id, true, index});
      if (context.has_open_branches()) return;
      [[fallthrough]];
    case Decision::SendBest:
      return send_best(id, now, outbox);
    case Decision::FailHere:
      return fail(id, 487, {}, now, outbox);
  }
}

void Responses::retry_failed(const Retry& retry, Instant now, Outbox& outbox) {
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
    return branch_ended(retry.context, retry.branch, 503, nullptr, now, outbox);
  }
  if (!context->has_open_branches()) send_best(retry.context, now, outbox);
}

void Responses::next_hop_silent(SlotId id, Instant now) {
  ResponseContext& context = *contexts_.find(id);
  const auto index = static_cast<std::uint8_t>(context.branch_count() - 1);
  if (const ClientTransaction* client = transactions_.client(context.branch(index).client)) {
    next_hops_.failed(client->target, now);
  }
  context.silent(index);
  retries_.push_back({id, true, index, true});
}

void Responses::send_best(SlotId id, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  if (!context.has_best()) {
    sip::Status status = context.is_cancelled() ? sip::Status{487} : context.best_status();
    if (status == 430 && !context.initial) status = 480;
    return fail(id, status == 0 ? 408 : status, status == 503 ? "Retry-After: 10\r\n" : "", now,
                outbox);
  }
  const BufferRef best = context.take_best();
  const bool cancelled = context.is_cancelled();
  calls_.refused(context, context.best_status(),
                 cancelled ? CallEnder::Caller : CallEnder::NextHop,
                 cancelled ? CallEndReason::Cancelled : CallEndReason::Refused, now, outbox);
  // RFC 4320 4.2: a 408 to anything but an INVITE comes too late to be of use.
  if (context.best_status() == 408 && context.method != Method::Invite) {
    return fail(id, 408, {}, now, outbox);
  }
  forward_stored(id, best, {}, now, outbox);
}

// --- To the server transaction -----------------------------------------------------------------

void Responses::forward_stored(SlotId id, const BufferRef& message,
                               std::optional<std::string_view> body, Instant now, Outbox& outbox) {
  if (!sip::parse_message(message.bytes(), sip::Framing::Datagram, stored_)) {
    return fail(id, 500, {}, now, outbox);
  }
  forward(id, stored_, body, now, outbox);
}

void Responses::forward(SlotId id, const sip::MessageView& response,
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

void Responses::fail(SlotId id, sip::Status status, std::string_view extra, Instant now,
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
                   cancelled        ? CallEndReason::Cancelled
                   : status == 408 ? CallEndReason::NoAnswer
                                    : CallEndReason::Refused,
                   now, outbox);
  } else {
    calls_.note_answer(context, nullptr, status, now, outbox);
  }
  if (context.held.message) return;  // until its asker is back
  end(id, now, outbox);
}

// --- An asker that is away ---------------------------------------------------------------------

// It is back on another flow: what it has not heard follows.
void Responses::follow_asker(SlotId id, const Source& source, Instant now, Outbox& outbox) {
  ResponseContext* context = contexts_.find(id);
  if (!context || !context->asker_away) return;
  context->asker_away = false;
  contexts_.set_source(id, source);
  ServerTransaction* server = transactions_.server(context->server);
  if (server) server->source = source;
  if (context->held.message) return give_held(id, now, outbox);
  if (server && server->response) {
    TransactionLayer::send_back(source, server->response,
                                subject_value(Subject::ServerSend, context->server), outbox);
  }
}

void Responses::asker_gone(SlotId id, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  context.asker_away = false;
  if (context.held.message) return give_held(id, now, outbox);
  if (context.method == Method::Invite) cancel(id, nullptr, now, outbox);
}

// A refusal of ours waits for it like a response of the far end. What is still under way for the
// request is called off. False: its asker is there, or there is no buffer.
bool Responses::hold_refusal(SlotId id, sip::Status status, std::string_view extra, Instant now,
                             Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  if (!context.asker_away || context.held.message ||
      !sip::parse_message(context.request.bytes(), sip::Framing::Datagram, request_)) {
    return false;
  }
  context.held = {replies_.response(request_, context.source, status, extra), status};
  if (!context.held.message) return false;
  context.answer();
  contexts_.disarm(context);
  cancel_branches(id, now, outbox);
  return true;
}

void Responses::give_held(SlotId id, Instant now, Outbox& outbox) {
  ParkedResponse held = std::exchange(contexts_.find(id)->held, {});
  const SlotId server = contexts_.find(id)->server;
  if (transactions_.server(server)) {
    transactions_.respond(server, held.status, std::move(held.message), now, outbox);
  }
  end(id, now, outbox);
}

void Responses::reconnect_asker(SlotId id, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  if (!sip::parse_message(context.request.bytes(), sip::Framing::Datagram, request_)) return;
  const auto via = sip::parse_via(request_.top_via());
  if (!via) return;
  const Source source = Replies::address_after_end(context.source, *via);
  contexts_.set_source(id, source);
  if (!transactions_.server(context.server)) return;
  // What was written lately may have been lost with the connection.
  transactions_.reconnect_server(context.server, source, outbox);
}

void Responses::response_lost(SlotId server, Outbox& outbox) {
  const ServerTransaction* transaction = transactions_.server(server);
  if (!transaction || !transaction->response || !transaction->source.flow) return;
  if (core_.listener(transaction->source.listener).side != Side::Network) return;
  if (!sip::parse_message(transaction->response.bytes(), sip::Framing::Datagram, stored_)) return;
  const auto via = sip::parse_via(stored_.top_via());
  if (!via) return;
  transactions_.reconnect_server(server, Replies::address_after_end(transaction->source, *via),
                                 outbox);
}

// --- Called off --------------------------------------------------------------------------------

void Responses::cancel(SlotId id, const sip::MessageView* request, Instant now, Outbox& outbox) {
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

void Responses::timer_c(SlotId id, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  core_.counters.timer_c_fired.add();
  // 64*T1 after the CANCEL (RFC 3261 9.1).
  if (context.is_cancelled()) return fail(id, 487, {}, now, outbox);
  cancel(id, nullptr, now, outbox);
}

void Responses::cancel_branches(SlotId id, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  for (std::uint8_t i = 0; i < context.branch_count(); ++i) {
    if (context.branch(i).final_status != 0) continue;
    context.call_off(i);
    cancel_client(context.branch(i).client, reason_of(context), now, outbox);
  }
  if (!context.is_answered()) {
    contexts_.arm(id, ContextTimer::TimerC, now + 64 * core_.config.timers.t1);
  }
}

// RFC 3261 9.1: only after a provisional response; with the branch of the INVITE.
void Responses::cancel_client(SlotId id, std::string_view reason, Instant now, Outbox& outbox) {
  ClientTransaction* client = transactions_.client(id);
  if (!client || !client->is_invite || !client->provisional || client->cancel) return;
  transactions_.give_up_on(id, now);
  const SlotId cancel = transactions_.reserve_client(Method::Cancel, client->target, 0);
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

void Responses::end(SlotId id, Instant now, Outbox& outbox) {
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
        cancel_client(branch.client, reason_of(context), now, outbox);
      }
    }
  }
  contexts_.release(id);
}

}  // namespace ringway
