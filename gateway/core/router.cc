#include "gateway/core/router.h"

#include "protocol/base/ascii.h"
#include "protocol/sip/host.h"
#include "protocol/sip/params.h"

namespace ringway {
namespace {

using sip::Method;
using Found = NextHopSet::Outcome;
using Kind = Router::Decision::Kind;

Router::Decision refuse(sip::Status status, std::string_view extra = {}) {
  Router::Decision decision;
  decision.kind = Kind::Refuse;
  decision.status = status;
  decision.extra = extra;
  return decision;
}

Router::Decision targets_found() {
  Router::Decision decision;
  decision.kind = Kind::Targets;
  return decision;
}

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

bool Router::is_from_network(const Source& source) {
  if (core_.listener(source.listener).side == Side::Network) return true;
  const FlowState* flow = flows_.find(source.flow);
  if (flow && flow->opened_by_us) return true;
  return next_hops_.is_next_hop(source.remote);
}

Router::Decision Router::route(const ResponseContext& context, const Incoming& in,
                               const RoutePreprocess& route, Instant now) {
  list_ = {};
  if (route.towards_access && route.access) {
    return only_secure(in, to_access(context, route, now));
  }
  // An ACK is nobody's to answer but everybody's to send: it is not our own for that.
  const bool made_here = context.own && context.method != Method::Ack;
  const bool from_network = is_from_network(context.source);
  if (!route.next_route.empty()) {
    const bool trusted = route.from_token || made_here || from_network;
    return only_secure(in, by_route_set(route, trusted, now));
  }
  std::expected<sip::Uri, sip::UriError> restored;
  const sip::Uri* uri = &in.essentials.request_uri;
  if (route.request_uri_changed) {
    restored = sip::parse_uri(route.request_uri);
    uri = restored ? &*restored : nullptr;
  }
  if (route.from_token || made_here) {
    // A far end whose Contact is our own address means the next hop that it came from.
    const bool own = uri && core_.own.is_own(*uri);
    return only_secure(in, own ? to_next_hop({}, false, now) : to_uri(route.request_uri, now));
  }
  const std::string_view domain = uri ? uri->host : std::string_view{};
  if (from_network) {
    if (const SlotId agent = registrations_.find_contact(route.request_uri)) {
      return only_secure(in, to_contact(context, agent, now));
    }
  }
  return only_secure(in, to_next_hop(domain, from_network, now));
}

Router::Decision Router::by_route_set(const RoutePreprocess& route, bool trusted, Instant now) {
  const auto uri = sip::parse_uri(route.next_route);
  if (!uri) return refuse(400);
  // A Route set from outside a dialog of ours may name our next hops and nothing else.
  if (!trusted && next_hops_.find_by_uri(*uri) == NextHopSet::kNone) return refuse(403);
  // The call passes us twice in a row: the one between has not recorded its route.
  if (route.from_token && core_.own.is_own(*uri)) return to_self(*uri);
  return to_uri(route.next_route, now);
}

// RFC 5630 4: sips never goes on in the clear.
Router::Decision Router::only_secure(const Incoming& in, Decision decision) {
  if (decision.kind != Kind::Targets || in.essentials.request_uri.scheme != sip::Scheme::Sips) {
    return decision;
  }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < list_.count; ++i) {
    if (is_secure(list_.targets[i].transport)) list_.targets[kept++] = list_.targets[i];
  }
  list_.count = kept;
  return kept != 0 ? decision : refuse(480, "Warning: 380 ringway \"SIPS Not Allowed\"\r\n");
}

// --- The access side ---------------------------------------------------------------------------

bool Router::is_live(FlowId flow, std::uint64_t user_agent) {
  if (!flow) return false;
  if (flows_.is_own(flow)) return flows_.find(flow) != nullptr;
  // Another shard's: what it announced. Unknown ones are tried; a dead one comes back as failed.
  const UserAgent* agent = registrations_.get(registrations_.find(user_agent));
  return !agent || agent->source.flow != flow || !agent->away;
}

Router::FlowLookup Router::find_flow(const FlowToken& token, bool in_dialog, Instant now,
                                     Target& target) {
  if (token.listener >= core_.listeners.size()) return FlowLookup::Dead;
  target.to_access = true;
  target.user_agent = token.user_agent;
  UserAgent* agent =
      token.user_agent != 0 ? registrations_.get(registrations_.find(token.user_agent)) : nullptr;
  const auto go = [&](const Source& source) {
    target.listener = source.listener;
    target.transport = core_.listener(source.listener).transport;
    target.flow = source.flow;
    target.remote = source.remote;
    return FlowLookup::Found;
  };
  if (token.remote) {
    Source source{Transport::Udp, token.listener, *token.remote, {}};
    if (core_.listener(token.listener).transport != Transport::Udp) return FlowLookup::Dead;
    // Behind a NAT that rebound, the newest REGISTER knows better.
    if (agent && !agent->away && agent->source.transport == Transport::Udp) source = agent->source;
    return go(source);
  }
  const bool here = token.epoch == core_.epoch && is_live(token.flow, token.user_agent);
  const bool agent_here =
      agent && !agent->away && (!agent->source.flow || is_live(agent->source.flow, agent->hash));
  if (here) {
    // Taken over by a newer flow of the same instance.
    if (agent_here && agent->source.flow != token.flow) return go(agent->source);
    const FlowState* flow = flows_.find(token.flow);
    return go({core_.listener(token.listener).transport, token.listener,
               flow ? flow->remote : Endpoint{}, token.flow});
  }
  if (!in_dialog || token.user_agent == 0) return FlowLookup::Dead;
  if (agent_here) return go(agent->source);
  const bool may_return = agent ? now < agent->away_since + core_.config.timers.grace
                                : token.epoch != core_.epoch;  // we restarted: it has to come back
  return may_return ? FlowLookup::Wait : FlowLookup::Dead;
}

Router::Decision Router::to_access(const ResponseContext& context, const RoutePreprocess& route,
                                   Instant now) {
  Target target;
  const FlowToken& token = *route.access;
  switch (find_flow(token, route.in_dialog, now, target)) {
    case FlowLookup::Found:
      list_.add(std::move(target));
      return targets_found();
    case FlowLookup::Wait: {
      if (context.method == Method::Ack) break;
      const UserAgent* agent = registrations_.get(registrations_.find(token.user_agent));
      Decision decision;
      decision.kind = Kind::AwaitUserAgent;
      decision.user_agent = token.user_agent;
      decision.until = (agent ? agent->away_since : now) + core_.config.timers.grace;
      return decision;
    }
    case FlowLookup::Dead:
      break;
  }
  core_.counters.flows_dead_430.add();
  return refuse(route.in_dialog ? 480 : 430);
}

// A registrar that sends to the Contact it has: the binding says where that is.
Router::Decision Router::to_contact(const ResponseContext& context, SlotId agent, Instant now) {
  const UserAgent& found = *registrations_.get(agent);
  FlowToken token;
  token.kind = FlowToken::Kind::Path;
  token.epoch = core_.epoch;
  token.flow = found.source.flow;
  token.listener = found.source.listener;
  token.user_agent = found.hash;
  if (!found.source.flow) token.remote = found.source.remote;
  RoutePreprocess to_agent;
  to_agent.access = token;
  return to_access(context, to_agent, now);
}

// --- The network side --------------------------------------------------------------------------

Router::Decision Router::to_next_hop(std::string_view domain, bool explicit_only, Instant now) {
  switch (next_hops_.select(domain, explicit_only, now, list_)) {
    case Found::Found:
      return targets_found();
    case Found::NoRoute:
      return refuse(404);
    case Found::NotResolved:
    case Found::AllDown:
      return refuse(503, "Retry-After: 10\r\n");
    case Found::NoListener:
      core_.log.error("no_listener_for_next_hop", {{"domain", domain}});
      break;
  }
  return refuse(500);
}

Router::Decision Router::to_uri(std::string_view uri_text, Instant now) {
  const auto uri = sip::parse_uri(uri_text);
  if (!uri || (uri->scheme != sip::Scheme::Sip && uri->scheme != sip::Scheme::Sips)) {
    // tel: and the like have no host: the default next hop knows.
    return to_next_hop({}, false, now);
  }
  // Browsers write names that cannot be resolved; nobody is asked for them, ever.
  if (sip::is_invalid_host(uri->host) || core_.own.is_own(*uri)) return refuse(404);
  if (const std::uint16_t next_hop = next_hops_.find_by_uri(*uri); next_hop != NextHopSet::kNone) {
    const bool found = next_hops_.select_next_hop(next_hop, now, list_) == Found::Found;
    return found ? targets_found() : refuse(503, "Retry-After: 10\r\n");
  }
  const auto transport = transport_of(*uri);
  if (!transport) return refuse(404);
  if (const auto address = parse_address(uri->host)) {
    Resolution resolution;
    resolution.outcome = Resolution::Outcome::Found;
    const std::uint16_t port = uri->port != 0 ? uri->port : default_port(*transport);
    resolution.targets.push_back({*transport, {*address, port}});
    return add_targets(resolution, uri->host, now) ? targets_found() : refuse(403);
  }
  Decision decision;
  decision.kind = Kind::AwaitName;
  decision.name = uri->host;
  decision.port = uri->port;
  decision.transport = *transport;
  decision.transport_given = uri->param("transport").has_value();
  decision.secure = uri->scheme == sip::Scheme::Sips;
  return decision;
}

Router::Decision Router::resolved(const Incoming& in, const Resolution& resolution,
                                  std::string_view name, Instant now) {
  list_ = {};
  if (add_targets(resolution, name, now)) return only_secure(in, targets_found());
  return refuse(resolution.outcome == Resolution::Outcome::NoSuchName ? 404 : 503);
}

// The next pass of ours, which the Route set names by a value of the network side. It verifies that
// value itself; on the network side it leads down a flow and nowhere else, so that no request goes
// round more than once.
Router::Decision Router::to_self(const sip::Uri& uri) {
  const auto transport = transport_of(uri);
  for (std::size_t i = 0; i < core_.listeners.size(); ++i) {
    const ListenerInfo& entry = core_.listeners[i];
    const auto index = static_cast<ListenerIndex>(i);
    if (entry.config.side != Side::Network || entry.config.transport != transport ||
        !core_.own.names(index, uri)) {
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
    list_.add(std::move(target));
    return targets_found();
  }
  return refuse(404);
}

bool Router::add_targets(const Resolution& resolution, std::string_view host, Instant now) {
  const auto add = [&](bool healthy) {
    for (const ResolvedTarget& resolved : resolution.targets) {
      if (!is_sendable(resolved.endpoint)) continue;
      if (next_hops_.is_up(resolved.endpoint, resolved.transport, now) != healthy) continue;
      Target target;
      target.transport = resolved.transport;
      target.remote = resolved.endpoint;
      const std::uint16_t next_hop = next_hops_.next_hop_of(resolved.endpoint);
      target.listener =
          next_hops_.listener_for(resolved.transport, resolved.endpoint.family(), next_hop);
      if (target.listener == kNoListener) continue;
      if (resolved.transport == Transport::Tls) {
        target.next_hop = next_hop;  // whose client profile
        target.name = core_.buffers.copy(as_bytes(host));
      }
      list_.add(std::move(target));
    }
  };
  add(true);
  // The URI names nobody else: a BYE had better be sent where the last request failed than not.
  if (list_.count == 0) add(false);
  return list_.count != 0;
}

}  // namespace ringway
