#include "gateway/core/parts.h"
#include "protocol/base/ascii.h"
#include "protocol/sip/name_addr.h"
#include "protocol/sip/parse.h"

// Where a request goes (RFC 3261 16.4 to 16.6, RFC 5626 5.3): down the flow that one of our tokens
// names, along the Route set, or to the next hop of its domain. A request whose way must be asked
// for parks: for a name at the control thread, for a user agent that is away.

namespace ringway {
namespace {

using sip::Method;
using Found = NextHopSet::Outcome;

bool is_sendable(const Endpoint& endpoint) {
  return !endpoint.address.is_multicast() && !endpoint.address.is_any() && endpoint.port != 0;
}

std::optional<Transport> transport_of(const sip::Uri& uri) {
  const auto param = uri.param("transport");
  if (!param) return uri.scheme == sip::Scheme::Sips ? Transport::Tls : Transport::Udp;
  for (const Transport transport : {Transport::Udp, Transport::Tcp, Transport::Tls}) {
    if (!ascii::equal_ignoring_case(*param, to_text(transport))) continue;
    // RFC 3261 26.2.2: sips with transport=tcp is TLS over TCP.
    return uri.scheme == sip::Scheme::Sips ? Transport::Tls : transport;
  }
  return std::nullopt;
}

}  // namespace

bool ProxyCore::Parts::is_from_network(const Source& source) const {
  if (listeners[source.listener].config.side == Side::Network) return true;
  if (source.flow) {
    const FlowState* flow = const_cast<Parts*>(this)->flow_state(source.flow);
    if (flow && flow->opened_by_us) return true;
  }
  return next_hops.is_next_hop(source.remote);
}

void ProxyCore::Parts::route(SlotId id, const Incoming& in, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts.find(id);
  context.state = ResponseContext::State::Routing;
  Writer text = fresh_scratch();
  routed = preprocess_route(in.view, in.essentials, context.source, own, mac, epoch, text);
  routed_for = id;
  struct Forget {  // once this returns the request has left, parked or failed
    SlotId& what;
    ~Forget() { what = {}; }
  } forget{routed_for};
  const RoutePreprocess route = routed;
  if (route.refused) {
    counters.tokens_refused.add();
    log.info("token_refused", {{"call_id", in.essentials.call_id},
                               {"method", in.view.method_text()},
                               {"flow", context.source.flow.value()}});
    return fail_locally(id, 403, {}, now, outbox);
  }
  context.media = route.media;
  if (route.leg != 0) context.leg = route.leg;
  if (const SlotId call = calls.find(in.essentials.call_id, context.leg); call && route.in_dialog) {
    context.call = call;
    Call& entry = *calls.get(call);
    const bool by_access = !route.towards_access;
    if (by_access && in.essentials.cseq.number > entry.access_cseq) {
      entry.access_cseq = in.essentials.cseq.number;
    }
  }
  if (context.method == Method::Bye && route.in_dialog && !context.grace_used) {
    if (context.call) {
      end_call(context.call, true, now, outbox);
      context.call = {};
    } else if (context.media && relays.configured()) {
      // After a restart nobody remembers the call, but the token does.
      RelayRequest request;
      request.command = RelayCommand::Delete;
      request.call_id = in.essentials.call_id;
      request.leg = context.leg;
      relays.send(relays.choose(), request, {}, now, outbox);
    }
  }

  if (route.towards_access && route.access) {
    return route_to_access(id, in, route, now, outbox);
  }
  // An ACK is nobody's to answer but everybody's to send: it is not our own for that.
  const bool made_here = context.own && context.method != Method::Ack;
  const bool trusted = route.from_token || made_here || is_from_network(context.source);
  if (!route.next_route.empty()) {
    const auto uri = sip::parse_uri(route.next_route);
    if (!uri) return fail_locally(id, 400, {}, now, outbox);
    // A Route set from outside a dialog of ours may name our next hops and nothing else.
    if (!trusted && next_hops.find_by_uri(*uri) == NextHopSet::kNone) {
      return fail_locally(id, 403, {}, now, outbox);
    }
    // The call passes us twice in a row: the one between has not recorded its route.
    if (route.from_token && own.is_own(*uri)) return route_to_self(id, in, *uri, now, outbox);
    return route_to_uri(id, in, route.next_route, now, outbox);
  }
  std::expected<sip::Uri, sip::UriError> restored;
  const sip::Uri* uri = &in.essentials.request_uri;
  if (route.request_uri_changed) {
    restored = sip::parse_uri(route.request_uri);
    uri = restored ? &*restored : nullptr;
  }
  if (route.from_token || made_here) {
    // A far end whose Contact is our own address means the next hop that it came from.
    if (uri && own.is_own(*uri)) return route_by_next_hop(id, in, {}, false, now, outbox);
    return route_to_uri(id, in, route.request_uri, now, outbox);
  }
  const std::string_view domain = uri ? uri->host : std::string_view{};
  if (!is_from_network(context.source)) {
    return route_by_next_hop(id, in, domain, false, now, outbox);
  }
  if (const SlotId agent = agents.find_contact(agents.hash_text(route.request_uri))) {
    // A registrar that sends to the Contact it has: the binding says where that is.
    const UserAgent& found = *agents.get(agent);
    RoutePreprocess to_agent = route;
    FlowToken token;
    token.kind = FlowToken::Kind::Path;
    token.epoch = epoch;
    token.flow = found.source.flow;
    token.listener = found.source.listener;
    token.user_agent = found.hash;
    if (!found.source.flow) token.remote = found.source.remote;
    to_agent.access = token;
    return route_to_access(id, in, to_agent, now, outbox);
  }
  route_by_next_hop(id, in, domain, true, now, outbox);
}

// --- The access side ---------------------------------------------------------------------------

bool ProxyCore::Parts::is_live(FlowId flow, std::uint64_t user_agent) {
  if (!flow) return false;
  if (flow.shard() == shard) return flow_state(flow) != nullptr;
  // Another shard's: what it announced. Unknown ones are tried; a dead one comes back as failed.
  const UserAgent* agent = agents.get(agents.find(user_agent));
  return !agent || agent->source.flow != flow || !agent->away;
}

ProxyCore::Parts::FlowLookup ProxyCore::Parts::find_flow(const FlowToken& token, bool in_dialog,
                                                         Instant now, Target& target) {
  if (token.listener >= listeners.size()) return FlowLookup::Dead;
  target.to_access = true;
  target.user_agent = token.user_agent;
  UserAgent* agent = token.user_agent != 0 ? agents.get(agents.find(token.user_agent)) : nullptr;
  const auto go = [&](const Source& source) {
    target.listener = source.listener;
    target.transport = listener(source.listener).transport;
    target.flow = source.flow;
    target.remote = source.remote;
    return FlowLookup::Found;
  };
  if (token.remote) {
    Source source{Transport::Udp, token.listener, *token.remote, {}};
    if (listener(token.listener).transport != Transport::Udp) return FlowLookup::Dead;
    // Behind a NAT that rebound, the newest REGISTER knows better.
    if (agent && !agent->away && agent->source.transport == Transport::Udp) source = agent->source;
    return go(source);
  }
  const bool here = token.epoch == epoch && is_live(token.flow, token.user_agent);
  const bool agent_here =
      agent && !agent->away && (!agent->source.flow || is_live(agent->source.flow, agent->hash));
  if (here) {
    // Taken over by a newer flow of the same instance.
    if (agent_here && agent->source.flow != token.flow) return go(agent->source);
    const FlowState* flow = flow_state(token.flow);
    return go({listener(token.listener).transport, token.listener, flow ? flow->remote : Endpoint{},
               token.flow});
  }
  if (!in_dialog || token.user_agent == 0) return FlowLookup::Dead;
  if (agent_here) return go(agent->source);
  const bool may_return = agent ? now < agent->away_since + config.timers.grace
                                : token.epoch != epoch;  // we restarted: it has to come back
  return may_return ? FlowLookup::Wait : FlowLookup::Dead;
}

void ProxyCore::Parts::route_to_access(SlotId id, const Incoming& in, const RoutePreprocess& route,
                                       Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts.find(id);
  Target target;
  const FlowToken& token = *route.access;
  switch (find_flow(token, route.in_dialog, now, target)) {
    case FlowLookup::Found: {
      TargetList list;
      list.add(std::move(target));
      return start_targets(id, in, list, now, outbox);
    }
    case FlowLookup::Wait: {
      if (context.method == Method::Ack) break;
      const UserAgent* agent = agents.get(agents.find(token.user_agent));
      const Instant since = agent ? agent->away_since : now;
      return park_for_return(id, token.user_agent, since + config.timers.grace, outbox);
    }
    case FlowLookup::Dead:
      break;
  }
  counters.flows_dead_430.add();
  fail_locally(id, route.in_dialog ? 480 : 430, {}, now, outbox);
}

void ProxyCore::Parts::park_for_return(SlotId id, std::uint64_t user_agent, Instant until,
                                       Outbox&) {
  ResponseContext& context = *contexts.find(id);
  const bool known = static_cast<bool>(agents.find(user_agent));
  const SlotId agent_id = agents.take(user_agent);
  if (agent_id) {
    UserAgent& agent = *agents.get(agent_id);
    if (!known) {  // after a restart: a place to wait at
      agent.away = true;
      agent.away_since = until - config.timers.grace;
      agent.timer = wheel.arm(until + 1s, subject_value(Subject::UserAgent, agent_id));
    }
    context.next_waiting = agent.first_waiting;
    agent.first_waiting = id;
  }
  context.state = ResponseContext::State::AwaitUserAgent;
  context.user_agent = user_agent;
  counters.waits_started.add();
  log.info("request_waits", {{"method", sip::to_text(context.method)},
                             {"reason", "the user agent's connection is gone"}});
  arm(id, ContextTimer::Return, until);
}

// --- The network side --------------------------------------------------------------------------

void ProxyCore::Parts::route_by_next_hop(SlotId id, const Incoming& in, std::string_view domain,
                                         bool explicit_only, Instant now, Outbox& outbox) {
  TargetList list;
  switch (next_hops.select(domain, explicit_only, now, list)) {
    case Found::Found:
      return start_targets(id, in, list, now, outbox);
    case Found::NoRoute:
      return fail_locally(id, 404, {}, now, outbox);
    case Found::NotResolved:
    case Found::AllDown:
      return fail_locally(id, 503, "Retry-After: 10\r\n", now, outbox);
    case Found::NoListener:
      log.error("no_listener_for_next_hop", {{"call_id", in.essentials.call_id}});
      return fail_locally(id, 500, {}, now, outbox);
  }
}

void ProxyCore::Parts::route_to_uri(SlotId id, const Incoming& in, std::string_view uri_text,
                                    Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts.find(id);
  const auto uri = sip::parse_uri(uri_text);
  if (!uri || (uri->scheme != sip::Scheme::Sip && uri->scheme != sip::Scheme::Sips)) {
    // tel: and the like have no host: the default next hop knows.
    return route_by_next_hop(id, in, {}, false, now, outbox);
  }
  // Browsers write names that cannot be resolved; nobody is asked for them, ever.
  if (sip::is_invalid_host(uri->host) || own.is_own(*uri)) {
    return fail_locally(id, 404, {}, now, outbox);
  }
  TargetList list;
  if (const std::uint16_t next_hop = next_hops.find_by_uri(*uri); next_hop != NextHopSet::kNone) {
    if (next_hops.select_next_hop(next_hop, now, list) == Found::Found) {
      return start_targets(id, in, list, now, outbox);
    }
    return fail_locally(id, 503, "Retry-After: 10\r\n", now, outbox);
  }
  const auto transport = transport_of(*uri);
  if (!transport) return fail_locally(id, 404, {}, now, outbox);
  if (const auto address = parse_address(uri->host)) {
    Resolution resolution;
    resolution.outcome = Resolution::Outcome::Found;
    const std::uint16_t port = uri->port != 0 ? uri->port : default_port(*transport);
    resolution.targets.push_back({*transport, {*address, port}});
    if (!targets_from_resolution(resolution, uri->host, now, list)) {
      return fail_locally(id, 403, {}, now, outbox);
    }
    return start_targets(id, in, list, now, outbox);
  }
  context.name = buffers.copy(as_bytes(uri->host));
  if (!context.name) return fail_locally(id, 503, "Retry-After: 5\r\n", now, outbox);
  context.state = ResponseContext::State::AwaitName;
  Output& output = outbox.add(Output::Kind::Resolve);
  output.name = as_text(context.name.bytes());
  output.port = uri->port;
  output.transport = *transport;
  output.transport_given = uri->param("transport").has_value();
  output.secure = uri->scheme == sip::Scheme::Sips;
  output.ticket = subject_value(Subject::Context, id);
  arm(id, ContextTimer::Name, now + 3s);
}

// The next pass of ours, which the Route set names by a value of the network side. It verifies that
// value itself; on the network side it leads down a flow and nowhere else, so that no request goes
// round more than once.
void ProxyCore::Parts::route_to_self(SlotId id, const Incoming& in, const sip::Uri& uri,
                                     Instant now, Outbox& outbox) {
  const auto transport = transport_of(uri);
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    const ListenerInfo& entry = listeners[i];
    const auto index = static_cast<ListenerIndex>(i);
    if (entry.config.side != Side::Network || entry.config.transport != transport ||
        !own.names(index, uri)) {
      continue;
    }
    Target target;
    target.transport = *transport;
    target.listener = index;
    target.remote = entry.local;
    if (entry.local.address.is_any()) {
      target.remote.address =
          *parse_address(entry.local.family() == Family::V4 ? "127.0.0.1" : "::1");
    }
    TargetList list;
    list.add(std::move(target));
    return start_targets(id, in, list, now, outbox);
  }
  fail_locally(id, 404, {}, now, outbox);
}

bool ProxyCore::Parts::targets_from_resolution(const Resolution& resolution, std::string_view host,
                                               Instant now, TargetList& list) {
  const auto add = [&](bool healthy) {
    for (const ResolvedTarget& resolved : resolution.targets) {
      if (!is_sendable(resolved.endpoint)) continue;
      if (next_hops.is_up(resolved.endpoint, resolved.transport, now) != healthy) continue;
      Target target;
      target.transport = resolved.transport;
      target.remote = resolved.endpoint;
      const std::uint16_t next_hop = next_hops.next_hop_of(resolved.endpoint);
      target.listener =
          next_hops.listener_for(resolved.transport, resolved.endpoint.family(), next_hop);
      if (target.listener == kNoListener) continue;
      if (resolved.transport == Transport::Tls) {
        target.next_hop = next_hop;  // whose client profile
        target.name = buffers.copy(as_bytes(host));
      }
      list.add(std::move(target));
    }
  };
  add(true);
  // The URI names nobody else: a BYE had better be sent where the last request failed than not.
  if (list.count == 0) add(false);
  return list.count != 0;
}

void ProxyCore::Parts::start_targets(SlotId id, const Incoming& in, TargetList& list, Instant now,
                                     Outbox& outbox) {
  ResponseContext& context = *contexts.find(id);
  if (in.essentials.request_uri.scheme == sip::Scheme::Sips) {
    // RFC 5630 4: sips never goes on in the clear.
    std::size_t kept = 0;
    for (std::size_t i = 0; i < list.count; ++i) {
      if (is_secure(list.targets[i].transport)) list.targets[kept++] = list.targets[i];
    }
    list.count = kept;
    if (kept == 0) {
      return fail_locally(id, 480, "Warning: 380 ringway \"SIPS Not Allowed\"\r\n", now, outbox);
    }
  }
  context.target = list.targets[0];
  context.user_agent = context.target.user_agent;
  context.next_target = 1;
  if (list.count > 1) {
    context.more_targets = target_lists.take(list);  // without room: the first one only
  }
  prepare_media(id, in, now, outbox);
}

void ProxyCore::Parts::resume(SlotId id, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts.find(id);
  sip::Essentials essentials;
  if (!sip::parse_message(context.request.bytes(), sip::Framing::Datagram, view) ||
      !sip::validate_request(view, essentials).ok()) {
    return fail_locally(id, 500, {}, now, outbox);
  }
  route(id, {view, essentials}, now, outbox);
}

void ProxyCore::Parts::context_deadline(SlotId id, Instant now, Outbox& outbox) {
  ResponseContext* context = contexts.find(id);
  if (!context) return;
  context->timer = 0;
  const ContextTimer timer = std::exchange(context->timer_for, ContextTimer::None);
  switch (timer) {
    case ContextTimer::None:
      return;
    case ContextTimer::Name:
      return fail_locally(id, 503, {}, now, outbox);
    case ContextTimer::Return: {
      counters.waits_expired.add();
      return fail_locally(id, 480, {}, now, outbox);
    }
    case ContextTimer::FirstAnswer: {
      // The next hop says nothing: the next one is asked; whoever answers first is heard.
      // It counts as ended from here on, so that it cannot hold back the others' final response.
      const std::uint8_t branch = static_cast<std::uint8_t>(context->branch_count - 1);
      const ClientTransaction* client = transactions.client(context->branches[branch].client);
      if (client) next_hops.failed(client->target, now);
      ClientBranch& silent = context->branches[branch];
      silent.cancelled = true;
      if (silent.final_status == 0) --context->branches_open;
      silent.final_status = 408;
      if (!try_another(id, branch, 408, now, outbox)) {
        silent.cancelled = false;
        silent.final_status = 0;
        ++context->branches_open;
        if (context->method == Method::Invite) {
          arm(id, ContextTimer::TimerC, now + config.timers.timer_c);
        }
      }
      return;
    }
    case ContextTimer::TimerC: {
      counters.timer_c_fired.add();
      if (context->cancelled) {  // 64*T1 after the CANCEL: RFC 3261 9.1
        return fail_locally(id, 487, {}, now, outbox);
      }
      context->cancelled = true;
      cancel_branches(id, now, outbox);
      return;
    }
  }
}

}  // namespace ringway
