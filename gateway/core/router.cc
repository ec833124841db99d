#include "gateway/core/router.h"

#include <iterator>

#include "gateway/base/subject.h"
#include "gateway/core/probes.h"
#include "protocol/base/ascii.h"
#include "protocol/sip/host.h"
#include "protocol/sip/limits.h"
#include "protocol/sip/name_addr.h"
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

// Spread, so that not all come back in one moment.
std::string_view retry_after(Random& random) {
  static constexpr std::string_view kLines[] = {
      "Retry-After: 5\r\n",  "Retry-After: 6\r\n",  "Retry-After: 7\r\n",  "Retry-After: 8\r\n",
      "Retry-After: 9\r\n",  "Retry-After: 10\r\n", "Retry-After: 11\r\n", "Retry-After: 12\r\n",
      "Retry-After: 13\r\n", "Retry-After: 14\r\n"};
  return kLines[random.below(std::size(kLines))];
}

Router::Decision targets_found() {
  Router::Decision decision;
  decision.kind = Kind::Targets;
  return decision;
}

// RFC 3263 4: maddr says where to send, whatever the host.
std::string_view host_of(const sip::Uri& uri) {
  const auto maddr = uri.param("maddr");
  if (!maddr || maddr->empty()) return uri.host;
  const bool bracketed = maddr->size() > 2 && maddr->front() == '[' && maddr->back() == ']';
  return bracketed ? maddr->substr(1, maddr->size() - 2) : *maddr;
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

// Host in lower case, port and transport as the URI leads there; maddr before the host.
std::uint32_t Router::far_end_hash(std::string_view uri_text, Instant now) const {
  const auto uri = sip::parse_uri(uri_text);
  const auto transport = uri ? transport_of(*uri) : std::nullopt;
  if (!transport) return 0;
  const std::string_view host = host_of(*uri);
  if (const auto address = parse_address(host)) {
    const std::uint16_t port = uri->port != 0 ? uri->port : default_port(*transport);
    const bool listed = places_.place_of({*address, port}, now) == Targets::Place::Listed;
    if (listed && needs_no_proof(peers_.next_hop_at({*address, port}, now))) return 0;
  } else if (needs_no_proof(peers_.next_hop_named(host))) {
    return 0;
  }
  std::array<std::uint8_t, sip::kUriBytesMax + 16> memory;
  Writer out(memory);
  for (const char c : host) out.character(ascii::to_lower(c));
  out.character(':').number(uri->port).text(to_text(*transport));
  const std::uint64_t hash = keyed_hash(core_.hash_key, out.written_text());
  return static_cast<std::uint32_t>(hash >> (64 - kFarEndHashBits)) | 1;
}

bool Router::needs_no_proof(std::uint16_t next_hop) const {
  return next_hops_.is_open_to(next_hop, Side::Access);
}

std::uint32_t Router::far_end_of(const sip::MessageView& message, Instant now) const {
  std::string_view next;
  const auto walk = [&](sip::HeaderName name) {
    for (const sip::Header* header = message.find(name); header; header = message.next(header)) {
      sip::ListCursor values(message.text(header->value));
      while (const auto value = values.next()) {
        const auto parsed = sip::parse_name_addr(*value);
        if (!parsed) return;
        if (core_.own.is_own(parsed->uri)) return;
        next = parsed->uri.text;
        if (message.is_request() || name == sip::HeaderName::Contact) return;
      }
    }
  };
  walk(sip::HeaderName::RecordRoute);
  if (next.empty()) walk(sip::HeaderName::Contact);
  return next.empty() ? 0 : far_end_hash(next, now);
}

Router::Decision Router::route(const ResponseContext& context, const Incoming& in,
                               const RoutePreprocess& route, Instant now) {
  list_ = {};
  return only_secure(in, step(context, in, route, now));
}

// What the request may do (gateway/peers/rights) decides where it is looked for.
Router::Decision Router::step(const ResponseContext& context, const Incoming& in,
                              const RoutePreprocess& route, Instant now) {
  if (route.towards_access && route.access) return to_access(context, route, now);
  std::expected<sip::Uri, sip::UriError> restored;
  const sip::Uri* uri = &in.essentials.request_uri;
  if (route.request_uri_changed) {
    restored = sip::parse_uri(route.request_uri);
    uri = restored ? &*restored : nullptr;
  }
  switch (context.right) {
    case Right::AccessHops:
      return to_open_hop(Side::Access, route, uri, now);
    case Right::NetworkHops:
      return to_open_hop(Side::Network, route, uri, now);
    case Right::Anywhere:
      return from_next_hop(context, route, uri, now);
    case Right::OwnDialog:
      return in_dialog(context, route, uri, now);
    case Right::Drop:
    case Right::Refuse:
    case Right::Answer:
      break;
  }
  return refuse(403);
}

// One next hop that is open to that side: the one that the Route set names, else that of the
// domain. A Route set of more would make the next hop a relay for whoever writes it.
Router::Decision Router::to_open_hop(Side from, const RoutePreprocess& route, const sip::Uri* uri,
                                     Instant now) {
  if (route.more_routes) return refuse(403);
  if (route.next_route.empty()) {
    return to_next_hop(uri ? uri->host : std::string_view{}, from, false, now);
  }
  const auto hop = sip::parse_uri(route.next_route);
  if (!hop) return refuse(400);
  std::uint16_t next_hop = next_hops_.find_by_uri(*hop);
  if (next_hop == NextHopSet::kNone) next_hop = peers_.next_hop_named(hop->host);
  if (!next_hops_.is_open_to(next_hop, from)) return refuse(403);
  return to_uri(route.next_route, Reach::Listed, next_hop, now);
}

// A new request of a next hop.
Router::Decision Router::from_next_hop(const ResponseContext& context, const RoutePreprocess& route,
                                       const sip::Uri* uri, Instant now) {
  if (!route.next_route.empty()) {
    return to_uri(route.next_route, Reach::Listed, NextHopSet::kNone, now);
  }
  // A registrar that sends to the Contact it has.
  const std::uint16_t group = next_hops_.group_of(context.peer_next_hop);
  if (const SlotId agent = registrations_.find_contact(route.request_uri, group)) {
    return to_contact(context, agent, now);
  }
  return to_next_hop(uri ? uri->host : std::string_view{}, Side::Network, true, now);
}

// Towards the far end of the dialog that the tokens prove.
Router::Decision Router::in_dialog(const ResponseContext& context, const RoutePreprocess& route,
                                   const sip::Uri* uri, Instant now) {
  const bool made_here = context.own && context.method != Method::Ack;
  const std::uint16_t next_hop =
      route.access && !made_here ? route.access->next_hop : context.target.next_hop;
  const std::string_view target = route.next_route.empty() ? route.request_uri : route.next_route;
  if (!route.next_route.empty()) {
    const auto next = sip::parse_uri(route.next_route);
    if (!next) return refuse(400);
    // The call passes us twice in a row: the one between has not recorded its route.
    if (route.from_token && core_.own.is_own(*next)) return to_self(*next);
  } else if (uri && core_.own.is_own(*uri)) {
    // A far end whose Contact is our own address means the next hop that it came from.
    if (next_hop == NextHopSet::kNone) return to_next_hop({}, Side::Access, false, now);
    const bool found = next_hops_.select_next_hop(next_hop, now, list_) == Found::Found;
    return found ? targets_found() : refuse(503, "Retry-After: 10\r\n");
  }
  if (is_named(context, route, target, made_here, now)) {
    return to_uri(target, Reach::FarEnd, next_hop, now);
  }
  // A next hop may send anywhere. Whoever else has the tokens of a call reaches by them no next hop
  // that is closed to him outside of it.
  const bool anywhere = context.peer_next_hop != NextHopSet::kNone || made_here;
  return to_uri(target, anywhere ? Reach::Listed : Reach::Open, next_hop, now);
}

// next_hop: the call's own. found: one that is not of it.
bool Router::is_closed(Reach reach, std::uint16_t found, std::uint16_t next_hop) const {
  return reach == Reach::Open && found != next_hop && found != NextHopSet::kNone &&
         !next_hops_.is_open_to(found, Side::Access);
}

// The far end is where the tokens say, or where it has said since that it is (RFC 3261 12.2.1.2).
bool Router::is_named(const ResponseContext& context, const RoutePreprocess& route,
                      std::string_view target, bool made_here, Instant now) const {
  if (made_here) return static_cast<bool>(context.far_end);
  const std::uint32_t hash = far_end_hash(target, now);
  if (hash == 0) return false;  // it is listed, and needs no proof
  if (route.access && route.access->far_end == hash) return true;
  return route.next_route.empty() && context.far_end &&
         far_end_hash(as_text(context.far_end.bytes()), now) == hash;
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
  if (flows_.has_ended_elsewhere(flow)) return false;
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
    target.listener = source.flow ? source.listener : core_.heir_of(source.listener);
    if (target.listener == kNoListener) return FlowLookup::Dead;
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
  const bool here = core_.is_of_this_run(token) && is_live(token.flow, token.user_agent);
  const bool agent_here =
      agent && !agent->away && (!agent->source.flow || is_live(agent->source.flow, agent->hash));
  if (here) {
    // Taken over by a newer flow of the same instance; but a dialog stays on the flow that it has
    // as long as that lives (RFC 5626 5.3).
    if (!in_dialog && agent_here && agent->source.flow != token.flow) return go(agent->source);
    const FlowState* flow = flows_.find(token.flow);
    return go({core_.listener(token.listener).transport, token.listener,
               flow ? flow->remote : Endpoint{}, token.flow});
  }
  if (!in_dialog || token.user_agent == 0) return FlowLookup::Dead;
  if (agent_here) return go(agent->source);
  const bool may_return = agent ? now < agent->away_since + core_.config.timers.grace
                                // We restarted, or the other machine died: it has to come back.
                                : !core_.is_of_this_run(token);
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
  token.epoch = core_.token_epoch();
  token.node = core_.node;
  token.flow = found.source.flow;
  token.listener = found.source.listener;
  token.user_agent = found.hash;
  if (!found.source.flow) token.remote = found.source.remote;
  RoutePreprocess to_agent;
  to_agent.access = token;
  return to_access(context, to_agent, now);
}

// --- The network side --------------------------------------------------------------------------

Router::Decision Router::to_next_hop(std::string_view domain, Side from, bool explicit_only,
                                     Instant now) {
  switch (next_hops_.select(domain, from, explicit_only, now, list_)) {
    case Found::Found:
      return targets_found();
    case Found::NoRoute:
      return refuse(404);
    case Found::NotOpen:
      return refuse(403);
    case Found::AllDown:
      for (auto silent = next_hops_.take_probe_wanted(now); silent != NextHopSet::kNone;
           silent = next_hops_.take_probe_wanted(now)) {
        core_.wheel.arm(now, subject_value(Subject::Probe, Probes::once(silent)));
      }
      [[fallthrough]];
    case Found::NotResolved:
      return refuse(503, retry_after(core_.random));
    case Found::NoListener:
      core_.log.error("no_listener_for_next_hop", {{"domain", domain}});
      break;
  }
  return refuse(500);
}

Router::Decision Router::forbidden() {
  core_.counters.targets_forbidden.add();
  return refuse(403);
}

// next_hop: the one on whose behalf, if it is known; its profile counts for its members.
Router::Decision Router::to_uri(std::string_view uri_text, Reach reach, std::uint16_t next_hop,
                                Instant now) {
  const auto uri = sip::parse_uri(uri_text);
  if (!uri || (uri->scheme != sip::Scheme::Sip && uri->scheme != sip::Scheme::Sips)) {
    // tel: and the like have no host: the default next hop knows.
    return to_next_hop({}, Side::Access, false, now);
  }
  const std::string_view host = host_of(*uri);
  // Browsers write names that cannot be resolved; nobody is asked for them, ever.
  if (sip::is_invalid_host(host) || core_.own.is_own(*uri)) return refuse(404);
  const bool is_host = host.data() == uri->host.data();
  const auto transport = transport_of(*uri);
  if (!transport) return refuse(404);
  const std::uint16_t found =
      is_host ? next_hops_.find_by_uri(*uri, next_hop) : NextHopSet::kNone;
  if (is_closed(reach, found, next_hop)) return forbidden();
  if (found != NextHopSet::kNone) {
    // RFC 3263 4.1: a transport that the URI names is the one, whatever the next hop's own is.
    const bool says_transport = uri->param("transport") || uri->scheme == sip::Scheme::Sips;
    const auto& own = core_.config.next_hops[found].transport;
    if (!says_transport || own.value_or(Transport::Udp) == *transport) {
      const bool selected = next_hops_.select_next_hop(found, now, list_) == Found::Found;
      return selected ? targets_found() : refuse(503, "Retry-After: 10\r\n");
    }
    next_hop = found;
  }
  if (const auto address = parse_address(host)) {
    Resolution resolution;
    resolution.outcome = Resolution::Outcome::Found;
    const std::uint16_t port = uri->port != 0 ? uri->port : default_port(*transport);
    resolution.targets.push_back({*transport, {*address, port}});
    const Added added = add_targets(resolution, host, reach, next_hop, now);
    return added == Added::Some ? targets_found() : refuse(403);
  }
  // Only names that the configuration or the dialog has named are looked up.
  const std::uint16_t named = peers_.next_hop_named(host);
  const bool listed = named != Peer::kNoNextHop && !is_closed(reach, named, next_hop);
  if (reach != Reach::FarEnd && !listed) return forbidden();
  Decision decision;
  decision.kind = Kind::AwaitName;
  decision.name = host;
  decision.port = uri->port;
  decision.transport = *transport;
  decision.transport_given = uri->param("transport").has_value();
  decision.secure = uri->scheme == sip::Scheme::Sips;
  decision.next_hop = next_hop;
  return decision;
}

Router::Decision Router::resolved(const ResponseContext& context, const Incoming& in,
                                  const Resolution& resolution, std::string_view name,
                                  Instant now) {
  list_ = {};
  switch (add_targets(resolution, name, Reach::FarEnd, context.target.next_hop, now)) {
    case Added::Some:
      return only_secure(in, targets_found());
    case Added::Forbidden:
      return refuse(403);
    case Added::None:
      break;
  }
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
    target.listener = core_.name_for(index);
    target.remote = core_.listeners[target.listener].local;
    if (core_.listener(target.listener).removed) break;
    if (target.remote.address.is_any()) {
      target.remote.address =
          *parse_address(target.remote.family() == Family::V4 ? "127.0.0.1" : "::1");
    }
    list_.add(std::move(target));
    return targets_found();
  }
  return refuse(404);
}

// The one place where an address is asked whether anything may be sent there.
Router::Added Router::add_targets(const Resolution& resolution, std::string_view host, Reach reach,
                                  std::uint16_t next_hop, Instant now) {
  bool forbidden = false;
  const auto add = [&](bool healthy) {
    for (const ResolvedTarget& resolved : resolution.targets) {
      const Targets::Place place = places_.place_of(resolved.endpoint, now);
      if (place == Targets::Place::Forbidden ||
          (place == Targets::Place::FarEnd && reach != Reach::FarEnd)) {
        forbidden = true;
        continue;
      }
      if (next_hops_.is_up(resolved.endpoint, resolved.transport, now) != healthy) continue;
      Target target;
      target.transport = resolved.transport;
      target.remote = resolved.endpoint;
      if (place == Targets::Place::Listed) {
        // Whose client profile, and whose connections: a member's are its next hop's.
        target.next_hop = next_hop;
        if (!peers_.is_of(next_hop, host, resolved.endpoint, now)) {
          target.next_hop = peers_.next_hop_named(host);
        }
        if (target.next_hop == Peer::kNoNextHop) {
          target.next_hop = peers_.next_hop_at(resolved.endpoint, now);
        }
      }
      if (is_closed(reach, target.next_hop, next_hop)) {
        forbidden = true;
        continue;
      }
      const std::uint16_t profile = next_hop != NextHopSet::kNone ? next_hop : target.next_hop;
      target.listener =
          next_hops_.listener_for(resolved.transport, resolved.endpoint.family(), profile);
      if (target.listener == kNoListener) continue;
      if (resolved.transport == Transport::Tls) target.name = core_.buffers.copy(as_bytes(host));
      list_.add(std::move(target));
    }
  };
  add(true);
  // The URI names nobody else: a BYE had better be sent where the last request failed than not.
  if (list_.count == 0) add(false);
  if (list_.count != 0) return Added::Some;
  if (forbidden) core_.counters.targets_forbidden.add();
  return forbidden ? Added::Forbidden : Added::None;
}

}  // namespace ringway
