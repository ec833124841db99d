#include "gateway/core/response_steps.h"

#include <utility>

#include "protocol/sip/parse.h"

namespace ringway {

ResponseSteps::ResponseSteps(const Parts& parts)
    : core_(parts.core),
      contexts_(parts.contexts),
      calls_(parts.calls),
      media_(parts.media),
      sender_(parts.sender) {}

void ResponseSteps::pass(SlotId id, SlotId dialog, bool repeated, const Incoming& in, Instant now,
                         Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  if (media_.comes_late(context, in.view)) {
    if (sip::is_success(in.view.status())) succeed_too_late(id, in.view, now, outbox);
    return;
  }
  const sdp::Action action = media_.response_passes(context, dialog, in.view);
  if (repeated) return repeat(id, in, action, now, outbox);
  // Nothing overtakes what waits for the relay (RFC 3262 3, RFC 3264 4).
  if (context.parked_count != 0 || media_.needs_relay(context, action)) {
    return park(id, in, action, now, outbox);
  }
  const auto body = media_.body_without_relay(context, action, in.view, now, outbox);
  sender_.forward(id, in.view, body, now, outbox);
}

// A 2xx that its sender repeats until it has an ACK (RFC 3261 13.3.1.4): what was made of it the
// first time. Another dialog's 2xx is no repetition.
void ResponseSteps::repeat(SlotId id, const Incoming& in, sdp::Action action, Instant now,
                           Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  // The first one waits itself, or the relay could make nothing of it.
  if (context.parked_count != 0 || media_.needs_relay(context, action)) return;
  const auto body = media_.body_without_relay(context, action, in.view, now, outbox);
  sender_.forward(id, in.view, body, now, outbox);
}

void ResponseSteps::park(SlotId id, const Incoming& in, sdp::Action action, Instant now,
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

void ResponseSteps::answer_done(SlotId id, const Calls::MediaResult& result, Instant now,
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
    sender_.forward_stored(id, parked.message, as_text(body.bytes()), now, outbox);
  } else if (success) {
    if (!context->is_answered()) return answer_without_media(id, now, outbox);
    sender_.forward_stored(id, parked.message, std::string_view{}, now, outbox);
  }
  next_parked(id, now, outbox);
}

// What waited behind a response: goes on, up to the next one that the relay has to see.
void ResponseSteps::next_parked(SlotId id, Instant now, Outbox& outbox) {
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
      sender_.forward_stored(id, message, body, now, outbox);
    } else if (sip::is_success(status)) {
      succeed_too_late(id, stored_, now, outbox);
    }
  }
}

// A 2xx of a call that is over. Where its caller has had one before, another fork has answered, or
// a callee repeats itself: the caller acknowledges it, and ends that dialog (RFC 3261 13.2.2.4,
// 16.7 item 5). Nobody can make anything of its description any more.
void ResponseSteps::succeed_too_late(SlotId id, const sip::MessageView& response, Instant now,
                                     Outbox& outbox) {
  if (!contexts_.find(id)->is_answered()) return answer_without_media(id, now, outbox);
  sender_.forward(id, response, std::string_view{}, now, outbox);
}

// The callee has answered a call that cannot have media: it is released there, refused here.
void ResponseSteps::answer_without_media(SlotId id, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  const SlotId call = context.initial ? context.call : SlotId{};
  context.call_new = false;
  sender_.fail(id, 503, {}, now, outbox);
  calls_.release(call, Calls::Sides::Callee, CallEndReason::NoMedia, now, outbox);
}

}  // namespace ringway
