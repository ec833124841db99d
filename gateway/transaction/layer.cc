#include "gateway/transaction/layer.h"

#include <bit>

namespace ringway {
namespace {

using transaction::Action;
using transaction::Actions;
using transaction::InviteClient;
using transaction::InviteServer;
using transaction::NonInviteClient;
using transaction::NonInviteServer;
using transaction::Reliability;

Reliability reliability_of(Transport transport) {
  return is_reliable(transport) ? Reliability::Reliable : Reliability::Unreliable;
}

template <typename State>
std::size_t index_of(State state) {
  return static_cast<std::size_t>(state);
}

}  // namespace

TransactionLayer::TransactionLayer(const Config& config, ShardIndex shard, TimerWheel& wheel,
                                   Counters& counters)
    : config_(config),
      shard_(shard),
      timers_{config.timers.t1, config.timers.t2, config.timers.t4},
      wheel_(wheel),
      counters_(counters),
      servers_(config.limits.transactions),
      clients_(config.limits.client_transactions),
      buckets_(std::bit_ceil(std::size_t{config.limits.transactions} * 2)),
      bucket_mask_(buckets_.size() - 1) {}

template <typename Machine, typename Event>
Actions TransactionLayer::step(Machine& machine, Event event, Reliability reliability,
                               CounterArray<6>& states) {
  const std::size_t before = index_of(machine.state());
  const Actions actions = machine.receive(event, timers_, reliability);
  const std::size_t after = index_of(machine.state());
  if (before != after) {
    states[before].subtract();
    states[after].add();
  }
  return actions;
}

// --- Server transactions -----------------------------------------------------------------------

SlotId TransactionLayer::find_server(const transaction::TransactionKey& key) {
  for (std::uint32_t place = bucket(key); place != 0;) {
    ServerTransaction* transaction = servers_.at(place - 1);
    if (transaction->key == key) return servers_.id_at(place - 1);
    place = transaction->next_in_bucket;
  }
  return {};
}

SlotId TransactionLayer::open_server(const transaction::TransactionKey& key, sip::Method method,
                                     const Source& source, Instant now, Outbox& outbox,
                                     Outcome& outcome) {
  SlotId id = servers_.take();
  if (const SlotId oldest = finished_servers_.oldest(); !id && oldest) {
    release_server(oldest, *servers_.find(oldest));
    counters_.transactions_cut_short.add();
    id = servers_.take();
  }
  if (!id) {
    counters_.transactions_refused.add();
    return {};
  }
  ServerTransaction& transaction = *servers_.find(id);
  transaction.key = key;
  transaction.method = method;
  transaction.is_invite = method == sip::Method::Invite;
  transaction.source = source;
  std::uint32_t& head = bucket(key);
  transaction.next_in_bucket = head;
  head = id.slot + 1;
  counters_.server_transactions.add();
  const Reliability reliability = reliability_of(source.transport);
  Actions actions;
  if (transaction.is_invite) {
    counters_.invite_server_states[index_of(transaction.invite.state())].add();
    actions = transaction.invite.start(timers_, reliability);
  } else {
    counters_.server_states[index_of(transaction.other.state())].add();
    actions = transaction.other.start(timers_, reliability);
  }
  outcome = perform(id, transaction, actions, nullptr, now, outbox);
  return id;
}

TransactionLayer::Outcome TransactionLayer::request_repeated(SlotId id, Instant now,
                                                             Outbox& outbox) {
  ServerTransaction& transaction = *servers_.find(id);
  const Reliability reliability = reliability_of(transaction.source.transport);
  counters_.retransmissions_absorbed.add();
  const Actions actions = transaction.is_invite
                              ? step(transaction.invite, InviteServer::Event::RequestReceived,
                                     reliability, counters_.invite_server_states)
                              : step(transaction.other, NonInviteServer::Event::RequestReceived,
                                     reliability, counters_.server_states);
  return perform(id, transaction, actions, nullptr, now, outbox);
}

TransactionLayer::Outcome TransactionLayer::ack_received(SlotId id, Instant now, Outbox& outbox) {
  ServerTransaction& transaction = *servers_.find(id);
  if (!transaction.is_invite) return {};
  const Actions actions =
      step(transaction.invite, InviteServer::Event::AckReceived,
           reliability_of(transaction.source.transport), counters_.invite_server_states);
  return perform(id, transaction, actions, nullptr, now, outbox);
}

// A final response is said once: whatever follows while it waits is not sent.
bool TransactionLayer::hold(SlotId id, sip::Status status, BufferRef& response, Instant now) {
  ServerTransaction& transaction = *servers_.find(id);
  if (transaction.held) return true;
  if (now >= transaction.refuse_from || status < 300) return false;
  transaction.held = std::move(response);
  transaction.held_status = status;
  transaction.hold =
      wheel_.arm(transaction.refuse_from, subject_value(Subject::ServerHold, id));
  return true;
}

TransactionLayer::Outcome TransactionLayer::release_held(SlotId id, Instant now, Outbox& outbox) {
  ServerTransaction* transaction = servers_.find(id);
  if (!transaction || !transaction->held) return {};
  transaction->hold = 0;
  transaction->refuse_from = {};
  return respond(id, transaction->held_status, std::exchange(transaction->held, {}), now, outbox);
}

TransactionLayer::Outcome TransactionLayer::respond(SlotId id, sip::Status status,
                                                    BufferRef response, Instant now,
                                                    Outbox& outbox) {
  if (hold(id, status, response, now)) return {};
  ServerTransaction& transaction = *servers_.find(id);
  const Reliability reliability = reliability_of(transaction.source.transport);
  Actions actions;
  if (transaction.is_invite) {
    const auto event = sip::is_provisional(status) ? InviteServer::Event::Provisional
                       : sip::is_success(status)   ? InviteServer::Event::Final2xx
                                                   : InviteServer::Event::FinalOther;
    actions = step(transaction.invite, event, reliability, counters_.invite_server_states);
  } else {
    if (sip::is_provisional(status)) return {};
    actions = step(transaction.other, NonInviteServer::Event::Final, reliability,
                   counters_.server_states);
  }
  const Outcome outcome = perform(id, transaction, actions, &response, now, outbox);
  if (outcome.sent) counters_.responses_by_class[status / 100].add();
  if (sip::is_final(status) && !outcome.terminated) finished_servers_.add(id);
  return outcome;
}

void TransactionLayer::send_100(SlotId id, BufferRef response, Outbox& outbox) {
  ServerTransaction& transaction = *servers_.find(id);
  transaction.response = response;
  counters_.responses_by_class[1].add();
  answer(transaction, std::move(response), 0, outbox);
}

void TransactionLayer::reconnect_server(SlotId id, const Source& source,
                                        Outbox& outbox) {
  ServerTransaction& transaction = *servers_.find(id);
  transaction.source = source;
  if (!transaction.response) return;
  answer(transaction, transaction.response, subject_value(Subject::ServerSend, id), outbox);
}

void TransactionLayer::answer(const ServerTransaction& transaction, BufferRef response,
                              Ticket ticket, Outbox& outbox) {
  const Source& source = transaction.source;
  if (source.flow || source.transport == Transport::Udp) {
    return send_back(source, std::move(response), ticket, outbox);
  }
  Target target;
  target.transport = source.transport;
  target.listener = source.listener;
  target.remote = source.remote;
  target.next_hop = transaction.next_hop;
  send_to(target, config_, std::move(response), ticket, outbox);
}

void TransactionLayer::forget(SlotId id) {
  if (ServerTransaction* transaction = servers_.find(id)) release_server(id, *transaction);
}

void TransactionLayer::abandon(SlotId id, Instant now, Outbox& outbox) {
  ServerTransaction& transaction = *servers_.find(id);
  if (transaction.is_invite) return;
  const Actions actions =
      step(transaction.other, NonInviteServer::Event::Abandoned,
           reliability_of(transaction.source.transport), counters_.server_states);
  perform(id, transaction, actions, nullptr, now, outbox);
}

TransactionLayer::Outcome TransactionLayer::perform(SlotId id, ServerTransaction& transaction,
                                                    const Actions& actions, BufferRef* message,
                                                    Instant now, Outbox& outbox) {
  Outcome outcome;
  for (const Action& action : actions) {
    switch (action.kind) {
      case Action::Kind::Send:
        if (message) {
          transaction.response = *message;
          outcome.sent = true;
        } else if (transaction.response) {
          counters_.retransmissions_sent.add();
        }
        if (transaction.response) {
          answer(transaction, transaction.response, subject_value(Subject::ServerSend, id),
                 outbox);
        }
        break;
      case Action::Kind::Send100:
        outcome.send_100 = true;
        break;
      case Action::Kind::ToUser:
        outcome.to_user = true;
        break;
      case Action::Kind::ArmRetransmit:
        wheel_.cancel(transaction.retransmit);
        transaction.retransmit =
            wheel_.arm(now + action.delay, subject_value(Subject::ServerRetransmit, id));
        break;
      case Action::Kind::DisarmRetransmit:
        wheel_.cancel(transaction.retransmit);
        break;
      case Action::Kind::ArmLifetime:
        wheel_.cancel(transaction.lifetime);
        transaction.lifetime =
            wheel_.arm(now + action.delay, subject_value(Subject::ServerLifetime, id));
        break;
      case Action::Kind::DisarmLifetime:
        wheel_.cancel(transaction.lifetime);
        break;
      case Action::Kind::Timeout:
        outcome.timeout = true;
        break;
      case Action::Kind::TransportError:
        outcome.transport_error = true;
        break;
      case Action::Kind::SendAck:
        break;  // a client's
      case Action::Kind::Terminate:
        outcome.terminated = true;
        release_server(id, transaction);
        return outcome;
    }
  }
  return outcome;
}

void TransactionLayer::release_server(SlotId id, ServerTransaction& transaction) {
  wheel_.cancel(transaction.retransmit);
  wheel_.cancel(transaction.lifetime);
  wheel_.cancel(transaction.hold);
  finished_servers_.remove(transaction);
  std::uint32_t* link = &bucket(transaction.key);
  while (*link != id.slot + 1) link = &servers_.at(*link - 1)->next_in_bucket;
  *link = transaction.next_in_bucket;
  if (transaction.is_invite) {
    counters_.invite_server_states[index_of(transaction.invite.state())].subtract();
  } else {
    counters_.server_states[index_of(transaction.other.state())].subtract();
  }
  counters_.server_transactions.subtract();
  servers_.release(id);
}

// --- Client transactions -----------------------------------------------------------------------

SlotId TransactionLayer::reserve_client(sip::Method method, const Target& target,
                                        std::uint32_t loop_hash) {
  SlotId id = clients_.take();
  if (const SlotId oldest = finished_clients_.oldest(); !id && oldest) {
    release_client(oldest);
    counters_.transactions_cut_short.add();
    id = clients_.take();
  }
  if (!id) {
    counters_.transactions_refused.add();
    return {};
  }
  ClientTransaction& transaction = *clients_.find(id);
  transaction.method = method;
  transaction.is_invite = method == sip::Method::Invite;
  transaction.target = target;
  transaction.loop_hash = loop_hash;
  counters_.client_transactions.add();
  if (transaction.is_invite) {
    counters_.invite_client_states[index_of(transaction.invite.state())].add();
  } else {
    counters_.client_states[index_of(transaction.other.state())].add();
  }
  return id;
}

sip::Branch TransactionLayer::branch_of(SlotId id) {
  return {shard_, id.slot, id.generation, clients_.find(id)->loop_hash};
}

TransactionLayer::Outcome TransactionLayer::start_client(SlotId id, BufferRef request, Instant now,
                                                         Outbox& outbox) {
  ClientTransaction& transaction = *clients_.find(id);
  transaction.request = std::move(request);
  const Reliability reliability = reliability_of(transaction.target.transport);
  const Actions actions = transaction.is_invite ? transaction.invite.start(timers_, reliability)
                                                : transaction.other.start(timers_, reliability);
  return perform(id, transaction, actions, now, outbox);
}

void TransactionLayer::release_client(SlotId id) {
  ClientTransaction* transaction = clients_.find(id);
  if (!transaction) return;
  wheel_.cancel(transaction->retransmit);
  wheel_.cancel(transaction->lifetime);
  finished_clients_.remove(*transaction);
  if (transaction->is_invite) {
    counters_.invite_client_states[index_of(transaction->invite.state())].subtract();
  } else {
    counters_.client_states[index_of(transaction->other.state())].subtract();
  }
  counters_.client_transactions.subtract();
  clients_.release(id);
}

SlotId TransactionLayer::find_client(const sip::Branch& branch, sip::Method method) {
  const SlotId id{branch.slot, branch.generation};
  ClientTransaction* transaction = clients_.find(id);
  if (!transaction || transaction->loop_hash != branch.loop_hash) return {};
  if (transaction->method == method) return id;
  // A CANCEL has the branch of the INVITE it is about (RFC 3261 9.1).
  if (method == sip::Method::Cancel && clients_.find(transaction->cancel)) {
    return transaction->cancel;
  }
  return {};
}

TransactionLayer::Outcome TransactionLayer::response_received(SlotId id, sip::Status status,
                                                              Instant now, Outbox& outbox) {
  ClientTransaction& transaction = *clients_.find(id);
  const Reliability reliability = reliability_of(transaction.target.transport);
  Actions actions;
  if (transaction.is_invite) {
    const auto event = sip::is_provisional(status) ? InviteClient::Event::Provisional
                       : sip::is_success(status)   ? InviteClient::Event::Final2xx
                                                   : InviteClient::Event::FinalOther;
    actions = step(transaction.invite, event, reliability, counters_.invite_client_states);
  } else {
    const auto event = sip::is_provisional(status) ? NonInviteClient::Event::Provisional
                                                   : NonInviteClient::Event::Final;
    actions = step(transaction.other, event, reliability, counters_.client_states);
  }
  if (sip::is_provisional(status)) transaction.provisional = true;
  const Outcome outcome = perform(id, transaction, actions, now, outbox);
  if (transaction.other.state() == NonInviteClient::State::Completed) {
    // It is never sent again: its memory, still in the cache, serves the next request.
    transaction.request.reset();
    finished_clients_.add(id);
  }
  return outcome;
}

void TransactionLayer::send_ack(SlotId id, BufferRef ack, Outbox& outbox) {
  ClientTransaction* transaction = clients_.find(id);
  if (!transaction) return;
  transaction->ack = ack;
  send_to(transaction->target, config_, std::move(ack), 0, outbox);
}

TransactionLayer::Outcome TransactionLayer::client_failed(SlotId id, Instant now, Outbox& outbox) {
  ClientTransaction& transaction = *clients_.find(id);
  counters_.transport_errors.add();
  const Reliability reliability = reliability_of(transaction.target.transport);
  const Actions actions = transaction.is_invite
                              ? step(transaction.invite, InviteClient::Event::TransportError,
                                     reliability, counters_.invite_client_states)
                              : step(transaction.other, NonInviteClient::Event::TransportError,
                                     reliability, counters_.client_states);
  return perform(id, transaction, actions, now, outbox);
}

bool TransactionLayer::repeat_client(SlotId id, Outbox& outbox) {
  ClientTransaction& transaction = *clients_.find(id);
  const Target& target = transaction.target;
  if (transaction.repeated || !transaction.request || target.to_access || target.flow) return false;
  const InviteClient::State state = transaction.invite.state();
  const bool waits = !transaction.is_invite || state == InviteClient::State::Calling ||
                     state == InviteClient::State::Proceeding;
  if (!waits) return false;
  transaction.repeated = true;
  counters_.sent_again.add();
  send_to(target, config_, transaction.request, subject_value(Subject::ClientSend, id), outbox);
  return true;
}

void TransactionLayer::give_up_on(SlotId id, Instant now) {
  ClientTransaction& transaction = *clients_.find(id);
  const bool waits =
      transaction.is_invite && transaction.invite.state() == InviteClient::State::Proceeding;
  if (!waits || transaction.lifetime != 0) return;
  transaction.lifetime =
      wheel_.arm(now + 64 * timers_.t1, subject_value(Subject::ClientLifetime, id));
}

TransactionLayer::Outcome TransactionLayer::perform(SlotId id, ClientTransaction& transaction,
                                                    const Actions& actions, Instant now,
                                                    Outbox& outbox) {
  Outcome outcome;
  for (const Action& action : actions) {
    switch (action.kind) {
      case Action::Kind::Send:
        send_to(transaction.target, config_, transaction.request,
                subject_value(Subject::ClientSend, id), outbox);
        break;
      case Action::Kind::SendAck:
        if (transaction.ack) {
          send_to(transaction.target, config_, transaction.ack, 0, outbox);
        } else {
          outcome.send_ack = true;
        }
        break;
      case Action::Kind::Send100:
        break;  // a server's
      case Action::Kind::ToUser:
        outcome.to_user = true;
        break;
      case Action::Kind::ArmRetransmit:
        wheel_.cancel(transaction.retransmit);
        transaction.retransmit =
            wheel_.arm(now + action.delay, subject_value(Subject::ClientRetransmit, id));
        break;
      case Action::Kind::DisarmRetransmit:
        wheel_.cancel(transaction.retransmit);
        break;
      case Action::Kind::ArmLifetime:
        wheel_.cancel(transaction.lifetime);
        transaction.lifetime =
            wheel_.arm(now + action.delay, subject_value(Subject::ClientLifetime, id));
        break;
      case Action::Kind::DisarmLifetime:
        wheel_.cancel(transaction.lifetime);
        break;
      case Action::Kind::Timeout:
        outcome.timeout = true;
        break;
      case Action::Kind::TransportError:
        outcome.transport_error = true;
        break;
      case Action::Kind::Terminate:
        outcome.terminated = true;
        break;  // the caller reads it first
    }
  }
  return outcome;
}

TransactionLayer::Outcome TransactionLayer::expire(std::uint64_t payload, Instant now,
                                                   Outbox& outbox, SlotId& id) {
  id = SlotId::unpack(payload);
  const Subject subject = subject_of(payload);
  if (subject == Subject::ServerHold) return release_held(id, now, outbox);
  if (subject == Subject::ServerRetransmit || subject == Subject::ServerLifetime) {
    ServerTransaction* transaction = servers_.find(id);
    if (!transaction) return {};
    const bool retransmit = subject == Subject::ServerRetransmit;
    (retransmit ? transaction->retransmit : transaction->lifetime) = 0;
    if (retransmit && transaction->is_invite && transaction->repeats_left-- == 0) {
      transaction->repeats_left = 0;
      return {};
    }
    const Reliability reliability = reliability_of(transaction->source.transport);
    const Actions actions = transaction->is_invite
                                ? step(transaction->invite,
                                       retransmit ? InviteServer::Event::RetransmitTimer
                                                  : InviteServer::Event::LifetimeTimer,
                                       reliability, counters_.invite_server_states)
                                : step(transaction->other,
                                       retransmit ? NonInviteServer::Event::RetransmitTimer
                                                  : NonInviteServer::Event::LifetimeTimer,
                                       reliability, counters_.server_states);
    return perform(id, *transaction, actions, nullptr, now, outbox);
  }
  ClientTransaction* transaction = clients_.find(id);
  if (!transaction) return {};
  const bool retransmit = subject == Subject::ClientRetransmit;
  (retransmit ? transaction->retransmit : transaction->lifetime) = 0;
  const Reliability reliability = reliability_of(transaction->target.transport);
  if (!retransmit && transaction->is_invite &&
      transaction->invite.state() == InviteClient::State::Proceeding) {
    // Only give_up_on() arms that one: no response can come any more that anybody waits for.
    Outcome outcome = perform(id, *transaction,
                              step(transaction->invite, InviteClient::Event::TransportError,
                                   reliability, counters_.invite_client_states),
                              now, outbox);
    outcome.transport_error = false;
    outcome.timeout = outcome.given_up = true;
    return outcome;
  }
  const Actions actions = transaction->is_invite
                              ? step(transaction->invite,
                                     retransmit ? InviteClient::Event::RetransmitTimer
                                                : InviteClient::Event::LifetimeTimer,
                                     reliability, counters_.invite_client_states)
                              : step(transaction->other,
                                     retransmit ? NonInviteClient::Event::RetransmitTimer
                                                : NonInviteClient::Event::LifetimeTimer,
                                     reliability, counters_.client_states);
  if (retransmit && actions.contains(Action::Kind::Send)) counters_.retransmissions_sent.add();
  return perform(id, *transaction, actions, now, outbox);
}

// --- Sending -----------------------------------------------------------------------------------

void TransactionLayer::send_back(const Source& source, BufferRef buffer, Ticket ticket,
                                 Outbox& outbox) {
  Output& output = outbox.add(source.flow ? Output::Kind::SendFlow : Output::Kind::SendDatagram);
  output.transport = source.transport;
  output.listener = source.listener;
  output.remote = source.remote;
  output.flow = source.flow;
  output.local = source.local;
  output.buffer = std::move(buffer);
  output.ticket = ticket;
}

void TransactionLayer::send_to(const Target& target, const Config& config, BufferRef buffer,
                               Ticket ticket, Outbox& outbox) {
  Output::Kind kind = Output::Kind::SendConnect;
  if (target.flow) {
    kind = Output::Kind::SendFlow;
  } else if (target.transport == Transport::Udp) {
    kind = Output::Kind::SendDatagram;
  }
  Output& output = outbox.add(kind);
  output.transport = target.transport;
  output.listener = target.listener;
  output.remote = target.remote;
  output.flow = target.flow;
  output.next_hop = target.next_hop;
  output.ticket = ticket;
  output.buffer = std::move(buffer);
  if (target.transport == Transport::Tls && !target.flow) {
    if (target.name) {
      output.name = as_text(target.name.bytes());
    } else if (target.next_hop < config.next_hops.size()) {
      output.name = config.next_hops[target.next_hop].host;
    }
  }
}

}  // namespace ringway
