#include "gateway/core/deadlines.h"

#include <utility>

#include "gateway/base/subject.h"
#include "protocol/sip/parse.h"

namespace ringway {

Deadlines::Deadlines(const Parts& parts)
    : core_(parts.core),
      contexts_(parts.contexts),
      transactions_(parts.transactions),
      registrations_(parts.registrations),
      calls_(parts.calls),
      relay_watch_(parts.relay_watch),
      relay_events_(parts.relay_events),
      probes_(parts.probes),
      fraud_(parts.fraud),
      tarpit_(parts.tarpit),
      replies_(parts.replies),
      responses_(parts.responses),
      results_(parts.results),
      sender_(parts.sender) {}

void Deadlines::expired(std::uint64_t payload, Instant now, Outbox& outbox) {
  const SlotId id = SlotId::unpack(payload);
  switch (subject_of(payload)) {
    case Subject::ServerRetransmit:
    case Subject::ServerLifetime:
    case Subject::ServerHold:
      return server_deadline(payload, now, outbox);
    case Subject::ClientRetransmit:
    case Subject::ClientLifetime:
      return client_deadline(payload, now, outbox);
    case Subject::Context:
      return context_deadline(id, now, outbox);
    case Subject::Relay:
      return relay_events_.expired(payload, now, outbox);
    case Subject::RelayWatch:
      return relay_watch_.expired(now, outbox);
    case Subject::UserAgent:
      return registrations_.expired(id);
    case Subject::Call:
      return calls_.deadline(id, now, outbox);
    case Subject::Probe:
      return probes_.due(id, now, outbox);
    case Subject::Fraud:
      return fraud_.due(id, now, outbox);
    case Subject::Tarpit:
      return tarpit_.over(id, outbox);
    case Subject::None:
    case Subject::ServerSend:
    case Subject::ClientSend:
      return;
  }
}

void Deadlines::context_deadline(SlotId id, Instant now, Outbox& outbox) {
  ResponseContext* context = contexts_.find(id);
  if (!context) return;
  context->timer = 0;
  switch (std::exchange(context->timer_for, ContextTimer::None)) {
    case ContextTimer::None:
      return;
    case ContextTimer::Name:
    case ContextTimer::Relay:
      return sender_.fail(id, 503, {}, now, outbox);
    case ContextTimer::Return:
      core_.counters.waits_expired.add();
      return sender_.fail(id, 480, {}, now, outbox);
    case ContextTimer::FirstAnswer:
      return results_.next_hop_silent(id, now);
    case ContextTimer::TimerC:
      return results_.timer_c(id, now, outbox);
  }
}

void Deadlines::server_deadline(std::uint64_t payload, Instant now, Outbox& outbox) {
  SlotId server;
  const auto outcome = transactions_.expire(payload, now, outbox, server);
  if (!outcome.send_100) return;
  // RFC 4320: the late 100 of a non-INVITE, from the request as it was received.
  const ServerTransaction* transaction = transactions_.server(server);
  const ResponseContext* context = contexts_.find(transaction->context);
  if (context && sip::parse_message(context->request.bytes(), sip::Framing::Datagram, request_)) {
    replies_.trying(server, request_, transaction->source, outbox);
  }
}

// A phone on UDP whose NAT has given it another port: what is repeated goes where it is by now. A
// call knows that from all that its phone has sent, others know it from the registration.
void Deadlines::follow_phone(SlotId id) {
  ClientTransaction* client = transactions_.client(id);
  if (!client || !client->target.to_access || client->target.transport != Transport::Udp) return;
  const auto follow = [&](Transport transport, ListenerIndex listener, const Endpoint& remote) {
    if (transport != Transport::Udp || listener != client->target.listener) return;
    if (remote.port != 0) client->target.remote = remote;
  };
  const ResponseContext* context = contexts_.find(client->context);
  if (const Call* call = context ? calls_.get(context->call) : nullptr) {
    const Target& phone = call->party(other(context->from)).target;
    if (phone.to_access) follow(phone.transport, phone.listener, phone.remote);
  } else if (const UserAgent* agent =
                 registrations_.get(registrations_.find(client->target.user_agent))) {
    if (!agent->away) follow(agent->source.transport, agent->source.listener, agent->source.remote);
  }
}

void Deadlines::client_deadline(std::uint64_t payload, Instant now, Outbox& outbox) {
  if (subject_of(payload) == Subject::ClientRetransmit) follow_phone(SlotId::unpack(payload));
  SlotId client;
  const auto outcome = transactions_.expire(payload, now, outbox, client);
  if (outcome.timeout) core_.counters.timeouts_client.add();
  responses_.client_outcome(client, outcome, 408, now, outbox);
}

}  // namespace ringway
