#include "gateway/core/proxy_core.h"

#include "gateway/core/assembly.h"

namespace ringway {

ProxyCore::ProxyCore(Environment environment) : parts_(std::make_unique<Assembly>(environment)) {}
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
  Assembly& parts = *parts_;
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
    parts_->recovery.flow_ended_elsewhere(announcement.flow, now, outbox);
    parts_->calls.flow_ended(announcement.flow, now);
    return parts_->settle(now, outbox);
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

void ProxyCore::set_overloaded(bool overloaded, Instant now) {
  parts_->checks.set_overloaded(overloaded);
  parts_->replies.set_overloaded(overloaded, now);
}

void ProxyCore::drain(Instant, Outbox&) {
  parts_->checks.set_draining(true);
}

bool ProxyCore::is_quiet() const {
  return !parts_->contexts.has_unanswered();
}

ProxyCore::Occupancy ProxyCore::occupancy() const {
  const Assembly& parts = *parts_;
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
