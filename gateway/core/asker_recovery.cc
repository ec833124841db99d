#include "gateway/core/asker_recovery.h"

#include "gateway/base/subject.h"
#include "gateway/core/replies.h"
#include "protocol/sip/parse.h"
#include "protocol/sip/via.h"

namespace ringway {

void AskerRecovery::follow_asker(SlotId id, const Source& source, Instant now, Outbox& outbox) {
  ResponseContext* context = contexts_.find(id);
  if (!context || !context->asker_away) return;
  context->asker_away = false;
  contexts_.set_source(id, source);
  ServerTransaction* server = transactions_.server(context->server);
  if (server) server->source = source;
  if (context->held.message) return sender_.give_held(id, now, outbox);
  if (server && server->response) {
    TransactionLayer::send_back(source, server->response,
                                subject_value(Subject::ServerSend, context->server), outbox);
  }
}

void AskerRecovery::asker_gone(SlotId id, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  context.asker_away = false;
  if (context.held.message) return sender_.give_held(id, now, outbox);
  if (context.method == sip::Method::Invite) results_.cancel(id, nullptr, now, outbox);
}

void AskerRecovery::reconnect_asker(SlotId id, Outbox& outbox) {
  ResponseContext& context = *contexts_.find(id);
  if (!sip::parse_message(context.request.bytes(), sip::Framing::Datagram, message_)) return;
  const auto via = sip::parse_via(message_.top_via());
  if (!via) return;
  const Source source = Replies::address_after_end(context.source, *via);
  contexts_.set_source(id, source);
  if (!transactions_.server(context.server)) return;
  // What was written lately may have been lost with the connection.
  transactions_.reconnect_server(context.server, source, outbox);
}

void AskerRecovery::response_lost(SlotId server, Outbox& outbox) {
  const ServerTransaction* transaction = transactions_.server(server);
  if (!transaction || !transaction->response || !transaction->source.flow) return;
  if (core_.listener(transaction->source.listener).side != Side::Network) return;
  if (!sip::parse_message(transaction->response.bytes(), sip::Framing::Datagram, message_)) return;
  const auto via = sip::parse_via(message_.top_via());
  if (!via) return;
  transactions_.reconnect_server(server, Replies::address_after_end(transaction->source, *via),
                                 outbox);
}

}  // namespace ringway
