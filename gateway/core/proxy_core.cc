#include "gateway/core/proxy_core.h"

#include "gateway/core/admission_check.h"
#include "gateway/core/asker_recovery.h"
#include "gateway/core/branch_cancels.h"
#include "gateway/core/branch_results.h"
#include "gateway/core/call_owner.h"
#include "gateway/core/call_release.h"
#include "gateway/core/commands.h"
#include "gateway/core/deadlines.h"
#include "gateway/core/filter_check.h"
#include "gateway/core/flow_recovery.h"
#include "gateway/core/fraud_check.h"
#include "gateway/core/message_intake.h"
#include "gateway/core/peer_check.h"
#include "gateway/core/relay_events.h"
#include "gateway/core/relay_watch.h"
#include "gateway/core/request_checks.h"
#include "gateway/core/request_sender.h"
#include "gateway/core/request_steps.h"
#include "gateway/core/requests.h"
#include "gateway/core/response_sender.h"
#include "gateway/core/response_steps.h"
#include "gateway/core/responses.h"
#include "gateway/core/route_reader.h"
#include "gateway/core/tarpit.h"
#include "gateway/core/transport_errors.h"
#include "gateway/peers/header_rules.h"
#include "gateway/peers/peer_table.h"
#include "gateway/peers/targets.h"

namespace ringway {

// The parts in the order of a message's way; each knows only those above it. What one leaves for
// those below it waits in a queue of its own until settle().
struct ProxyCore::Parts {
  explicit Parts(Environment& environment);

  void settle(Instant now, Outbox& outbox);

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
  BranchCancels cancels;
  ResponseSender response_sender;
  BranchResults results;
  AskerRecovery askers;
  ResponseSteps response_steps;
  Responses responses;
  RouteReader routes;
  CallOwner owner;
  RequestChecks checks;
  RequestSender request_sender;
  RequestSteps request_steps;
  CallRelease release;
  Requests requests;
  Tarpit tarpit;
  FilterCheck filter;
  MessageIntake intake;
  FlowRecovery recovery;
  TransportErrors transport_errors;
  RelayEvents relay_events;
  Deadlines deadlines;
  Commands commands;
};

ProxyCore::Parts::Parts(Environment& environment)
    : core(make_services(environment)),
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
      cancels(core, contexts, transactions),
      response_sender({core, contexts, transactions, registrations, calls, media, replies, router,
                       header_rules, admission, fraud, cancels}),
      results({core, contexts, transactions, next_hops, calls, cancels, response_sender}),
      askers(core, contexts, transactions, results, response_sender),
      response_steps({core, contexts, calls, media, response_sender}),
      responses({core, contexts, transactions, next_hops, calls, media, probes, cancels, results,
                 response_steps, response_sender}),
      routes(core),
      owner(core, peer_check, routes),
      checks(core, peer_check, admission, routes, replies),
      request_sender({core, contexts, transactions, next_hops, registrations, router, routes,
                      responses, response_sender, header_rules}),
      request_steps({core, contexts, registrations, calls, fraud, media, router, routes, results,
                     response_sender, request_sender}),
      release({core, contexts, cancels, results, response_sender, request_steps, request_sender}),
      requests({core, contexts, transactions, peer_check, admission, fraud, replies, routes, owner,
                checks, request_steps, results}),
      tarpit(core, flows),
      filter(core, next_hops, admission, replies, tarpit),
      intake({core, gate, registrations, admission, peer_check, replies, tarpit, filter, requests,
              responses}),
      recovery({core, flows, contexts, registrations, calls, request_steps, request_sender, results,
                askers, response_sender}),
      transport_errors({core, transactions, probes, recovery, askers, responses}),
      relay_events({relays, relay_watch, contexts, calls, request_steps, response_steps}),
      deadlines({core, contexts, transactions, registrations, calls, relay_watch, relay_events,
                 probes, fraud, tarpit, replies, responses, results, response_sender}),
      commands({core, next_hops, relays, calls, relay_watch, probes}) {}

// What a turn's step left for others: each of these may leave more.
void ProxyCore::Parts::settle(Instant now, Outbox& outbox) {
  for (;;) {
    if (const auto retry = results.next_retry()) {
      request_steps.retry(*retry, now, outbox);
    } else if (const auto result = calls.next_media()) {
      relay_events.media_done(*result, now, outbox);
    } else if (const auto watch = calls.next_unwatched()) {
      fraud.ended(*watch, now);
    } else if (auto over = calls.next_release()) {
      release.perform(std::move(*over), now, outbox);
    } else if (const auto change = registrations.next_change()) {
      recovery.agent_changed(*change, now, outbox);
    } else {
      return media.let_go();
    }
  }
}

ProxyCore::ProxyCore(Environment environment) : parts_(std::make_unique<Parts>(environment)) {}
ProxyCore::~ProxyCore() = default;

// --- From the shell ----------------------------------------------------------------------------

void ProxyCore::receive_message(const Source& source, Bytes bytes, Instant now, Outbox& outbox) {
  if (!parts_->intake.lets_in(source, bytes, now, outbox)) return;
  parts_->intake.read(source, bytes, false, now, outbox);
  parts_->settle(now, outbox);
}

void ProxyCore::receive_handed_over(const Source& source, Bytes bytes, Instant now,
                                    Outbox& outbox) {
  parts_->intake.read(source, bytes, true, now, outbox);
  parts_->settle(now, outbox);
}

void ProxyCore::flow_opened(const FlowInfo& info, Instant, Outbox&) {
  parts_->flows.opened(info, info.opened_by_us
                                 ? PeerTable::opened_for(info.next_hop)
                                 : parts_->peers.accepted_with(info.certificate_names));
}

void ProxyCore::flow_closed(FlowId flow, FlowEnd, Instant now, Outbox& outbox) {
  parts_->recovery.flow_ended(flow, now, outbox);
  parts_->settle(now, outbox);
}

void ProxyCore::send_failed(Ticket ticket, TransportFailure failure, Instant now, Outbox& outbox) {
  parts_->transport_errors.send_failed(ticket, failure, now, outbox);
  parts_->settle(now, outbox);
}

void ProxyCore::receive_relay(std::uint8_t relay, Bytes message, Instant now, Outbox& outbox) {
  if (parts_->relay_events.receive(relay, message, now, outbox)) parts_->settle(now, outbox);
}

void ProxyCore::relay_connected(std::uint8_t relay, Instant now, Outbox& outbox) {
  parts_->relay_events.connected(relay, now, outbox);
}

void ProxyCore::relay_lost(std::uint8_t relay, Instant now, Outbox&) {
  parts_->relay_events.lost(relay, now);
}

void ProxyCore::resolved(Ticket ticket, const Resolution& resolution, Instant now, Outbox& outbox) {
  parts_->request_steps.resolved(SlotId::unpack(ticket), resolution, now, outbox);
  parts_->settle(now, outbox);
}

Instant ProxyCore::next_deadline() const {
  return parts_->core.wheel.next_deadline();
}

Duration ProxyCore::expire(Instant now, Outbox& outbox) {
  Parts& parts = *parts_;
  return parts.core.wheel.expire(now, [&](std::uint64_t payload) {
    parts.deadlines.expired(payload, now, outbox);
    parts.settle(now, outbox);
  });
}

// --- From other shards and the control thread --------------------------------------------------

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

void ProxyCore::publish_next_hops(std::shared_ptr<const NextHopSnapshot> next_hops, Instant now,
                                  Outbox&) {
  parts_->peers.publish(*next_hops, now);
  parts_->next_hops.publish(std::move(next_hops));
  parts_->probes.start(now);
}

void ProxyCore::publish_filter(std::shared_ptr<const FilterRules> rules) {
  parts_->filter.publish(std::move(rules));
}

void ProxyCore::publish_fraud(std::shared_ptr<const FraudRules> rules) {
  parts_->fraud.publish(std::move(rules));
}

void ProxyCore::config_changed(Instant now) {
  parts_->filter.config_changed();
  parts_->peers.config_changed();
  parts_->header_rules = HeaderRules(parts_->core.config);
  parts_->registrations.next_hops_changed();
  parts_->probes.next_hops_changed(now);
  parts_->commands.next_hops_changed();
}

void ProxyCore::listeners_changed(const std::vector<ListenerInfo>& listeners) {
  parts_->core.listeners = listeners;
  parts_->core.own = OwnUris(listeners);
}

bool ProxyCore::waits_for_answers(ListenerIndex listener) const {
  return parts_->contexts.has_unanswered_of(listener);
}

void ProxyCore::set_in_service(bool in_service) {
  parts_->checks.set_draining(!in_service);
}

void ProxyCore::set_overloaded(bool overloaded) {
  parts_->checks.set_overloaded(overloaded);
}

void ProxyCore::drain(Instant, Outbox&) {
  parts_->checks.set_draining(true);
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

// --- For people --------------------------------------------------------------------------------

std::vector<CallInfo> ProxyCore::calls(std::size_t max, Instant now) const {
  return parts_->calls.list(max, now);
}

std::vector<AgentInfo> ProxyCore::agents(std::size_t max, Instant now) const {
  return parts_->registrations.list(max, now);
}

std::vector<NextHopInfo> ProxyCore::next_hops(Instant now) const {
  return parts_->commands.next_hops(now);
}

std::uint32_t ProxyCore::end_calls(std::string_view call_id, Instant now, Outbox& outbox) {
  const std::uint32_t count = parts_->commands.end_calls(call_id, now, outbox);
  parts_->settle(now, outbox);
  return count;
}

void ProxyCore::release_calls(Instant now, Outbox& outbox) {
  parts_->commands.release_calls(now, outbox);
  parts_->settle(now, outbox);
}

std::uint32_t ProxyCore::forget_agents(std::string_view aor, Instant now, Outbox& outbox) {
  const std::uint32_t count = parts_->registrations.forget(aor, outbox);
  parts_->settle(now, outbox);
  return count;
}

std::uint32_t ProxyCore::hold_next_hop(std::string_view name, bool held) {
  return parts_->commands.hold_next_hop(name, held);
}

std::uint32_t ProxyCore::probe_next_hop(std::string_view name, Instant now, Outbox& outbox) {
  return parts_->commands.probe_next_hop(name, now, outbox);
}

std::uint32_t ProxyCore::hold_relay(std::string_view address, bool held) {
  return parts_->commands.hold_relay(address, held);
}

std::uint32_t ProxyCore::probe_relay(std::string_view address, Instant now, Outbox& outbox) {
  return parts_->commands.probe_relay(address, now, outbox);
}

}  // namespace ringway
