#include "gateway/core/relay_events.h"

namespace ringway {

RelayEvents::RelayEvents(const Parts& parts)
    : relays_(parts.relays),
      watch_(parts.watch),
      contexts_(parts.contexts),
      calls_(parts.calls),
      requests_(parts.requests),
      responses_(parts.responses) {}

bool RelayEvents::receive(std::uint8_t relay, Bytes message, Instant now, Outbox& outbox) {
  const auto completion = relays_.receive(relay, message, now);
  if (completion) completed(*completion, now, outbox);
  return completion.has_value();
}

void RelayEvents::expired(std::uint64_t payload, Instant now, Outbox& outbox) {
  const auto completion = relays_.expire(payload, now, outbox);
  if (completion) completed(*completion, now, outbox);
}

void RelayEvents::connected(std::uint8_t relay, Instant now, Outbox& outbox) {
  relays_.connected(relay, outbox);
  watch_.connected(relay, now);
}

void RelayEvents::lost(std::uint8_t relay, Instant now) {
  relays_.lost(relay, now);
  watch_.lost(relay);
}

void RelayEvents::completed(const RelaySet::Completion& completion, Instant now, Outbox& outbox) {
  switch (completion.command) {
    case RelayCommand::Offer:
    case RelayCommand::Answer:
    case RelayCommand::Delete:
      return calls_.relay_completed(completion, now, outbox);
    case RelayCommand::Ping:
    case RelayCommand::List:
    case RelayCommand::Query:
      return watch_.completed(completion, now, outbox);
    case RelayCommand::PlayDtmf:
      return requests_.digit_done(
          completion.owner,
          completion.answered && completion.reply.result == RelayReply::Result::Ok, now, outbox);
  }
}

void RelayEvents::media_done(const Calls::MediaResult& result, Instant now, Outbox& outbox) {
  const ResponseContext* context = contexts_.find(result.context);
  if (!context) return;
  if (context->is_waiting_for(ResponseContext::State::AwaitOffer)) {
    requests_.offer_done(result.context, result, now, outbox);
  } else {
    responses_.answer_done(result.context, result, now, outbox);
  }
}

}  // namespace ringway
