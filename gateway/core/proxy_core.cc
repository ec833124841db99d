#include "gateway/core/proxy_core.h"

#include "gateway/base/subject.h"
#include "gateway/core/peer_check.h"
#include "gateway/core/requests.h"
#include "gateway/peers/header_rules.h"
#include "gateway/peers/peer_table.h"
#include "gateway/peers/targets.h"
#include "protocol/base/ascii.h"
#include "protocol/sip/parse.h"

namespace ringway {
namespace {

HashKey derive_hash_key(const tls::Mac& mac) {
  const tls::MacTag tag = mac.sign(as_bytes("hash key of tables"));
  return {read_u64(tag), read_u64(Bytes(tag).subspan(8))};
}

HashKey derive_branch_key(const tls::Mac& mac, std::uint32_t epoch) {
  std::uint8_t word[4];
  write_u32(word, epoch);
  const tls::MacTag tag = mac.sign({as_bytes("key of branches"), word});
  return {read_u64(tag), read_u64(Bytes(tag).subspan(8))};
}

std::uint32_t deadlines_max(const LimitsConfig& limits) {
  const std::uint64_t sum = 2 * (std::uint64_t{limits.transactions} + limits.client_transactions) +
                            limits.contexts + limits.bindings + limits.dialogs +
                            RelaySet::kPendingMax + 1024;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(sum, 0x100'0000));
}

std::vector<Prefix> parse_prefixes(const std::vector<std::string>& texts) {
  std::vector<Prefix> prefixes;
  for (const std::string& text : texts) {
    if (const auto prefix = parse_prefix(text)) prefixes.push_back(*prefix);  // checked by validate
  }
  return prefixes;
}

}  // namespace

// The parts in the order of a message's way; each knows only those above it.
struct ProxyCore::Parts {
  explicit Parts(Environment& environment);

  void settle(Instant now, Outbox& outbox);
  void release_call(SlotId call, Instant now, Outbox& outbox);
  void agent_changed(const Registrations::Change& change, Instant now, Outbox& outbox);
  void context_deadline(SlotId id, Instant now, Outbox& outbox);
  void server_deadline(std::uint64_t payload, Instant now, Outbox& outbox);
  void client_deadline(std::uint64_t payload, Instant now, Outbox& outbox);
  void expired(std::uint64_t payload, Instant now, Outbox& outbox);
  void relay_completed(const RelaySet::Completion& completion, Instant now, Outbox& outbox);
  bool pass_filter(const Source& source, Bytes bytes, Outbox& outbox);
  void refuse_unreadable(const Source& source, DropReason reason, Outbox& outbox);
  void receive_request(const Source& source, Instant now, Outbox& outbox);

  Services core;
  Flows flows;
  TransactionLayer transactions;
  NextHopSet next_hops;
  ContextTable contexts;
  PeerTable peers;
  Targets places;
  HeaderRules header_rules;
  Registrations registrations;
  RelaySet relays;
  Calls calls;
  MediaSteps media;
  Probes probes;
  Replies replies;
  Router router;
  PeerCheck peer_check;
  Responses responses;
  Requests requests;

  std::shared_ptr<const FilterRules> filter;
  std::vector<Prefix> filter_exempt;
  sip::MessageView view;    // of the message in hand
  sip::MessageView stored;  // of the request of a context
};

ProxyCore::Parts::Parts(Environment& environment)
    : core{environment.config,
           environment.shard,
           environment.epoch,
           std::move(environment.listeners),
           environment.mac,
           derive_hash_key(environment.mac),
           derive_branch_key(environment.mac, environment.epoch),
           OwnUris(core.listeners),
           environment.buffers,
           environment.counters,
           environment.log,
           Random(environment.seed),
           TimerWheel(deadlines_max(environment.config.limits)),
           environment.calendar},
      flows(core.shard),
      transactions(core.config, core.shard, core.wheel, core.counters, core.random),
      next_hops(core.config, core.listeners, core.counters, core.log, core.random),
      contexts(core, flows),
      peers(core.config, core.listeners),
      places(core.config, core.listeners, peers),
      header_rules(core.config),
      registrations(core, flows, contexts, next_hops),
      relays(core.config, core.shard, core.epoch, core.wheel, core.buffers, core.counters, core.log,
             core.random),
      calls(core, flows, registrations, relays),
      media(core, contexts, calls, relays),
      probes(core, transactions, next_hops),
      replies(core, transactions),
      router(core, flows, registrations, next_hops, peers, places),
      peer_check(core, flows, registrations, peers),
      responses({core, contexts, transactions, next_hops, registrations, calls, media, probes,
                 replies, router, header_rules}),
      requests({core, contexts, transactions, next_hops, registrations, calls, media, replies,
                router, responses, peer_check, header_rules}),
      filter_exempt(parse_prefixes(core.config.filter_exempt)) {}

ProxyCore::ProxyCore(Environment environment) : parts_(std::make_unique<Parts>(environment)) {}
ProxyCore::~ProxyCore() = default;

// --- A message ---------------------------------------------------------------------------------

// It looks at bytes, before anything is parsed or remembered. False: dropped.
bool ProxyCore::Parts::pass_filter(const Source& source, Bytes bytes, Outbox& outbox) {
  const ListenerInfo& listener = core.listeners[source.listener];
  if (!filter || listener.config.side != Side::Access) return true;
  for (const Prefix& prefix : filter_exempt) {
    if (prefix.contains(source.remote.address)) return true;
  }
  const auto verdict = filter->judge(bytes, source.remote.address, listener.local.address);
  if (!verdict.matched() || next_hops.is_next_hop(source.remote)) return true;
  const auto& rule = filter->rules()[static_cast<std::size_t>(verdict.rule)];
  core.counters.filter_rule_hits[static_cast<std::size_t>(verdict.rule)].add();
  const bool dropped = verdict.action >= FilterRules::Action::Reject;
  std::uint8_t memory[kEndpointTextMax];
  Writer remote(memory);
  write_endpoint(source.remote, remote);
  core.log.info(dropped ? "scanner_dropped" : "scanner_suspected",
                {{"rule", rule.name},
                 {"source", remote.written_text()},
                 {"transport", to_text(source.transport)}});
  if (!dropped) {
    core.counters.filter_logged.add();
    return true;
  }
  core.counters.filter_drops.add();
  core.drop(DropReason::Filter);
  if (source.flow) {
    Output& output = outbox.add(Output::Kind::CloseFlow);
    output.flow = source.flow;
    output.websocket_code = 1008;
  }
  return false;
}

void ProxyCore::Parts::refuse_unreadable(const Source& source, DropReason reason, Outbox& outbox) {
  core.drop(reason);
  if (!source.flow) return;
  Output& output = outbox.add(Output::Kind::CloseFlow);
  output.flow = source.flow;
  output.websocket_code = 1007;
}

void ProxyCore::receive_message(const Source& source, Bytes bytes, Instant now, Outbox& outbox) {
  Parts& parts = *parts_;
  Services& core = parts.core;
  core.counters.messages_in[static_cast<std::size_t>(source.transport)].add();
  if (!parts.pass_filter(source, bytes, outbox)) return;
  const auto framing = source.transport == Transport::Udp ? sip::Framing::Datagram
                       : is_websocket(source.transport)   ? sip::Framing::WebSocket
                                                          : sip::Framing::Stream;
  if (!sip::parse_message(bytes, framing, parts.view)) {
    core.counters.parse_errors.add();
    return parts.refuse_unreadable(source, DropReason::Unparsable, outbox);
  }
  if (parts.view.is_request()) {
    parts.receive_request(source, now, outbox);
  } else {
    sip::Essentials essentials;
    if (!sip::validate_response(parts.view, essentials).ok()) {
      core.counters.bad_responses.add();
      return core.drop(DropReason::BadResponse);
    }
    parts.responses.receive(source, {parts.view, essentials}, now, outbox);
  }
  parts.settle(now, outbox);
}

void ProxyCore::Parts::receive_request(const Source& source, Instant now, Outbox& outbox) {
  sip::Essentials essentials;
  const sip::Verdict verdict = sip::validate_request(view, essentials);
  if (verdict.ok()) return requests.receive(source, {view, essentials}, now, outbox);
  core.counters.bad_requests.add();
  core.log.info("bad_request", {{"status", verdict.status},
                                {"reason", verdict.reason},
                                {"call_id", view.value(sip::HeaderName::CallId)},
                                {"flow", source.flow.value()}});
  if (!verdict.answerable) return refuse_unreadable(source, DropReason::Unanswerable, outbox);
  replies.refuse(view, source, verdict.status, verdict.reason, {}, outbox);
}

// What a turn's step left for others: each of these may leave more.
void ProxyCore::Parts::settle(Instant now, Outbox& outbox) {
  for (;;) {
    if (const auto retry = responses.next_retry()) {
      requests.retry(*retry, now, outbox);
    } else if (const auto call = responses.next_release()) {
      release_call(*call, now, outbox);
    } else if (const auto change = registrations.next_change()) {
      agent_changed(*change, now, outbox);
    } else {
      return;
    }
  }
}

void ProxyCore::Parts::release_call(SlotId id, Instant now, Outbox& outbox) {
  Calls::Release release = calls.release(id, now, outbox);
  if (ResponseContext* context = contexts.find(release.context)) {
    // Still ringing at a browser that is gone: the caller hears it now.
    context->give_up_targets();
    responses.cancel_branches(release.context, now, outbox);
    responses.fail(release.context, 480, {}, now, outbox);
  } else if (release.context) {
    calls.end(id, now, outbox);
  }
  if (release.bye) requests.originate(sip::Method::Bye, std::move(release.bye), now, outbox);
}

void ProxyCore::Parts::agent_changed(const Registrations::Change& change, Instant now,
                                     Outbox& outbox) {
  if (!registrations.get(change.agent)) return;
  const bool here = change.kind == Registrations::Change::Kind::Here;
  for (SlotId next = registrations.take_waiting(change.agent);
       ResponseContext* context = contexts.find(next);) {
    const SlotId here_now = next;
    next = std::exchange(context->next_waiting, {});
    if (!context->is_waiting_for(ResponseContext::State::AwaitUserAgent)) continue;
    if (here) {
      requests.resume(here_now, now, outbox);
    } else {
      core.counters.waits_expired.add();
      responses.fail(here_now, 480, {}, now, outbox);
    }
  }
  if (here) return;
  if (!change.left) calls.keep_on_flow(change.agent);
  while (const SlotId call = calls.first_of(change.agent)) {
    release_call(call, now, outbox);
    // A release that only failed a context has freed the call with it; never loop on one.
    if (calls.first_of(change.agent) == call) calls.disown(call);
  }
  registrations.release(change.agent);
}

// --- Flows -------------------------------------------------------------------------------------

void ProxyCore::flow_opened(const FlowInfo& info, Instant, Outbox&) {
  parts_->flows.opened(info, info.opened_by_us
                                 ? PeerTable::opened_for(info.next_hop)
                                 : parts_->peers.accepted_with(info.certificate_names));
}

void ProxyCore::flow_closed(FlowId id, FlowEnd, Instant now, Outbox& outbox) {
  Parts& parts = *parts_;
  FlowState* flow = parts.flows.find(id);
  if (!flow) return;
  flow->live = false;
  // Calls that it was still setting up are cancelled; their callers can hear no answer any more.
  for (SlotId next = flow->first_context; ResponseContext* context = parts.contexts.find(next);) {
    const SlotId here = next;
    next = context->next_of_flow;
    context->next_of_flow = context->previous_of_flow = {};
    context->source.flow = {};
    if (context->method == sip::Method::Invite) parts.responses.cancel(here, nullptr, now, outbox);
  }
  flow->first_context = {};
  parts.registrations.flow_ended(*flow, id, now, outbox);
  // Calls of a user agent that never registered cannot be found again by anyone: they wait for
  // the grace all the same, so that both kinds end alike.
  parts.calls.flow_ended(*flow, now);
  Output::Announcement& gone = outbox.add(Output::Kind::Announce).announcement;
  gone.kind = Output::Announcement::Kind::FlowGone;
  gone.flow = id;
  parts.settle(now, outbox);
}

void ProxyCore::send_failed(Ticket ticket, TransportFailure failure, Instant now, Outbox& outbox) {
  Parts& parts = *parts_;
  const SlotId id = SlotId::unpack(ticket);
  if (subject_of(ticket) == Subject::ServerSend) {
    parts.core.counters.sends_failed.add();  // RFC 6026 7.1: the transaction lives on
    return;
  }
  if (subject_of(ticket) != Subject::ClientSend) return;
  const ClientTransaction* client = parts.transactions.client(id);
  if (!client) return;
  if (failure == TransportFailure::ConnectionLost && client->was_heard()) return;
  if (client->target.tcp_for_size) parts.next_hops.tcp_refused(client->target.remote, now);
  parts.core.log.info("send_failed", {{"transport", to_text(client->target.transport)},
                                      {"failure", static_cast<int>(failure)},
                                      {"flow", client->target.flow.value()}});
  const auto outcome = parts.transactions.client_failed(id, now, outbox);
  const sip::Status status = failure == TransportFailure::FlowGone ? 430 : 503;
  parts.responses.client_outcome(id, outcome, status, now, outbox);
  parts.settle(now, outbox);
}

void ProxyCore::receive_announcement(const Output::Announcement& announcement, Instant now,
                                     Outbox& outbox) {
  if (announcement.kind == Output::Announcement::Kind::FlowGone) {
    parts_->flows.ended_elsewhere(announcement.flow);
    return parts_->calls.remote_flow_ended(announcement.flow, now);
  }
  parts_->registrations.announced(announcement, now);
  parts_->settle(now, outbox);
}

// --- What parked messages wait for -------------------------------------------------------------

void ProxyCore::Parts::relay_completed(const RelaySet::Completion& completion, Instant now,
                                       Outbox& outbox) {
  const ResponseContext* context = contexts.find(completion.owner);
  if (!context) {
    if (completion.command == RelayCommand::Delete && completion.answered &&
        completion.reply.result == RelayReply::Result::Error) {
      core.log.debug("media_delete_refused", {{"reason", completion.reply.reason}});
    }
    return;
  }
  if (context->is_waiting_for(ResponseContext::State::AwaitOffer)) {
    requests.offer_done(completion.owner, completion, now, outbox);
  } else if (context->parked[0].message) {
    responses.answer_done(completion.owner, completion, now, outbox);
  }
}

void ProxyCore::receive_relay(std::uint8_t relay, Bytes message, Instant now, Outbox& outbox) {
  if (const auto completion = parts_->relays.receive(relay, message, now)) {
    parts_->relay_completed(*completion, now, outbox);
    parts_->settle(now, outbox);
  }
}

void ProxyCore::relay_connected(std::uint8_t relay, Instant, Outbox& outbox) {
  parts_->relays.connected(relay, outbox);
}

void ProxyCore::relay_lost(std::uint8_t relay, Instant, Outbox&) {
  parts_->relays.lost(relay);
}

void ProxyCore::resolved(Ticket ticket, const Resolution& resolution, Instant now, Outbox& outbox) {
  parts_->requests.resolved(SlotId::unpack(ticket), resolution, now, outbox);
  parts_->settle(now, outbox);
}

// --- From the control thread -------------------------------------------------------------------

void ProxyCore::publish_next_hops(std::shared_ptr<const NextHopSnapshot> next_hops, Instant now,
                                  Outbox&) {
  parts_->peers.publish(*next_hops, now);
  parts_->next_hops.publish(std::move(next_hops));
  parts_->probes.start(now);
}

void ProxyCore::publish_filter(std::shared_ptr<const FilterRules> rules) {
  parts_->filter = std::move(rules);
}

void ProxyCore::config_changed(Instant now) {
  parts_->filter_exempt = parse_prefixes(parts_->core.config.filter_exempt);
  parts_->peers.config_changed();
  parts_->header_rules = HeaderRules(parts_->core.config);
  parts_->registrations.next_hops_changed();
  parts_->probes.next_hops_changed(now);
}

void ProxyCore::set_in_service(bool in_service) {
  parts_->requests.set_draining(!in_service);
}

void ProxyCore::drain(Instant, Outbox&) {
  parts_->requests.set_draining(true);
}

void ProxyCore::release_calls(Instant now, Outbox& outbox) {
  for (const SlotId call : parts_->calls.all()) parts_->release_call(call, now, outbox);
  parts_->settle(now, outbox);
}

bool ProxyCore::is_quiet() const {
  return parts_->contexts.size() == 0;
}

ProxyCore::Occupancy ProxyCore::occupancy() const {
  const Parts& parts = *parts_;
  Occupancy held;
  held.contexts = parts.contexts.size();
  held.target_lists = parts.contexts.target_lists();
  held.server_transactions = parts.transactions.servers();
  held.client_transactions = parts.transactions.live_clients();
  held.relay_requests = parts.relays.pending();
  held.calls = parts.calls.size();
  held.user_agents = parts.registrations.size();
  held.deadlines = parts.core.wheel.size();
  return held;
}

// --- Deadlines ---------------------------------------------------------------------------------

void ProxyCore::Parts::context_deadline(SlotId id, Instant now, Outbox& outbox) {
  ResponseContext* context = contexts.find(id);
  if (!context) return;
  context->timer = 0;
  switch (std::exchange(context->timer_for, ContextTimer::None)) {
    case ContextTimer::None:
      return;
    case ContextTimer::Name:
      return responses.fail(id, 503, {}, now, outbox);
    case ContextTimer::Return:
      core.counters.waits_expired.add();
      return responses.fail(id, 480, {}, now, outbox);
    case ContextTimer::FirstAnswer:
      return responses.next_hop_silent(id, now);
    case ContextTimer::TimerC:
      return responses.timer_c(id, now, outbox);
  }
}

void ProxyCore::Parts::server_deadline(std::uint64_t payload, Instant now, Outbox& outbox) {
  SlotId server;
  const auto outcome = transactions.expire(payload, now, outbox, server);
  if (!outcome.send_100) return;
  // RFC 4320: the late 100 of a non-INVITE, from the request as it was received.
  const ServerTransaction* transaction = transactions.server(server);
  const ResponseContext* context = contexts.find(transaction->context);
  if (context && sip::parse_message(context->request.bytes(), sip::Framing::Datagram, stored)) {
    replies.trying(server, stored, transaction->source, outbox);
  }
}

void ProxyCore::Parts::client_deadline(std::uint64_t payload, Instant now, Outbox& outbox) {
  SlotId client;
  const auto outcome = transactions.expire(payload, now, outbox, client);
  if (outcome.timeout) core.counters.timeouts_client.add();
  responses.client_outcome(client, outcome, 408, now, outbox);
}

void ProxyCore::Parts::expired(std::uint64_t payload, Instant now, Outbox& outbox) {
  const SlotId id = SlotId::unpack(payload);
  switch (subject_of(payload)) {
    case Subject::ServerRetransmit:
    case Subject::ServerLifetime:
      return server_deadline(payload, now, outbox);
    case Subject::ClientRetransmit:
    case Subject::ClientLifetime:
      return client_deadline(payload, now, outbox);
    case Subject::Context:
      return context_deadline(id, now, outbox);
    case Subject::Relay:
      if (const auto completion = relays.expire(payload, now)) {
        relay_completed(*completion, now, outbox);
      }
      return;
    case Subject::UserAgent:
      return registrations.expired(id);
    case Subject::Call:
      if (Call* call = calls.get(id)) {
        call->timer = 0;
        release_call(id, now, outbox);
      }
      return;
    case Subject::Probe:
      return probes.send(static_cast<std::uint16_t>(id.slot), now, outbox);
    case Subject::None:
    case Subject::ServerSend:
    case Subject::ClientSend:
      return;
  }
}

Instant ProxyCore::next_deadline() const {
  return parts_->core.wheel.next_deadline();
}

Duration ProxyCore::expire(Instant now, Outbox& outbox) {
  Parts& parts = *parts_;
  return parts.core.wheel.expire(now, [&](std::uint64_t payload) {
    parts.expired(payload, now, outbox);
    parts.settle(now, outbox);
  });
}

std::vector<CallInfo> ProxyCore::calls(std::size_t max, Instant now) const {
  return parts_->calls.list(max, now);
}

}  // namespace ringway
