#include "gateway/core/registrations.h"

#include <algorithm>

#include "gateway/base/subject.h"
#include "gateway/nat/contact.h"
#include "protocol/base/ascii.h"
#include "protocol/sip/header_values.h"
#include "protocol/sip/name_addr.h"

namespace ringway {
namespace {

using sip::HeaderName;

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

Registrations::Registrations(Services& core, Flows& flows, ContextTable& contexts)
    : core_(core),
      flows_(flows),
      contexts_(contexts),
      agents_(core.config.limits.bindings, core.hash_key, core.counters),
      path_seen_(core.config.next_hops.size(), false) {}

std::optional<Registrations::Change> Registrations::next_change() {
  if (next_change_ == changes_.size()) {
    changes_.clear();
    next_change_ = 0;
    return std::nullopt;
  }
  return changes_[next_change_++];
}

// --- Who it is ---------------------------------------------------------------------------------

// user@host, the host in lower case (RFC 3261 10.3 item 5, 19.1.4).
std::uint64_t Registrations::aor_hash(std::string_view name_addr) const {
  const auto parsed = sip::parse_name_addr(name_addr);
  if (!parsed) return 0;
  std::array<std::uint8_t, sip::kUriBytesMax> memory;
  Writer aor(memory);
  aor.text(parsed->uri.user).character('@');
  for (const char c : parsed->uri.host) aor.character(ascii::to_lower(c));
  return agents_.hash_text(aor.written_text());
}

Registrations::Identity Registrations::identify(const sip::MessageView& request) const {
  Identity identity;
  const auto contact = first_contact(request);
  identity.aor = aor_hash(request.value(HeaderName::To));
  if (!contact || contact->star) return identity;
  identity.contact = agents_.hash_text(contact->uri);
  std::array<std::uint8_t, 16> aor;
  write_u64(aor, identity.aor);
  write_u64(MutableBytes(aor).subspan(8), keyed_hash(core_.hash_key, contact->reg_id));
  identity.user_agent = user_agent_hash(
      core_.mac, as_text(Bytes(aor)), contact->instance.empty() ? contact->uri : contact->instance);
  return identity;
}

std::uint64_t Registrations::registering(const sip::MessageView& request) const {
  return identify(request).user_agent;
}

std::uint64_t Registrations::user_agent_of(const Source& source, std::string_view from) {
  const FlowState* flow = flows_.find(source.flow);
  if (!flow || flow->first_agent == 0) return 0;
  const std::uint64_t aor = aor_hash(from);
  std::uint64_t first = 0;
  for (std::uint32_t place = flow->first_agent; place != 0;) {
    const UserAgent* agent = agents_.get(agents_.id_at(place - 1));
    if (agent->aor_hash == aor) return agent->hash;
    if (first == 0) first = agent->hash;
    place = agent->next_of_flow;
  }
  return first;
}

bool Registrations::uses_alias(std::uint16_t next_hop, std::uint64_t user_agent) {
  if (next_hop >= core_.config.next_hops.size()) return false;
  switch (core_.config.next_hops[next_hop].binding) {
    case BindingMode::Path:
      return false;
    case BindingMode::Contact:
      return true;
    case BindingMode::Auto:
      break;
  }
  const UserAgent* agent = agents_.get(agents_.find(user_agent));
  return agent ? agent->alias : !path_seen_[next_hop];
}

// --- What is learnt ----------------------------------------------------------------------------

// Granted: what the 2xx says of this Contact, else its Expires, else what was asked for.
std::uint32_t Registrations::granted_seconds(const sip::MessageView& request,
                                             const sip::MessageView& response) const {
  const auto contact = first_contact(request);
  const auto mine = sip::parse_uri(contact->uri);
  std::array<std::uint8_t, 2048> memory;
  for (const sip::Header* header = response.find(HeaderName::Contact); header;
       header = response.next(header)) {
    sip::ListCursor values(response.text(header->value));
    while (const auto value = values.next()) {
      const auto bound = sip::parse_name_addr(*value);
      if (!bound) continue;
      Writer text(memory);
      const auto alias = undo_contact_alias(bound->uri, core_.own, core_.mac, text);
      const std::string_view uri = alias && !alias->refused ? alias->uri : bound->uri.text;
      const auto theirs = sip::parse_uri(uri);
      if (uri != contact->uri && !(mine && theirs && sip::equivalent(*mine, *theirs))) continue;
      const auto expires = bound->param("expires");
      const auto seconds = expires ? sip::parse_seconds(*expires) : std::nullopt;
      return seconds ? *seconds
                     : sip::parse_seconds(response.value(HeaderName::Expires)).value_or(3600);
    }
  }
  if (!response.has(HeaderName::Contact)) return 0;
  // A registrar that writes our Contact in its own way.
  return contact->expires ? *contact->expires
                          : sip::parse_seconds(request.value(HeaderName::Expires)).value_or(3600);
}

// Every binding of the flow is taken back.
void Registrations::forget_flow(FlowId flow, Outbox& outbox) {
  const FlowState* state = flows_.find(flow);
  for (std::uint32_t place = state ? state->first_agent : 0; place != 0;) {
    const SlotId agent = agents_.id_at(place - 1);
    place = agents_.get(agent)->next_of_flow;
    Announcement news;
    news.kind = Announcement::Kind::UserAgentGone;
    news.user_agent = agents_.get(agent)->hash;
    announce(news, outbox);
    gone(agent);
  }
}

void Registrations::learn(const ResponseContext& context, const sip::MessageView& request,
                          const sip::MessageView& response, Instant now, Outbox& outbox) {
  const std::uint16_t next_hop = context.target.next_hop;
  if (next_hop < path_seen_.size() && response.has(HeaderName::Path)) path_seen_[next_hop] = true;
  const Identity identity = identify(request);
  const auto contact = first_contact(request);
  if (!contact) return;  // a query
  if (contact->star) return forget_flow(context.source.flow, outbox);

  const std::uint32_t seconds = granted_seconds(request, response);
  Announcement news;
  news.user_agent = identity.user_agent;
  if (seconds == 0) {
    news.kind = Announcement::Kind::UserAgentGone;
    announce(news, outbox);
    if (const SlotId agent = agents_.find(identity.user_agent)) gone(agent);
    return;
  }
  // Its connection ended meanwhile: there is nowhere to reach it.
  if (is_reliable(context.source.transport) && !context.source.flow) return;
  news.kind = Announcement::Kind::UserAgentHere;
  news.flow = context.source.flow;
  news.source = context.source;
  news.expires_seconds = seconds;
  const bool is_new = !agents_.find(identity.user_agent);
  const bool alias = uses_alias(next_hop, identity.user_agent);
  announce(news, outbox);
  const SlotId agent = agents_.take(identity.user_agent);
  if (!agent) return;
  UserAgent& entry = *agents_.get(agent);
  if (is_new || entry.aor_hash == 0) entry.alias = alias;
  entry.aor_hash = identity.aor;
  agents_.set_contact(agent, identity.contact);
  here(news, now);
}

void Registrations::announce(const Announcement& news, Outbox& outbox) {
  outbox.add(Output::Kind::Announce).announcement = news;
}

void Registrations::announced(const Announcement& news, Instant now) {
  const SlotId agent = agents_.find(news.user_agent);
  switch (news.kind) {
    case Announcement::Kind::UserAgentHere:
      return here(news, now);
    case Announcement::Kind::UserAgentAway:
      // Its flow may have been taken over by a newer one meanwhile.
      if (agent && agents_.get(agent)->source.flow == news.flow) away(agent, now);
      return;
    case Announcement::Kind::UserAgentGone:
      if (agent) gone(agent);
      return;
    case Announcement::Kind::FlowGone:
    case Announcement::Kind::NextHopHealth:
      return;
  }
}

void Registrations::here(const Announcement& news, Instant now) {
  const SlotId id = agents_.take(news.user_agent);
  if (!id) return;
  UserAgent& agent = *agents_.get(id);
  unlink_from_flow(id);
  agent.source = news.source;
  agent.away = false;
  agent.expires = now + std::chrono::seconds(news.expires_seconds) + kExpirySlack;
  core_.wheel.cancel(agent.timer);
  agent.timer = core_.wheel.arm(agent.expires, subject_value(Subject::UserAgent, id));
  link_to_flow(id);
  core_.counters.bindings.set(agents_.size());
  if (agent.first_waiting) changes_.push_back({Change::Kind::Here, id});
}

void Registrations::flow_ended(FlowState& state, FlowId flow, Instant now, Outbox& outbox) {
  while (state.first_agent != 0) {
    const SlotId agent = agents_.id_at(state.first_agent - 1);
    unlink_from_flow(agent);
    away(agent, now);
    Announcement news;
    news.kind = Announcement::Kind::UserAgentAway;
    news.user_agent = agents_.get(agent)->hash;
    news.flow = flow;
    announce(news, outbox);
  }
}

void Registrations::away(SlotId id, Instant now) {
  UserAgent& agent = *agents_.get(id);
  if (agent.away) return;
  agent.away = true;
  agent.away_since = now;
  core_.wheel.cancel(agent.timer);
  agent.timer =
      core_.wheel.arm(now + core_.config.timers.grace, subject_value(Subject::UserAgent, id));
}

void Registrations::expired(SlotId id) {
  UserAgent* agent = agents_.get(id);
  if (!agent) return;
  agent->timer = 0;
  gone(id);
}

void Registrations::gone(SlotId id) {
  changes_.push_back({Change::Kind::Gone, id, agents_.get(id)->away});
}

void Registrations::release(SlotId id) {
  UserAgent& agent = *agents_.get(id);
  core_.wheel.cancel(agent.timer);
  unlink_from_flow(id);
  agents_.release(id);
  core_.counters.bindings.set(agents_.size());
}

// --- Who waits ---------------------------------------------------------------------------------

void Registrations::wait(std::uint64_t user_agent, SlotId context, Instant until) {
  const bool known = static_cast<bool>(agents_.find(user_agent));
  const SlotId id = agents_.take(user_agent);
  if (!id) return;
  UserAgent& agent = *agents_.get(id);
  if (!known) {  // after a restart: a place to wait at
    agent.away = true;
    agent.away_since = until - core_.config.timers.grace;
    agent.timer = core_.wheel.arm(until + 1s, subject_value(Subject::UserAgent, id));
  }
  contexts_.find(context)->next_waiting = agent.first_waiting;
  agent.first_waiting = context;
}

void Registrations::stop_waiting(const ResponseContext& context, SlotId id) {
  UserAgent* agent = agents_.get(agents_.find(context.user_agent));
  SlotId* link = agent ? &agent->first_waiting : nullptr;
  while (link && *link && !(*link == id)) {
    ResponseContext* other = contexts_.find(*link);
    link = other ? &other->next_waiting : nullptr;
  }
  if (link && *link) *link = context.next_waiting;
}

SlotId Registrations::take_waiting(SlotId agent) {
  return std::exchange(agents_.get(agent)->first_waiting, {});
}

// --- Over which flow ---------------------------------------------------------------------------

void Registrations::link_to_flow(SlotId id) {
  UserAgent& agent = *agents_.get(id);
  FlowState* flow = flows_.find(agent.source.flow);
  if (!flow) return;
  agent.next_of_flow = flow->first_agent;
  agent.previous_of_flow = 0;
  if (flow->first_agent != 0) {
    agents_.get(agents_.id_at(flow->first_agent - 1))->previous_of_flow = id.slot + 1;
  }
  flow->first_agent = id.slot + 1;
}

void Registrations::unlink_from_flow(SlotId id) {
  UserAgent& agent = *agents_.get(id);
  if (agent.previous_of_flow != 0) {
    agents_.get(agents_.id_at(agent.previous_of_flow - 1))->next_of_flow = agent.next_of_flow;
  } else if (FlowState* flow = flows_.find_ended(agent.source.flow);
             flow && flow->first_agent == id.slot + 1) {
    flow->first_agent = agent.next_of_flow;
  }
  if (agent.next_of_flow != 0) {
    agents_.get(agents_.id_at(agent.next_of_flow - 1))->previous_of_flow = agent.previous_of_flow;
  }
  agent.next_of_flow = agent.previous_of_flow = 0;
}

}  // namespace ringway
