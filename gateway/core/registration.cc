#include <algorithm>

#include "gateway/core/parts.h"
#include "gateway/nat/contact.h"
#include "protocol/base/ascii.h"
#include "protocol/sip/header_values.h"
#include "protocol/sip/name_addr.h"
#include "protocol/sip/parse.h"

// Who is where: what a 2xx to REGISTER teaches, and what happens when a user agent's flow ends and
// it comes back on another. Every shard keeps the whole table; the shard that learns announces.

namespace ringway {
namespace {

using sip::HeaderName;
using Announcement = Output::Announcement;

constexpr Duration kExpirySlack = 5s;

struct RegisteredContact {
  std::string_view uri;
  std::string_view instance, reg_id;
  std::optional<std::uint32_t> expires;
  bool star = false;
};

std::optional<RegisteredContact> first_contact(const sip::MessageView& request) {
  const sip::Header* header = request.find(HeaderName::Contact);
  if (!header) return std::nullopt;
  sip::ListCursor values(request.text(header->value));
  const auto value = values.next();
  const auto parsed = value ? sip::parse_name_addr(*value) : std::unexpected(sip::NameAddrError{});
  if (!parsed) return std::nullopt;
  RegisteredContact contact;
  contact.star = parsed->is_star;
  contact.uri = parsed->uri.text;
  contact.instance = parsed->param("+sip.instance").value_or(std::string_view{});
  contact.reg_id = parsed->param("reg-id").value_or(std::string_view{});
  if (const auto expires = parsed->param("expires")) contact.expires = sip::parse_seconds(*expires);
  return contact;
}

}  // namespace

// user@host in lower case where the RFC compares it so: the host only.
std::uint64_t ProxyCore::Parts::aor_hash_of(std::string_view name_addr) const {
  const auto parsed = sip::parse_name_addr(name_addr);
  if (!parsed) return 0;
  std::array<std::uint8_t, sip::kUriBytesMax> memory;
  Writer aor(memory);
  aor.text(parsed->uri.user).character('@');
  for (const char c : parsed->uri.host) aor.character(ascii::to_lower(c));
  return agents.hash_text(aor.written_text());
}

std::uint64_t ProxyCore::Parts::registering_agent(const sip::MessageView& request,
                                                  std::uint64_t& contact_hash,
                                                  std::uint64_t& aor_hash) const {
  const auto contact = first_contact(request);
  aor_hash = aor_hash_of(request.value(HeaderName::To));
  if (!contact || contact->star) return 0;
  contact_hash = agents.hash_text(contact->uri);
  std::array<std::uint8_t, 16> aor;
  write_u64(aor, aor_hash);
  write_u64(MutableBytes(aor).subspan(8), keyed_hash(hash_key, contact->reg_id));
  return user_agent_hash(mac, as_text(Bytes(aor)),
                         contact->instance.empty() ? contact->uri : contact->instance);
}

std::uint64_t ProxyCore::Parts::user_agent_of(const Source& source, std::string_view from) const {
  if (!source.flow) return 0;
  FlowState* flow = const_cast<Parts*>(this)->flow_state(source.flow);
  if (!flow || flow->first_agent == 0) return 0;
  BindingTable& table = const_cast<Parts*>(this)->agents;
  const std::uint64_t aor = aor_hash_of(from);
  std::uint64_t first = 0;
  for (std::uint32_t place = flow->first_agent; place != 0;) {
    const UserAgent* agent = table.get(table.id_at(place - 1));
    if (agent->aor_hash == aor) return agent->hash;
    if (first == 0) first = agent->hash;
    place = agent->next_of_flow;
  }
  return first;
}

void ProxyCore::Parts::announce(Output::Announcement announcement, Outbox& outbox) {
  Output& output = outbox.add(Output::Kind::Announce);
  output.announcement = announcement;
}

void ProxyCore::Parts::learn_binding(SlotId id, const sip::MessageView& response, Instant now,
                                     Outbox& outbox) {
  ResponseContext& context = *contexts.find(id);
  const Target& target = context.target;
  if (target.to_access || is_from_network(context.source)) return;
  if (target.next_hop < path_seen.size() && response.has(HeaderName::Path)) {
    path_seen[target.next_hop] = true;
  }
  sip::MessageView& request = &response == &view ? other_view : view;
  if (!sip::parse_message(context.request.bytes(), sip::Framing::Datagram, request)) return;
  std::uint64_t contact_hash = 0, aor_hash = 0;
  const std::uint64_t hash = registering_agent(request, contact_hash, aor_hash);
  const auto contact = first_contact(request);
  if (!contact) return;  // a query
  if (contact->star) {
    if (context.source.flow) {
      FlowState* flow = flow_state(context.source.flow);
      while (flow && flow->first_agent != 0) {
        const SlotId agent = agents.id_at(flow->first_agent - 1);
        Announcement gone;
        gone.kind = Announcement::Kind::UserAgentGone;
        gone.user_agent = agents.get(agent)->hash;
        announce(gone, outbox);
        agent_gone(agent, now, outbox);
      }
    }
    return;
  }

  // Granted: what the 2xx says of this Contact, else its Expires, else what was asked for.
  std::optional<std::uint32_t> granted;
  std::array<std::uint8_t, 2048> memory;
  for (const sip::Header* header = response.find(HeaderName::Contact); header && !granted;
       header = response.next(header)) {
    sip::ListCursor values(response.text(header->value));
    while (const auto value = values.next()) {
      const auto bound = sip::parse_name_addr(*value);
      if (!bound) continue;
      Writer text(memory);
      const auto alias = undo_contact_alias(bound->uri, own, mac, text);
      const std::string_view uri = alias && !alias->refused ? alias->uri : bound->uri.text;
      const auto mine = sip::parse_uri(contact->uri);
      const auto theirs = sip::parse_uri(uri);
      if (uri != contact->uri && !(mine && theirs && sip::equivalent(*mine, *theirs))) continue;
      if (const auto expires = bound->param("expires")) granted = sip::parse_seconds(*expires);
      if (!granted)
        granted = sip::parse_seconds(response.value(HeaderName::Expires)).value_or(3600);
    }
  }
  std::uint32_t seconds = 0;
  if (granted) {
    seconds = *granted;
  } else if (!response.has(HeaderName::Contact)) {
    seconds = 0;
  } else {  // a registrar that writes our Contact in its own way
    seconds = contact->expires
                  ? *contact->expires
                  : sip::parse_seconds(request.value(HeaderName::Expires)).value_or(3600);
  }
  Announcement news;
  news.user_agent = hash;
  if (seconds == 0) {
    news.kind = Announcement::Kind::UserAgentGone;
    announce(news, outbox);
    if (const SlotId agent = agents.find(hash)) agent_gone(agent, now, outbox);
    return;
  }
  // Its connection ended meanwhile: there is nowhere to reach it.
  if (is_reliable(context.source.transport) && !context.source.flow) return;
  news.kind = Announcement::Kind::UserAgentHere;
  news.flow = context.source.flow;
  news.source = context.source;
  news.expires_seconds = seconds;
  const bool alias = target.next_hop < config.next_hops.size() &&
                     (config.next_hops[target.next_hop].binding == BindingMode::Contact ||
                      (config.next_hops[target.next_hop].binding == BindingMode::Auto &&
                       !path_seen[target.next_hop]));
  announce(news, outbox);
  const SlotId agent = agents.take(hash);
  if (!agent) return;
  UserAgent& entry = *agents.get(agent);
  if (entry.aor_hash == 0) entry.alias = alias;
  entry.aor_hash = aor_hash;
  agents.set_contact(agent, contact_hash);
  agent_here(news, now, outbox);
}

void ProxyCore::Parts::agent_here(const Announcement& news, Instant now, Outbox& outbox) {
  const SlotId id = agents.take(news.user_agent);
  if (!id) return;
  UserAgent& agent = *agents.get(id);
  unlink_agent_from_flow(id);
  agent.source = news.source;
  agent.away = false;
  agent.expires = now + std::chrono::seconds(news.expires_seconds) + kExpirySlack;
  wheel.cancel(agent.timer);
  agent.timer = wheel.arm(agent.expires, subject_value(Subject::UserAgent, id));
  link_agent_to_flow(id);
  counters.bindings.set(counters.user_agents.value());
  deliver_waiting(agent, now, outbox);
}

void ProxyCore::Parts::deliver_waiting(UserAgent& agent, Instant now, Outbox& outbox) {
  SlotId waiting = std::exchange(agent.first_waiting, {});
  while (ResponseContext* context = contexts.find(waiting)) {
    const SlotId here = waiting;
    waiting = std::exchange(context->next_waiting, {});
    if (context->state != ResponseContext::State::AwaitUserAgent) continue;
    disarm(*context);
    context->grace_used = true;
    counters.waits_delivered.add();
    resume(here, now, outbox);
  }
}

void ProxyCore::Parts::agent_away(SlotId id, Instant now) {
  UserAgent& agent = *agents.get(id);
  if (agent.away) return;
  agent.away = true;
  agent.away_since = now;
  wheel.cancel(agent.timer);
  agent.timer = wheel.arm(now + config.timers.grace, subject_value(Subject::UserAgent, id));
}

// Deregistered, expired, or away for longer than the grace.
void ProxyCore::Parts::agent_gone(SlotId id, Instant now, Outbox& outbox) {
  UserAgent& agent = *agents.get(id);
  const bool left = agent.away;
  SlotId waiting = std::exchange(agent.first_waiting, {});
  while (ResponseContext* context = contexts.find(waiting)) {
    const SlotId here = waiting;
    waiting = std::exchange(context->next_waiting, {});
    if (context->state != ResponseContext::State::AwaitUserAgent) continue;
    counters.waits_expired.add();
    fail_locally(here, 480, {}, now, outbox);
  }
  if (left) {
    release_calls_of(agent, now, outbox);
  } else {
    // It only took its binding back: its calls go on over the flow that it still has.
    while (agent.first_call) {
      const SlotId call = agent.first_call;
      disown_call(call);
      calls.get(call)->user_agent = 0;
      calls.get(call)->flow = agent.source.flow;
      own_call(call);
    }
  }
  wheel.cancel(agent.timer);
  unlink_agent_from_flow(id);
  agents.release(id);
  counters.bindings.set(counters.user_agents.value());
}

void ProxyCore::Parts::agent_timer(SlotId id, Instant now, Outbox& outbox) {
  UserAgent* agent = agents.get(id);
  if (!agent) return;
  agent->timer = 0;
  agent_gone(id, now, outbox);
}

void ProxyCore::Parts::link_agent_to_flow(SlotId id) {
  UserAgent& agent = *agents.get(id);
  FlowState* flow = flow_state(agent.source.flow);
  if (!flow) return;
  agent.next_of_flow = flow->first_agent;
  agent.previous_of_flow = 0;
  if (flow->first_agent != 0) {
    agents.get(agents.id_at(flow->first_agent - 1))->previous_of_flow = id.slot + 1;
  }
  flow->first_agent = id.slot + 1;
}

void ProxyCore::Parts::unlink_agent_from_flow(SlotId id) {
  UserAgent& agent = *agents.get(id);
  if (agent.previous_of_flow != 0) {
    agents.get(agents.id_at(agent.previous_of_flow - 1))->next_of_flow = agent.next_of_flow;
  } else if (agent.source.flow.shard() == shard && agent.source.flow &&
             agent.source.flow.slot() < flows.size()) {
    FlowState& flow = flows[agent.source.flow.slot()];
    if (flow.generation == agent.source.flow.generation() && flow.first_agent == id.slot + 1) {
      flow.first_agent = agent.next_of_flow;
    }
  }
  if (agent.next_of_flow != 0) {
    agents.get(agents.id_at(agent.next_of_flow - 1))->previous_of_flow = agent.previous_of_flow;
  }
  agent.next_of_flow = agent.previous_of_flow = 0;
}

}  // namespace ringway
