#include "gateway/core/transport_errors.h"

#include "gateway/base/subject.h"

namespace ringway {

TransportErrors::TransportErrors(const Parts& parts)
    : core_(parts.core),
      transactions_(parts.transactions),
      probes_(parts.probes),
      recovery_(parts.recovery),
      askers_(parts.askers),
      responses_(parts.responses) {}

void TransportErrors::send_failed(Ticket ticket, TransportFailure failure, Instant now,
                                  Outbox& outbox) {
  const SlotId id = SlotId::unpack(ticket);
  if (subject_of(ticket) == Subject::ServerSend) {
    core_.counters.sends_failed.add();  // RFC 6026 7.1: the transaction lives on
    return askers_.response_lost(id, outbox);
  }
  if (subject_of(ticket) == Subject::ClientSend) request_lost(id, failure, now, outbox);
}

void TransportErrors::request_lost(SlotId id, TransportFailure failure, Instant now,
                                   Outbox& outbox) {
  const ClientTransaction* client = transactions_.client(id);
  if (!client) return;
  if (failure == TransportFailure::ConnectionLost) {
    if (transactions_.repeat_client(id, outbox)) return;
    if (client->was_heard()) return;
  }
  if (client->target.tcp_for_size && failure != TransportFailure::ConnectionLost) {
    probes_.tcp_refused(client->target.remote, now, outbox);
  }
  core_.log.info("send_failed", {{"transport", to_text(client->target.transport)},
                                 {"failure", static_cast<int>(failure)},
                                 {"flow", client->target.flow.value()}});
  if (recovery_.survives(*client, now, outbox)) return;
  const auto outcome = transactions_.client_failed(id, now, outbox);
  const sip::Status status = failure == TransportFailure::FlowGone ? 430 : 503;
  responses_.client_outcome(id, outcome, status, now, outbox);
}

}  // namespace ringway
