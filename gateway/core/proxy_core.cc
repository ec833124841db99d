#include "gateway/core/proxy_core.h"

#include "gateway/base/subject.h"
#include "gateway/core/admission_check.h"
#include "gateway/core/fraud_check.h"
#include "gateway/core/peer_check.h"
#include "gateway/core/relay_watch.h"
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

// The configuration's number, or one of 16 that the machine's name stands for.
std::uint8_t node_number(const Config& config) {
  if (config.node != 0) return config.node;
  return static_cast<std::uint8_t>(keyed_hash(HashKey{}, config.host_name) & 15);
}

std::uint32_t deadlines_max(const LimitsConfig& limits) {
  const std::uint64_t sum = 2 * (std::uint64_t{limits.transactions} + limits.client_transactions) +
                            limits.contexts + limits.bindings + 2 * std::uint64_t{limits.dialogs} +
                            RelaySet::kPendingMax + 1024;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(sum, 0x100'0000));
}

sip::Framing framing_of(Transport transport) {
  if (transport == Transport::Udp) return sip::Framing::Datagram;
  return is_websocket(transport) ? sip::Framing::WebSocket : sip::Framing::Stream;
}

// How long a stream that a rule tarpits is held, and how many at a time; others are closed.
constexpr Duration kTarpit = 60s;
constexpr std::uint32_t kTarpitsMax = 1'000;

}  // namespace

// The parts in the order of a message's way; each knows only those above it.
struct ProxyCore::Parts {
  explicit Parts(Environment& environment);

  void settle(Instant now, Outbox& outbox);
  void agent_changed(const Registrations::Change& change, Instant now, Outbox& outbox);
  void agent_here(const UserAgent& agent, const Registrations::Change& change, Instant now,
                  Outbox& outbox);
  void asker_back(const UserAgent& agent, Instant now, Outbox& outbox);
  void agent_gone(const UserAgent& agent, const Registrations::Change& change, Instant now,
                  Outbox& outbox);
  void context_deadline(SlotId id, Instant now, Outbox& outbox);
  void server_deadline(std::uint64_t payload, Instant now, Outbox& outbox);
  void follow_phone(SlotId client);
  void client_deadline(std::uint64_t payload, Instant now, Outbox& outbox);
  void expired(std::uint64_t payload, Instant now, Outbox& outbox);
  void relay_completed(const RelaySet::Completion& completion, Instant now, Outbox& outbox);
  void media_done(const Calls::MediaResult& result, Instant now, Outbox& outbox);
  bool survives(const ClientTransaction& client, Instant now, Outbox& outbox);
  bool wait_for_return(ResponseContext& context, SlotId id, Instant now);
  void flow_ended(FlowState& flow, FlowId id, Instant now, Outbox& outbox);
  void receive(const Source& source, Bytes bytes, bool handed_over, Instant now, Outbox& outbox);
  bool is_held(const Source& source);
  bool hold(FlowId id, Instant now);
  void tarpit_over(SlotId slot, Outbox& outbox);
  bool pass_gate(const Source& source, Instant now, Outbox& outbox);
  bool pass_filter(const Source& source, Bytes bytes, Instant now, Outbox& outbox);
  void refuse_scanner(const Source& source, Bytes bytes, const FilterRules::Verdict& verdict,
                      Instant now, Outbox& outbox);
  void close(const Source& source, std::uint16_t websocket_code, Outbox& outbox);
  void refuse_unreadable(const Source& source, DropReason reason, Outbox& outbox);
  void receive_request(const Source& source, bool handed_over, Instant now, Outbox& outbox);

  std::uint32_t for_next_hops(std::string_view name, auto work);
  std::uint32_t for_relays(std::string_view address, auto work);

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
  RelayWatch relay_watch;
  MediaSteps media;
  Probes probes;
  Replies replies;
  Router router;
  PeerCheck peer_check;
  SourceGate open_gate;
  SourceGate& gate;
  AdmissionCheck admission;
  FraudCheck fraud;
  Responses responses;
  Requests requests;

  std::shared_ptr<const FilterRules> filter;
  std::vector<Prefix> filter_exempt;
  std::uint32_t tarpits = 0;  // tarpits <= kTarpitsMax
  sip::MessageView view;    // of the message in hand
  sip::MessageView stored;  // of the request of a context
};

ProxyCore::Parts::Parts(Environment& environment)
    : core{environment.config,
           environment.shard,
           environment.shard_count,
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
           environment.calendar,
           node_number(environment.config)},
      flows(core.shard),
      transactions(core.config, core.shard, core.wheel, core.counters),
      next_hops(core.config, core.listeners, core.counters, core.log, core.random),
      contexts(core, flows),
      peers(core.config, core.listeners),
      places(core.config, core.listeners, peers),
      header_rules(core.config),
      registrations(core, flows, contexts, next_hops),
      relays(core.config, core.shard, core.epoch, core.wheel, core.buffers, core.counters, core.log,
             core.random),
      calls(core, flows, registrations, relays),
      relay_watch(core, relays, calls),
      media(core, contexts, calls, relays),
      probes(core, transactions, next_hops),
      replies(core, transactions, registrations),
      router(core, flows, registrations, next_hops, peers, places),
      peer_check(core, flows, registrations, peers),
      gate(environment.gate ? *environment.gate : open_gate),
      admission(core, gate, registrations),
      fraud(core, registrations, calls, environment.caps),
      responses({core, contexts, transactions, next_hops, registrations, calls, media, probes,
                 replies, router, header_rules, admission, fraud}),
      requests({core, contexts, transactions, next_hops, registrations, calls, media, replies,
                router, responses, peer_check, header_rules, admission, fraud}),
      filter_exempt(parse_prefixes(core.config.filter_exempt)) {}

ProxyCore::ProxyCore(Environment environment) : parts_(std::make_unique<Parts>(environment)) {}
ProxyCore::~ProxyCore() = default;

// --- A message ---------------------------------------------------------------------------------

// Who is kept out gets nothing, and his connections end.
bool ProxyCore::Parts::pass_gate(const Source& source, Instant now, Outbox& outbox) {
  if (core.listener(source.listener).side != Side::Access) return true;
  const bool by_datagram = source.transport == Transport::Udp;
  const auto answer = gate.ask(source.remote.address,
                               by_datagram ? BanScope::Datagrams : BanScope::Everything, now);
  if (answer == SourceGate::Answer::Open) return true;
  // Somebody else at the address of a user agent has earned that.
  if (answer == SourceGate::Answer::Banned && registrations.is_registered(source)) return true;
  const bool banned = answer == SourceGate::Answer::Banned;
  if (by_datagram) {
    (banned ? core.counters.banned_datagrams : core.counters.blocked_datagrams).add();
  } else {
    (banned ? core.counters.banned_messages : core.counters.blocked_messages).add();
  }
  core.drop(DropReason::Banned);
  close(source, 1008, outbox);
  return false;
}

// Whatever comes over a stream that is held is dropped.
bool ProxyCore::Parts::is_held(const Source& source) {
  if (tarpits == 0 || !source.flow) return false;
  const FlowState* flow = flows.find(source.flow);
  if (!flow || !flow->tarpit) return false;
  core.drop(DropReason::Filter);
  return true;
}

bool ProxyCore::Parts::hold(FlowId id, Instant now) {
  FlowState* flow = flows.find(id);
  if (!flow || tarpits >= kTarpitsMax) return false;
  flow->tarpit = true;
  ++tarpits;
  core.counters.tarpitted.add();
  core.wheel.arm(now + kTarpit, subject_value(Subject::Tarpit, {id.slot(), id.generation()}));
  return true;
}

void ProxyCore::Parts::tarpit_over(SlotId slot, Outbox& outbox) {
  --tarpits;
  const FlowId id(core.shard, slot.slot, slot.generation);
  if (!flows.find(id)) return;
  outbox.close_flow(id, 1008);
}

void ProxyCore::Parts::close(const Source& source, std::uint16_t websocket_code, Outbox& outbox) {
  if (source.flow) outbox.close_flow(source.flow, websocket_code);
}

// It looks at bytes, before anything is parsed or remembered. False: dropped.
bool ProxyCore::Parts::pass_filter(const Source& source, Bytes bytes, Instant now,
                                   Outbox& outbox) {
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
  const EndpointText remote(source.remote);
  core.log.info(dropped ? "scanner_dropped" : "scanner_suspected",
                {{"rule", rule.name},
                 {"source", remote.text()},
                 {"transport", to_text(source.transport)}});
  if (verdict.points != 0) admission.scanner(source, verdict.points);
  if (!dropped) {
    core.counters.filter_logged.add();
    return true;
  }
  core.counters.filter_drops.add();
  refuse_scanner(source, bytes, verdict, now, outbox);
  return false;
}

void ProxyCore::Parts::refuse_scanner(const Source& source, Bytes bytes,
                                      const FilterRules::Verdict& verdict, Instant now,
                                      Outbox& outbox) {
  switch (verdict.action) {
    case FilterRules::Action::Log:
    case FilterRules::Action::Score:
      return;
    case FilterRules::Action::Reject: {
      // What cannot be answered is dropped.
      sip::Essentials essentials;
      if (sip::parse_message(bytes, framing_of(source.transport), view) && view.is_request() &&
          sip::validate_request(view, essentials).answerable) {
        return replies.refuse(view, source, verdict.code, {}, {}, outbox);
      }
      break;
    }
    case FilterRules::Action::Tarpit:
      if (hold(source.flow, now)) return core.drop(DropReason::Filter);
      break;
    case FilterRules::Action::Ban:
      admission.scanner(source, 0);
      break;
    case FilterRules::Action::Drop:
      break;
  }
  core.drop(DropReason::Filter);
  close(source, 1008, outbox);
}

void ProxyCore::Parts::refuse_unreadable(const Source& source, DropReason reason, Outbox& outbox) {
  core.drop(reason);
  if (reason == DropReason::Unparsable) admission.unreadable(source);
  close(source, 1007, outbox);
}

void ProxyCore::receive_message(const Source& source, Bytes bytes, Instant now, Outbox& outbox) {
  Parts& parts = *parts_;
  parts.core.counters.messages_in[static_cast<std::size_t>(source.transport)].add();
  if (!parts.pass_gate(source, now, outbox) || parts.is_held(source) ||
      !parts.pass_filter(source, bytes, now, outbox)) {
    return;
  }
  parts.receive(source, bytes, false, now, outbox);
}

void ProxyCore::receive_handed_over(const Source& source, Bytes bytes, Instant now,
                                    Outbox& outbox) {
  parts_->receive(source, bytes, true, now, outbox);
}

void ProxyCore::Parts::receive(const Source& source, Bytes bytes, bool handed_over, Instant now,
                               Outbox& outbox) {
  if (!sip::parse_message(bytes, framing_of(source.transport), view)) {
    core.counters.parse_errors.add();
    return refuse_unreadable(source, DropReason::Unparsable, outbox);
  }
  if (view.is_request()) {
    receive_request(source, handed_over, now, outbox);
  } else {
    sip::Essentials essentials;
    if (!sip::validate_response(view, essentials).ok()) {
      core.counters.bad_responses.add();
      return core.drop(DropReason::BadResponse);
    }
    responses.receive(source, {view, essentials}, now, outbox);
  }
  settle(now, outbox);
}

void ProxyCore::Parts::receive_request(const Source& source, bool handed_over, Instant now,
                                       Outbox& outbox) {
  sip::Essentials essentials;
  const sip::Verdict verdict = sip::validate_request(view, essentials);
  if (verdict.ok()) {
    const Incoming in{view, essentials};
    return requests.receive(source, in, handed_over, now, outbox);
  }
  // A stranger on the network side hears nothing, whatever he writes.
  if (peer_check.is_dropped(source, peer_check.peer_of(source, now), view, now)) return;
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
    } else if (const auto result = calls.next_media()) {
      media_done(*result, now, outbox);
    } else if (const auto watch = calls.next_unwatched()) {
      fraud.ended(*watch, now);
    } else if (auto release = calls.next_release()) {
      requests.release(std::move(*release), now, outbox);
    } else if (const auto change = registrations.next_change()) {
      agent_changed(*change, now, outbox);
    } else {
      return media.let_go();
    }
  }
}

void ProxyCore::Parts::agent_changed(const Registrations::Change& change, Instant now,
                                     Outbox& outbox) {
  const UserAgent* agent = registrations.get(change.agent);
  if (!agent) return;
  using Kind = Registrations::Change::Kind;
  switch (change.kind) {
    case Kind::Away:
      return calls.agent_away(*agent, now);
    case Kind::Here:
      return agent_here(*agent, change, now, outbox);
    case Kind::Gone:
      agent_gone(*agent, change, now, outbox);
      return registrations.release(change.agent);
  }
}

void ProxyCore::Parts::agent_here(const UserAgent& agent, const Registrations::Change& change,
                                  Instant now, Outbox& outbox) {
  calls.agent_here(agent, now);
  Target target;
  target.to_access = true;
  target.user_agent = agent.hash;
  target.aim_at(agent.source);
  const Source source = agent.source;
  // What went down its old flow and has no answer, whether or not that flow is known to be dead.
  if (const FlowState* old = flows.find(change.old_flow); old && change.old_flow != source.flow) {
    for (SlotId next = old->first_sent; ResponseContext* context = contexts.find(next);) {
      const SlotId id = next;
      next = context->next_of_target;
      if (context->target.user_agent == target.user_agent) {
        requests.send_again(id, target, outbox);
      }
    }
  }
  for (SlotId next = registrations.take_waiting(change.agent);
       ResponseContext* context = contexts.find(next);) {
    const SlotId id = next;
    next = std::exchange(context->next_waiting, {});
    if (context->awaits_return) {
      requests.send_again(id, target, outbox);
    } else {
      requests.resume(id, now, outbox);
    }
  }
  asker_back(agent, now, outbox);
}

// Its requests that wait for it have their responses from now on where it is.
void ProxyCore::Parts::asker_back(const UserAgent& agent, Instant now, Outbox& outbox) {
  const Source source = agent.source;
  for (SlotId next = registrations.take_asking(registrations.find(agent.hash));
       ResponseContext* context = contexts.find(next);) {
    const SlotId id = next;
    next = std::exchange(context->next_asking, {});
    responses.follow_asker(id, source, now, outbox);
  }
}

void ProxyCore::Parts::agent_gone(const UserAgent& agent, const Registrations::Change& change,
                                  Instant now, Outbox& outbox) {
  calls.agent_gone(agent, change.left, now);
  for (SlotId next = registrations.take_waiting(change.agent);
       ResponseContext* context = contexts.find(next);) {
    const SlotId id = next;
    next = std::exchange(context->next_waiting, {});
    context->awaits_return = false;
    core.counters.waits_expired.add();
    responses.fail(id, 480, {}, now, outbox);
  }
  for (SlotId next = registrations.take_asking(change.agent);
       ResponseContext* context = contexts.find(next);) {
    const SlotId id = next;
    next = std::exchange(context->next_asking, {});
    responses.asker_gone(id, now, outbox);
  }
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
  parts.flow_ended(*flow, id, now, outbox);
  parts.calls.flow_ended(id, now);
  Output::Announcement& gone = outbox.add(Output::Kind::Announce).announcement;
  gone.kind = Output::Announcement::Kind::FlowGone;
  gone.flow = id;
  parts.settle(now, outbox);
}

// What came over it or went down it waits for its user agent to come back on another one. Where
// nobody can come back, an INVITE is called off: its caller can hear no answer any more.
void ProxyCore::Parts::flow_ended(FlowState& flow, FlowId id, Instant now, Outbox& outbox) {
  for (SlotId next = flow.first_context; ResponseContext* context = contexts.find(next);) {
    const SlotId here = next;
    next = context->next_of_flow;
    context->next_of_flow = context->previous_of_flow = {};
    std::string_view from;
    if (sip::parse_message(context->request.bytes(), sip::Framing::Datagram, stored)) {
      from = stored.value(sip::HeaderName::From);
    }
    std::uint64_t agent = registrations.user_agent_of(context->source, from);
    if (const Call* call = calls.get(context->call); call && agent == 0) {
      // It has registered over another flow meanwhile.
      agent = call->party(context->from).target.user_agent;
      if (!registrations.get(registrations.find(agent))) agent = 0;
    }
    context->source.flow = {};
    if (context->is_answered() || context->asker_away) continue;
    if (core.listener(flow.listener).side == Side::Network) {
      responses.reconnect_asker(here, outbox);
    } else if (agent != 0) {
      registrations.ask(agent, here);
      const UserAgent& asker = *registrations.get(registrations.find(agent));
      if (!asker.away && asker.source.flow != id) asker_back(asker, now, outbox);
    } else if (context->method == sip::Method::Invite) {
      responses.cancel(here, nullptr, now, outbox);
    }
  }
  flow.first_context = {};
  for (SlotId next = flow.first_sent; ResponseContext* context = contexts.find(next);) {
    const SlotId here = next;
    next = context->next_of_target;
    context->next_of_target = context->previous_of_target = {};
    context->sent_on = {};
    wait_for_return(*context, here, now);
  }
  flow.first_sent = {};
  flow.live = false;
  registrations.flow_ended(flow, id, now, outbox);
}

// False: it has no user agent that could come back.
bool ProxyCore::Parts::wait_for_return(ResponseContext& context, SlotId id, Instant now) {
  if (context.is_answered() || context.own || !context.has_open_branches()) return false;
  if (context.awaits_return) return true;
  const std::uint64_t user_agent = context.target.user_agent;
  if (!registrations.get(registrations.find(user_agent))) return false;
  context.user_agent = user_agent;
  context.awaits_return = true;
  registrations.wait(user_agent, id, now + core.config.timers.grace);
  return true;
}

// A request to a user agent whose flow died with it: it goes down the newer flow, or waits for one.
bool ProxyCore::Parts::survives(const ClientTransaction& client, Instant now, Outbox& outbox) {
  ResponseContext* context = contexts.find(client.context);
  if (!context || !client.target.to_access || !client.target.flow) return false;
  const UserAgent* agent = registrations.get(registrations.find(client.target.user_agent));
  if (!agent) return false;
  if (!agent->away && agent->source.flow != client.target.flow) {
    Target target = client.target;
    target.aim_at(agent->source);
    requests.send_again(client.context, target, outbox);
    return true;
  }
  return wait_for_return(*context, client.context, now);
}

void ProxyCore::send_failed(Ticket ticket, TransportFailure failure, Instant now, Outbox& outbox) {
  Parts& parts = *parts_;
  const SlotId id = SlotId::unpack(ticket);
  if (subject_of(ticket) == Subject::ServerSend) {
    parts.core.counters.sends_failed.add();  // RFC 6026 7.1: the transaction lives on
    return parts.responses.response_lost(id, outbox);
  }
  if (subject_of(ticket) != Subject::ClientSend) return;
  const ClientTransaction* client = parts.transactions.client(id);
  if (!client) return;
  if (failure == TransportFailure::ConnectionLost) {
    if (parts.transactions.repeat_client(id, outbox)) return;
    if (client->was_heard()) return;
  }
  if (client->target.tcp_for_size && failure != TransportFailure::ConnectionLost) {
    parts.probes.tcp_refused(client->target.remote, now, outbox);
  }
  parts.core.log.info("send_failed", {{"transport", to_text(client->target.transport)},
                                      {"failure", static_cast<int>(failure)},
                                      {"flow", client->target.flow.value()}});
  if (parts.survives(*client, now, outbox)) return;
  const auto outcome = parts.transactions.client_failed(id, now, outbox);
  const sip::Status status = failure == TransportFailure::FlowGone ? 430 : 503;
  parts.responses.client_outcome(id, outcome, status, now, outbox);
  parts.settle(now, outbox);
}

void ProxyCore::receive_announcement(const Output::Announcement& announcement, Instant now,
                                     Outbox& outbox) {
  if (announcement.kind == Output::Announcement::Kind::FlowGone) {
    parts_->flows.ended_elsewhere(announcement.flow);
    return parts_->calls.flow_ended(announcement.flow, now);
  }
  if (announcement.kind == Output::Announcement::Kind::NextHopTcp) {
    const Endpoint& remote = announcement.source.remote;
    return announcement.up ? parts_->next_hops.tcp_works(remote)
                           : parts_->next_hops.tcp_refused(remote, now);
  }
  if (announcement.kind == Output::Announcement::Kind::MediaProfile) {
    return parts_->media.announced(announcement, now);
  }
  parts_->registrations.announced(announcement, now);
  parts_->settle(now, outbox);
}

// --- What parked messages wait for -------------------------------------------------------------

void ProxyCore::Parts::media_done(const Calls::MediaResult& result, Instant now, Outbox& outbox) {
  const ResponseContext* context = contexts.find(result.context);
  if (!context) return;
  if (context->is_waiting_for(ResponseContext::State::AwaitOffer)) {
    requests.offer_done(result.context, result, now, outbox);
  } else {
    responses.answer_done(result.context, result, now, outbox);
  }
}

void ProxyCore::receive_relay(std::uint8_t relay, Bytes message, Instant now, Outbox& outbox) {
  if (const auto completion = parts_->relays.receive(relay, message, now)) {
    parts_->relay_completed(*completion, now, outbox);
    parts_->settle(now, outbox);
  }
}

void ProxyCore::Parts::relay_completed(const RelaySet::Completion& completion, Instant now,
                                       Outbox& outbox) {
  switch (completion.command) {
    case RelayCommand::Offer:
    case RelayCommand::Answer:
    case RelayCommand::Delete:
      return calls.relay_completed(completion, now, outbox);
    case RelayCommand::Ping:
    case RelayCommand::List:
    case RelayCommand::Query:
      return relay_watch.completed(completion, now, outbox);
  }
}

void ProxyCore::relay_connected(std::uint8_t relay, Instant now, Outbox& outbox) {
  parts_->relays.connected(relay, outbox);
  parts_->relay_watch.connected(relay, now);
}

void ProxyCore::relay_lost(std::uint8_t relay, Instant now, Outbox&) {
  parts_->relays.lost(relay, now);
  parts_->relay_watch.lost(relay);
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

void ProxyCore::publish_fraud(std::shared_ptr<const FraudRules> rules) {
  parts_->fraud.publish(std::move(rules));
}

void ProxyCore::config_changed(Instant now) {
  parts_->filter_exempt = parse_prefixes(parts_->core.config.filter_exempt);
  parts_->peers.config_changed();
  parts_->header_rules = HeaderRules(parts_->core.config);
  parts_->registrations.next_hops_changed();
  parts_->probes.next_hops_changed(now);
  const auto& next_hops = parts_->core.config.next_hops;
  for (std::size_t i = 0; i < next_hops.size(); ++i) {  // whoever takes that place over is not held
    if (next_hops[i].removed) parts_->next_hops.set_held(static_cast<std::uint16_t>(i), false);
  }
}

void ProxyCore::listeners_changed(const std::vector<ListenerInfo>& listeners) {
  parts_->core.listeners = listeners;
  parts_->core.own = OwnUris(listeners);
}

bool ProxyCore::waits_for_answers(ListenerIndex listener) const {
  return parts_->contexts.has_unanswered_of(listener);
}

void ProxyCore::set_in_service(bool in_service) {
  parts_->requests.set_draining(!in_service);
}

void ProxyCore::set_overloaded(bool overloaded) {
  parts_->requests.set_overloaded(overloaded);
}

void ProxyCore::drain(Instant, Outbox&) {
  parts_->requests.set_draining(true);
}

void ProxyCore::release_calls(Instant now, Outbox& outbox) {
  for (const SlotId call : parts_->calls.all()) {
    parts_->calls.release(call, Calls::Sides::Both, CallEndReason::Drained, now, outbox);
  }
  parts_->settle(now, outbox);
}

bool ProxyCore::is_quiet() const {
  return !parts_->contexts.has_unanswered();
}

ProxyCore::Occupancy ProxyCore::occupancy() const {
  const Parts& parts = *parts_;
  Occupancy held;
  held.contexts = parts.contexts.size();
  held.target_lists = parts.contexts.target_lists();
  held.server_transactions = parts.transactions.servers();
  held.client_transactions = parts.transactions.live_clients();
  held.relay_requests = parts.relays.pending();
  held.relay_requests -= std::min(held.relay_requests, parts.relay_watch.asking());
  held.calls = parts.calls.places();
  held.dialogs = parts.calls.dialogs();
  held.user_agents = parts.registrations.size();
  held.deadlines = parts.core.wheel.size() - parts.relay_watch.deadlines();
  const std::uint32_t asking = parts.relay_watch.asking();  // each has a deadline of its own
  held.deadlines -= std::min(held.deadlines, asking);
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
    case ContextTimer::Relay:
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

// A phone on UDP whose NAT has given it another port: what is repeated goes where it is by now. A
// call knows that from all that its phone has sent, others know it from the registration.
void ProxyCore::Parts::follow_phone(SlotId id) {
  ClientTransaction* client = transactions.client(id);
  if (!client || !client->target.to_access || client->target.transport != Transport::Udp) return;
  const auto follow = [&](Transport transport, ListenerIndex listener, const Endpoint& remote) {
    if (transport != Transport::Udp || listener != client->target.listener) return;
    if (remote.port != 0) client->target.remote = remote;
  };
  const ResponseContext* context = contexts.find(client->context);
  if (const Call* call = context ? calls.get(context->call) : nullptr) {
    const Target& phone = call->party(other(context->from)).target;
    if (phone.to_access) follow(phone.transport, phone.listener, phone.remote);
  } else if (const UserAgent* agent =
                 registrations.get(registrations.find(client->target.user_agent))) {
    if (!agent->away) follow(agent->source.transport, agent->source.listener, agent->source.remote);
  }
}

void ProxyCore::Parts::client_deadline(std::uint64_t payload, Instant now, Outbox& outbox) {
  if (subject_of(payload) == Subject::ClientRetransmit) follow_phone(SlotId::unpack(payload));
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
    case Subject::ServerHold:
      return server_deadline(payload, now, outbox);
    case Subject::ClientRetransmit:
    case Subject::ClientLifetime:
      return client_deadline(payload, now, outbox);
    case Subject::Context:
      return context_deadline(id, now, outbox);
    case Subject::Relay:
      if (const auto completion = relays.expire(payload, now, outbox)) {
        relay_completed(*completion, now, outbox);
      }
      return;
    case Subject::RelayWatch:
      return relay_watch.expired(now, outbox);
    case Subject::UserAgent:
      return registrations.expired(id);
    case Subject::Call:
      return calls.deadline(id, now, outbox);
    case Subject::Probe:
      return probes.send(static_cast<std::uint16_t>(id.slot), now, outbox);
    case Subject::Fraud:
      return fraud.due(id, now, outbox);
    case Subject::Tarpit:
      return tarpit_over(id, outbox);
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

// --- Commands ----------------------------------------------------------------------------------

std::vector<AgentInfo> ProxyCore::agents(std::size_t max, Instant now) const {
  return parts_->registrations.list(max, now);
}

std::vector<NextHopInfo> ProxyCore::next_hops(Instant now) const {
  std::vector<NextHopInfo> result;
  const NextHopSet& all = parts_->next_hops;
  const auto& configured = parts_->core.config.next_hops;
  for (std::size_t i = 0; i < configured.size(); ++i) {
    if (configured[i].removed) continue;
    const auto place = static_cast<std::uint16_t>(i);
    TargetList list;
    all.select_for_probe(place, list);
    for (std::size_t k = 0; k < list.count; ++k) {
      const Target& target = list.targets[k];
      const bool held_off = all.is_held_off(target.remote, target.transport, now);
      const bool up = held_off || all.is_up(target.remote, target.transport, now);
      result.push_back({configured[i].name, target, up, held_off, all.is_held(place)});
    }
  }
  return result;
}

std::uint32_t ProxyCore::end_calls(std::string_view call_id, Instant now, Outbox& outbox) {
  std::uint32_t count = 0;
  for (const SlotId id : parts_->calls.all()) {
    if (parts_->calls.get(id)->call_id() != call_id) continue;
    parts_->calls.end_by_command(id, now, outbox);
    ++count;
  }
  parts_->settle(now, outbox);
  return count;
}

std::uint32_t ProxyCore::forget_agents(std::string_view aor, Instant now, Outbox& outbox) {
  const std::uint32_t count = parts_->registrations.forget(aor, outbox);
  parts_->settle(now, outbox);
  return count;
}

std::uint32_t ProxyCore::Parts::for_next_hops(std::string_view name, auto work) {
  std::uint32_t count = 0;
  for (std::size_t i = 0; i < core.config.next_hops.size(); ++i) {
    if (core.config.next_hops[i].removed || core.config.next_hops[i].name != name) continue;
    work(static_cast<std::uint16_t>(i));
    ++count;
  }
  return count;
}

std::uint32_t ProxyCore::Parts::for_relays(std::string_view address, auto work) {
  std::uint32_t count = 0;
  for (std::size_t i = 0; i < relays.pool().size(); ++i) {
    if (text_of(core.config.media.relays[i].address) != address) continue;
    work(static_cast<std::uint8_t>(i));
    ++count;
  }
  return count;
}

std::uint32_t ProxyCore::hold_next_hop(std::string_view name, bool held) {
  return parts_->for_next_hops(
      name, [&](std::uint16_t place) { parts_->next_hops.set_held(place, held); });
}

std::uint32_t ProxyCore::probe_next_hop(std::string_view name, Instant now, Outbox& outbox) {
  return parts_->for_next_hops(
      name, [&](std::uint16_t place) { parts_->probes.ask_now(place, now, outbox); });
}

std::uint32_t ProxyCore::hold_relay(std::string_view address, bool held) {
  return parts_->for_relays(
      address, [&](std::uint8_t relay) { parts_->relays.pool().set_held(relay, held); });
}

std::uint32_t ProxyCore::probe_relay(std::string_view address, Instant now, Outbox& outbox) {
  return parts_->for_relays(
      address, [&](std::uint8_t relay) { parts_->relay_watch.probe(relay, now, outbox); });
}

}  // namespace ringway
