#include "gateway/core/proxy_core.h"

#include "gateway/core/parts.h"
#include "protocol/base/ascii.h"
#include "protocol/sip/parse.h"

namespace ringway {
namespace {

HashKey derive_hash_key(const tls::Mac& mac) {
  const tls::MacTag tag = mac.sign(as_bytes("hash key of tables"));
  return {read_u64(tag), read_u64(Bytes(tag).subspan(8))};
}

constexpr std::uint32_t kFlowSlots = 1u << 17;
constexpr std::uint32_t kTargetLists = 16'384;

std::uint32_t deadlines_max(const LimitsConfig& limits) {
  const std::uint64_t sum = 2 * (std::uint64_t{limits.transactions} + limits.client_transactions) +
                            limits.contexts + limits.bindings + limits.dialogs +
                            RelaySet::kPendingMax + 1024;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(sum, 0x100'0000));
}

}  // namespace

ProxyCore::Parts::Parts(Environment environment)
    : config(environment.config),
      shard(environment.shard),
      listeners(std::move(environment.listeners)),
      mac(environment.mac),
      epoch(environment.epoch),
      buffers(environment.buffers),
      counters(environment.counters),
      log(environment.log),
      random(environment.seed),
      hash_key(derive_hash_key(mac)),
      wheel(deadlines_max(config.limits)),
      own(listeners),
      next_hops(config, listeners, counters, log, random),
      transactions(config, shard, wheel, counters, random),
      contexts(config.limits.contexts),
      target_lists(kTargetLists),
      agents(config.limits.bindings, hash_key, counters),
      calls(config.limits.dialogs, hash_key, counters),
      relays(config, shard, epoch, wheel, buffers, counters, log, random),
      flows(kFlowSlots),
      path_seen(config.next_hops.size(), false) {
  for (const std::string& text : config.filter_exempt) {
    const std::size_t slash = text.find('/');
    const auto address = parse_address(std::string_view(text).substr(0, slash));
    if (!address) continue;  // the config's check has named it
    const auto whole = static_cast<std::uint8_t>(8 * address->octets().size());
    const auto bits =
        slash == text.npos
            ? whole
            : ascii::parse_number(std::string_view(text).substr(slash + 1), whole).value_or(whole);
    filter_exempt.push_back({*address, static_cast<std::uint8_t>(bits)});
  }
}

bool ProxyCore::Parts::is_exempt(const Address& source) const {
  for (const Prefix& prefix : filter_exempt) {
    if (prefix.address.family != source.family) continue;
    bool same = true;
    for (std::size_t bit = 0; bit < prefix.bits && same; bit += 8) {
      const int shift = prefix.bits - bit >= 8 ? 0 : 8 - static_cast<int>(prefix.bits - bit);
      same = (prefix.address.bytes[bit / 8] >> shift) == (source.bytes[bit / 8] >> shift);
    }
    if (same) return true;
  }
  return false;
}

ProxyCore::ProxyCore(Environment environment)
    : parts_(std::make_unique<Parts>(std::move(environment))) {}
ProxyCore::~ProxyCore() = default;

void ProxyCore::receive_message(const Source& source, Bytes bytes, Instant now, Outbox& outbox) {
  Parts& core = *parts_;
  core.counters.messages_in[static_cast<std::size_t>(source.transport)].add();
  const ListenerInfo& listener = core.listeners[source.listener];

  // The filter looks at bytes, before anything is parsed or remembered.
  if (core.filter && listener.config.side == Side::Access &&
      !core.is_exempt(source.remote.address)) {
    const auto verdict = core.filter->judge(bytes, source.remote.address, listener.local.address);
    if (verdict.matched() && !core.next_hops.is_next_hop(source.remote)) {
      const auto& rule = core.filter->rules()[static_cast<std::size_t>(verdict.rule)];
      core.counters.filter_rule_hits[static_cast<std::size_t>(verdict.rule)].add();
      const bool dropped = verdict.action >= FilterRules::Action::Reject;
      std::uint8_t memory[kEndpointTextMax];
      Writer remote(memory);
      write_endpoint(source.remote, remote);
      core.log.info(dropped ? "scanner_dropped" : "scanner_suspected",
                    {{"rule", rule.name},
                     {"source", remote.written_text()},
                     {"transport", to_text(source.transport)}});
      if (dropped) {
        core.counters.filter_drops.add();
        core.drop(DropReason::Filter);
        if (source.flow) {
          Output& output = outbox.add(Output::Kind::CloseFlow);
          output.flow = source.flow;
          output.websocket_code = 1008;
        }
        return;
      }
      core.counters.filter_logged.add();
    }
  }

  const auto framing = source.transport == Transport::Udp ? sip::Framing::Datagram
                       : is_websocket(source.transport)   ? sip::Framing::WebSocket
                                                          : sip::Framing::Stream;
  if (const auto parsed = sip::parse_message(bytes, framing, core.view); !parsed) {
    core.counters.parse_errors.add();
    core.drop(DropReason::Unparsable);
    if (source.flow) {
      Output& output = outbox.add(Output::Kind::CloseFlow);
      output.flow = source.flow;
      output.websocket_code = 1007;
    }
    return;
  }
  sip::Essentials essentials;
  const Incoming in{core.view, essentials};
  if (core.view.is_request()) {
    const sip::Verdict verdict = sip::validate_request(core.view, essentials);
    if (verdict.ok()) return core.receive_request(source, in, now, outbox);
    core.counters.bad_requests.add();
    core.log.info("bad_request", {{"status", verdict.status},
                                  {"reason", verdict.reason},
                                  {"call_id", core.view.value(sip::HeaderName::CallId)},
                                  {"flow", source.flow.value()}});
    if (!verdict.answerable) {
      if (source.flow) {
        Output& output = outbox.add(Output::Kind::CloseFlow);
        output.flow = source.flow;
        output.websocket_code = 1007;
      }
      return core.drop(DropReason::Unanswerable);
    }
    return core.respond_statelessly(core.view, source, verdict.status, verdict.reason, {}, outbox);
  }
  if (!sip::validate_response(core.view, essentials).ok()) {
    core.counters.bad_responses.add();
    return core.drop(DropReason::BadResponse);
  }
  core.receive_response(source, bytes, in, now, outbox);
}

void ProxyCore::flow_opened(const FlowInfo& info, Instant, Outbox&) {
  if (info.flow.slot() >= parts_->flows.size()) return;
  FlowState& flow = parts_->flows[info.flow.slot()];
  flow = {};
  flow.generation = info.flow.generation();
  flow.live = true;
  flow.opened_by_us = info.opened_by_us;
  flow.transport = info.transport;
  flow.listener = info.listener;
  flow.remote = info.remote;
}

void ProxyCore::flow_closed(FlowId id, FlowEnd, Instant now, Outbox& outbox) {
  Parts& core = *parts_;
  FlowState* flow = core.flow_state(id);
  if (!flow) return;
  flow->live = false;
  // Calls that it was still setting up are cancelled; their callers can hear no answer any more.
  for (SlotId next = flow->first_context; ResponseContext* context = core.contexts.find(next);) {
    const SlotId here = next;
    next = context->next_of_flow;
    context->next_of_flow = context->previous_of_flow = {};
    context->source.flow = {};
    if (context->method == sip::Method::Invite && !context->answered && !context->cancelled) {
      context->cancelled = true;
      if (context->state == ResponseContext::State::Proceeding) {
        core.cancel_branches(here, now, outbox);
      } else {
        core.fail_locally(here, 487, {}, now, outbox);
      }
    }
  }
  flow->first_context = {};
  while (flow->first_agent != 0) {
    const SlotId agent = core.agents.id_at(flow->first_agent - 1);
    core.unlink_agent_from_flow(agent);
    core.agent_away(agent, now);
    Output::Announcement away;
    away.kind = Output::Announcement::Kind::UserAgentAway;
    away.user_agent = core.agents.get(agent)->hash;
    away.flow = id;
    core.announce(away, outbox);
  }
  // Calls of a user agent that never registered cannot be found again by anyone: they wait for
  // the grace all the same, so that both kinds end alike.
  for (SlotId call = flow->first_call; Call* entry = core.calls.get(call);
       call = entry->next_of_owner) {
    core.start_grace(call, now);
  }
  Output::Announcement gone;
  gone.kind = Output::Announcement::Kind::FlowGone;
  gone.flow = id;
  core.announce(gone, outbox);
}

void ProxyCore::send_failed(Ticket ticket, TransportFailure failure, Instant now, Outbox& outbox) {
  Parts& core = *parts_;
  const SlotId id = SlotId::unpack(ticket);
  if (subject_of(ticket) == Subject::ServerSend) {
    core.counters.sends_failed.add();  // RFC 6026 7.1: the transaction lives on
    return;
  }
  if (subject_of(ticket) != Subject::ClientSend) return;
  ClientTransaction* client = core.transactions.client(id);
  if (!client) return;
  if (client->target.tcp_for_size) core.next_hops.tcp_refused(client->target.remote, now);
  core.log.info("send_failed", {{"transport", to_text(client->target.transport)},
                                {"failure", static_cast<int>(failure)},
                                {"flow", client->target.flow.value()}});
  const auto outcome = core.transactions.client_failed(id, now, outbox);
  core.client_outcome(id, outcome, failure == TransportFailure::FlowGone ? 430 : 503, now, outbox);
}

void ProxyCore::receive_relay(std::uint8_t relay, Bytes message, Instant now, Outbox& outbox) {
  if (const auto completion = parts_->relays.receive(relay, message, now)) {
    parts_->relay_completed(*completion, now, outbox);
  }
}

void ProxyCore::relay_connected(std::uint8_t relay, Instant, Outbox& outbox) {
  parts_->relays.connected(relay, outbox);
}

void ProxyCore::relay_lost(std::uint8_t relay, Instant, Outbox&) {
  parts_->relays.lost(relay);
}

void ProxyCore::resolved(Ticket ticket, const Resolution& resolution, Instant now, Outbox& outbox) {
  Parts& core = *parts_;
  const SlotId id = SlotId::unpack(ticket);
  ResponseContext* context = core.contexts.find(id);
  if (!context || context->state != ResponseContext::State::AwaitName) return;
  core.disarm(*context);
  TargetList list;
  const std::string_view host = as_text(context->name.bytes());
  if (!core.targets_from_resolution(resolution, host, now, list)) {
    const bool missing = resolution.outcome == Resolution::Outcome::NoSuchName;
    return core.fail_locally(id, missing ? 404 : 503, {}, now, outbox);
  }
  sip::Essentials essentials;
  if (!sip::parse_message(context->request.bytes(), sip::Framing::Datagram, core.view) ||
      !sip::validate_request(core.view, essentials).ok()) {
    return core.fail_locally(id, 500, {}, now, outbox);
  }
  core.start_targets(id, {core.view, essentials}, list, now, outbox);
}

void ProxyCore::receive_announcement(const Output::Announcement& announcement, Instant now,
                                     Outbox& outbox) {
  Parts& core = *parts_;
  switch (announcement.kind) {
    case Output::Announcement::Kind::UserAgentHere:
      return core.agent_here(announcement, now, outbox);
    case Output::Announcement::Kind::UserAgentAway: {
      const SlotId agent = core.agents.find(announcement.user_agent);
      // Its flow may have been taken over by a newer one meanwhile.
      if (agent && core.agents.get(agent)->source.flow == announcement.flow) {
        core.agent_away(agent, now);
      }
      return;
    }
    case Output::Announcement::Kind::UserAgentGone: {
      const SlotId agent = core.agents.find(announcement.user_agent);
      if (agent) core.agent_gone(agent, now, outbox);
      return;
    }
    case Output::Announcement::Kind::FlowGone:
      return core.flow_gone(announcement.flow, now);
    case Output::Announcement::Kind::NextHopHealth:
      return;
  }
}

void ProxyCore::publish_next_hops(std::shared_ptr<const NextHopSnapshot> next_hops, Instant now,
                                  Outbox& outbox) {
  parts_->next_hops.publish(std::move(next_hops));
  parts_->start_probes(now, outbox);
}

void ProxyCore::publish_filter(std::shared_ptr<const FilterRules> rules) {
  parts_->filter = std::move(rules);
}

void ProxyCore::drain(Instant, Outbox&) {
  parts_->draining = true;
}

bool ProxyCore::is_quiet() const {
  return parts_->contexts.size() == 0;
}

ProxyCore::Occupancy ProxyCore::occupancy() const {
  const Parts& core = *parts_;
  Occupancy held;
  held.contexts = core.contexts.size();
  held.target_lists = core.target_lists.size();
  held.server_transactions = core.transactions.servers();
  held.client_transactions = core.transactions.live_clients();
  held.relay_requests = core.relays.pending();
  held.calls = core.calls.size();
  held.user_agents = core.agents.size();
  held.deadlines = core.wheel.size();
  return held;
}

Instant ProxyCore::next_deadline() const {
  return parts_->wheel.next_deadline();
}

Duration ProxyCore::expire(Instant now, Outbox& outbox) {
  Parts& core = *parts_;
  return core.wheel.expire(now, [&](std::uint64_t payload) {
    const SlotId id = SlotId::unpack(payload);
    switch (subject_of(payload)) {
      case Subject::ServerRetransmit:
      case Subject::ServerLifetime: {
        SlotId server;
        const auto outcome = core.transactions.expire(payload, now, outbox, server);
        if (outcome.send_100) {
          // RFC 4320: the late 100 of a non-INVITE, from the request as it was received.
          const ServerTransaction* transaction = core.transactions.server(server);
          const ResponseContext* context = core.contexts.find(transaction->context);
          if (context && sip::parse_message(context->request.bytes(), sip::Framing::Datagram,
                                            core.other_view)) {
            core.send_trying(server, core.other_view, transaction->source, outbox);
          }
        }
        return;
      }
      case Subject::ClientRetransmit:
      case Subject::ClientLifetime: {
        SlotId client;
        const auto outcome = core.transactions.expire(payload, now, outbox, client);
        if (outcome.timeout) core.counters.timeouts_client.add();
        return core.client_outcome(client, outcome, 408, now, outbox);
      }
      case Subject::Context:
        return core.context_deadline(id, now, outbox);
      case Subject::Relay:
        if (const auto completion = core.relays.expire(payload, now)) {
          core.relay_completed(*completion, now, outbox);
        }
        return;
      case Subject::UserAgent:
        return core.agent_timer(id, now, outbox);
      case Subject::Call:
        if (Call* call = core.calls.get(id)) {
          call->timer = 0;
          core.release_call(id, now, outbox);
        }
        return;
      case Subject::Probe: {
        return core.send_probe(static_cast<std::uint16_t>(id.slot), now, outbox);
      }
      case Subject::None:
      case Subject::ServerSend:
      case Subject::ClientSend:
        return;
    }
  });
}

std::vector<CallInfo> ProxyCore::calls(std::size_t max, Instant now) const {
  std::vector<CallInfo> result;
  CallTable& table = parts_->calls;
  for (std::uint32_t slot = 0; slot < table.used_slots() && result.size() < max; ++slot) {
    Call* call = table.at(slot);
    if (!call) continue;
    CallInfo info;
    info.call_id = call->call_id();
    info.from = call->from();
    info.to = call->to();
    info.state = call->state == Call::State::Answered  ? "answered"
                 : call->state == Call::State::Ringing ? "ringing"
                                                       : "trying";
    info.flow = call->flow;
    info.media = call->media;
    info.age = now - call->since;
    result.push_back(info);
  }
  return result;
}

}  // namespace ringway
