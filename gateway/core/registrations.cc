#include "gateway/core/registrations.h"

#include <algorithm>

#include "gateway/base/subject.h"
#include "gateway/nat/contact.h"
#include "protocol/base/ascii.h"
#include "protocol/base/percent.h"
#include "protocol/sip/credentials.h"
#include "protocol/sip/header_values.h"
#include "protocol/sip/name_addr.h"

namespace ringway {
namespace {

using sip::HeaderName;

constexpr Duration kExpirySlack = 5s;

}  // namespace

struct Registrations::Contact {
  std::string_view uri;
  std::string_view instance, reg_id;
  std::optional<std::uint32_t> expires;
  bool star = false;
};

namespace {

constexpr int kContactsMax = 16;  // of one REGISTER; what stands behind them is not learnt

// Calls take(Contact) for every Contact value of a REGISTER until that returns true.
template <typename Contact, typename Take>
void for_each_contact(const sip::MessageView& request, Take take) {
  int count = 0;
  for (const sip::Header* header = request.find(HeaderName::Contact); header;
       header = request.next(header)) {
    sip::ListCursor values(request.text(header->value));
    while (const auto value = values.next()) {
      const auto parsed = sip::parse_name_addr(*value);
      if (!parsed || ++count > kContactsMax) continue;
      Contact contact;
      contact.star = parsed->is_star;
      contact.uri = parsed->uri.text;
      contact.instance = parsed->param("+sip.instance").value_or(std::string_view{});
      contact.reg_id = parsed->param("reg-id").value_or(std::string_view{});
      const auto expires = parsed->param("expires");
      contact.expires = sip::parse_seconds(expires ? *expires : request.value(HeaderName::Expires));
      if (take(contact)) return;
    }
  }
}

}  // namespace

Registrations::Registrations(Services& core, Flows& flows, ContextTable& contexts,
                             const NextHopSet& next_hops)
    : core_(core),
      flows_(flows),
      contexts_(contexts),
      next_hops_(next_hops),
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

// user@host with escapes undone (RFC 3261 10.3 item 5) and in lower case: the host since 19.1.4
// says so, the user since registrars mostly look for it without regard to case.
std::uint64_t Registrations::aor_hash(std::string_view name_addr) const {
  const auto parsed = sip::parse_name_addr(name_addr);
  if (!parsed) return 0;
  std::array<std::uint8_t, sip::kUriBytesMax> memory;
  Writer aor(memory);
  for (std::string_view user = parsed->uri.user; !user.empty();) {
    aor.character(ascii::to_lower(percent::take(user)));
  }
  aor.character('@');
  for (const char c : parsed->uri.host) aor.character(ascii::to_lower(c));
  return agents_.hash_text(aor.written_text());
}

std::uint64_t Registrations::source_hash(const Source& source) const {
  std::array<std::uint8_t, 24> memory;
  Writer out(memory);
  const std::uint8_t rest[4] = {static_cast<std::uint8_t>(source.listener >> 8),
                                static_cast<std::uint8_t>(source.listener),
                                static_cast<std::uint8_t>(source.remote.port >> 8),
                                static_cast<std::uint8_t>(source.remote.port)};
  out.bytes(source.remote.address.octets()).bytes(rest);
  return keyed_hash(core_.hash_key, out.written()) | 1;
}

bool Registrations::is_registered(const Source& source) {
  if (source.transport == Transport::Udp) {
    return static_cast<bool>(agents_.find_source(source_hash(source)));
  }
  const FlowState* flow = flows_.find(source.flow);
  return flow && flow->first_agent != 0;
}

bool Registrations::is_aor(const Account& account, std::string_view aor) const {
  if (!account) return false;
  const std::uint64_t hash = aor_hash(aor);
  for (std::size_t i = 0; i < core_.config.next_hops.size(); ++i) {
    const std::uint16_t group = next_hops_.group_of(static_cast<std::uint16_t>(i));
    if (keyed_by(hash, group) == account.aor) return true;
  }
  return false;
}

const UserAgent* Registrations::agent_at(const Source& source, std::string_view from) {
  return agents_.get(agents_.find(user_agent_of(source, from)));
}

// aor: keyed by the group of the next hop, so that what one server grants means nothing to others.
std::uint64_t Registrations::user_agent_of(std::uint64_t aor, const Contact& contact) const {
  std::array<std::uint8_t, 16> text;
  write_u64(text, aor);
  write_u64(MutableBytes(text).subspan(8), keyed_hash(core_.hash_key, contact.reg_id));
  return user_agent_hash(core_.mac, as_text(Bytes(text)),
                         contact.instance.empty() ? contact.uri : contact.instance);
}

std::uint64_t Registrations::registering(const sip::MessageView& request,
                                         std::uint16_t next_hop) const {
  const std::uint64_t aor =
      keyed_by(aor_hash(request.value(HeaderName::To)), next_hops_.group_of(next_hop));
  std::uint64_t user_agent = 0;
  for_each_contact<Contact>(request, [&](const Contact& contact) {
    if (contact.star) return false;
    const bool kept = contact.expires.value_or(1) != 0;
    if (kept || user_agent == 0) user_agent = user_agent_of(aor, contact);
    return kept;
  });
  return user_agent;
}

std::uint64_t Registrations::user_agent_of(const Source& source, std::string_view from) {
  std::uint64_t first = 0;
  if (source.transport == Transport::Udp) {
    SlotId id = agents_.find_source(source_hash(source));
    const std::uint64_t aor = id ? aor_hash(from) : 0;
    for (; const UserAgent* agent = agents_.get(id); id = agents_.next_of_source(id)) {
      if (agent->aor_hash == keyed_by(aor, agent->group)) return agent->hash;
      if (first == 0) first = agent->hash;
    }
    return first;
  }
  const FlowState* flow = flows_.find(source.flow);
  if (!flow || flow->first_agent == 0) return 0;
  const std::uint64_t aor = aor_hash(from);
  for (std::uint32_t place = flow->first_agent; place != 0;) {
    const UserAgent* agent = agents_.get(agents_.id_at(place - 1));
    if (agent->aor_hash == keyed_by(aor, agent->group)) return agent->hash;
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
  return agent ? agent->alias : !(next_hop < path_seen_.size() && path_seen_[next_hop]);
}

// --- What is learnt ----------------------------------------------------------------------------

// Granted: what the 2xx says of this Contact, else its Expires, else what was asked for.
std::uint32_t Registrations::granted_seconds(const Contact& contact,
                                             const sip::MessageView& response) const {
  const auto mine = sip::parse_uri(contact.uri);
  std::array<std::uint8_t, 2048> memory;
  bool any = false;
  for (const sip::Header* header = response.find(HeaderName::Contact); header;
       header = response.next(header)) {
    sip::ListCursor values(response.text(header->value));
    while (const auto value = values.next()) {
      const auto bound = sip::parse_name_addr(*value);
      if (!bound) continue;
      any = true;
      Writer text(memory);
      const auto alias = undo_contact_alias(bound->uri, core_.own, core_.mac, text);
      const std::string_view uri = alias && !alias->uri.empty() ? alias->uri : bound->uri.text;
      const auto theirs = sip::parse_uri(uri);
      if (uri != contact.uri && !(mine && theirs && sip::equivalent(*mine, *theirs))) continue;
      const auto expires = bound->param("expires");
      const auto seconds = expires ? sip::parse_seconds(*expires) : std::nullopt;
      return seconds ? *seconds
                     : sip::parse_seconds(response.value(HeaderName::Expires)).value_or(3600);
    }
  }
  // Else a registrar that writes our Contact in its own way.
  return any ? contact.expires.value_or(3600) : 0;
}

// RFC 3261 10.3 item 7: within one Call-ID the CSeq says which REGISTER is the newer one, in
// whatever order the answers come.
bool Registrations::is_older(const UserAgent& agent, const Announcement& news) const {
  return agent.call_id_hash == news.call_id && news.call_id != 0 && news.cseq < agent.cseq;
}

// Only the Contact that the user agent is bound to: one that it has left is nobody's any more.
void Registrations::take_back(std::uint64_t user_agent, std::uint64_t contact,
                              const Announcement& news, Outbox& outbox) {
  const SlotId id = agents_.find(user_agent);
  const UserAgent* agent = agents_.get(id);
  if (!agent || is_older(*agent, news)) return;
  if (agent->contact_hash != 0 && agent->contact_hash != contact) return;
  Announcement gone_news = news;
  gone_news.kind = Announcement::Kind::UserAgentGone;
  gone_news.user_agent = user_agent;
  announce(gone_news, outbox);
  gone(id, agent->away);
}

// Contact: * is every binding of the To's AOR, on whatever flow (RFC 3261 10.2.2, 10.3 item 6).
void Registrations::take_back_all(const Announcement& news, Outbox& outbox) {
  for (SlotId id = agents_.first_of_aor(news.aor); id;) {
    const SlotId here_now = id;
    const UserAgent& agent = *agents_.get(here_now);
    id = agents_.next_of_aor(here_now);
    take_back(agent.hash, agent.contact_hash, news, outbox);
  }
}

void Registrations::learn(const ResponseContext& context, const sip::MessageView& request,
                          const sip::MessageView& response, Instant now, Outbox& outbox) {
  const std::uint16_t next_hop = context.target.next_hop;
  const std::uint16_t group = next_hops_.group_of(next_hop);
  if (group == 0) return;  // no next hop has granted it
  if (next_hop < path_seen_.size() && response.has(HeaderName::Path)) path_seen_[next_hop] = true;
  Announcement news;
  news.group = group;
  news.aor = keyed_by(aor_hash(request.value(HeaderName::To)), group);
  news.call_id = agents_.hash_text(request.value(HeaderName::CallId));
  const auto cseq = sip::parse_cseq(request.value(HeaderName::CSeq));
  news.cseq = cseq ? cseq->number : 0;
  news.credentials = credentials_hash(request, group);
  news.flow = context.source.flow;
  news.source = context.source;
  // Those that are taken back first, so that their order in the message means nothing.
  for_each_contact<Contact>(request, [&](const Contact& contact) {
    if (contact.star) {
      take_back_all(news, outbox);
      return true;
    }
    if (granted_seconds(contact, response) != 0) return false;
    // One instance that changes its Contact stays the user agent that it is.
    const std::uint64_t user_agent = user_agent_of(news.aor, contact);
    bool stays = false;
    for_each_contact<Contact>(request, [&](const Contact& other) {
      stays |= other.uri != contact.uri && user_agent_of(news.aor, other) == user_agent &&
               granted_seconds(other, response) != 0;
      return stays;
    });
    if (!stays) {
      take_back(user_agent, keyed_by(agents_.hash_text(contact.uri), group), news, outbox);
    }
    return false;
  });
  // Its connection ended meanwhile: there is nowhere to reach it.
  if (is_reliable(context.source.transport) && !context.source.flow) return;
  for_each_contact<Contact>(request, [&](const Contact& contact) {
    if (contact.star) return true;
    news.expires_seconds = granted_seconds(contact, response);
    news.contact = keyed_by(agents_.hash_text(contact.uri), group);
    news.user_agent = user_agent_of(news.aor, contact);
    if (news.expires_seconds != 0) {
      grant(news, next_hop, request.value(HeaderName::To), now, outbox);
    }
    return false;
  });
}

void Registrations::grant(Announcement news, std::uint16_t next_hop, std::string_view to,
                          Instant now, Outbox& outbox) {
  const UserAgent* known = agents_.get(agents_.find(news.user_agent));
  if (known && is_older(*known, news)) return;
  news.kind = Announcement::Kind::UserAgentHere;
  news.alias = known && known->aor_hash != 0 ? known->alias : uses_alias(next_hop, news.user_agent);
  announce(news, outbox);
  here(news, now);
  set_name(news.user_agent, to);
}

// Whoever registers one account under many addresses-of-record shows the same credentials each
// time. Those of which nobody can tell whose they are count as one account. 0: none.
std::uint64_t Registrations::credentials_hash(const sip::MessageView& request,
                                              std::uint16_t group) const {
  const sip::DigestUser user = sip::digest_user(request);
  if (user.kind == sip::DigestUser::Kind::None) return 0;
  std::array<std::uint8_t, sip::kUriBytesMax> memory;
  Writer text(memory);
  for (const char c : user.username) text.character(ascii::to_lower(c));
  text.character('\n').text(user.realm);
  return keyed_by(agents_.hash_text(text.written_text()) | 1, group);
}

void Registrations::set_name(std::uint64_t user_agent, std::string_view to) {
  UserAgent* agent = agents_.get(agents_.find(user_agent));
  const auto parsed = sip::parse_name_addr(to);
  if (!agent || !parsed) return;
  std::array<std::uint8_t, sip::kUriBytesMax> memory;
  Writer text(memory);
  text.text(parsed->uri.user).character('@').text(parsed->uri.host);
  const std::string_view name = text.written_text().substr(0, UserAgent::kNameMax);
  std::copy(name.begin(), name.end(), agent->name_text.begin());
  agent->name_size = static_cast<std::uint8_t>(name.size());
}

std::vector<AgentInfo> Registrations::list(std::size_t max, Instant now) const {
  std::vector<AgentInfo> result;
  for (std::uint32_t slot = 0; slot < agents_.used_slots() && result.size() < max; ++slot) {
    const UserAgent* agent = agents_.at(slot);
    if (!agent || agent->name_size == 0) continue;
    AgentInfo info{agent->name(), agent->source, {}, agent->away, agent->expires - now};
    if (agent->group != 0 && agent->group <= core_.config.next_hops.size()) {
      info.next_hop = core_.config.next_hops[agent->group - 1u].name;
    }
    result.push_back(info);
  }
  return result;
}

std::uint32_t Registrations::forget(std::string_view aor, Outbox& outbox) {
  std::uint32_t count = 0;
  for (std::uint32_t slot = 0; slot < agents_.used_slots(); ++slot) {
    const UserAgent* agent = agents_.at(slot);
    if (!agent || agent->name_size == 0 ||
        agent->name() != aor.substr(0, UserAgent::kNameMax)) {
      continue;
    }
    Announcement news;
    news.kind = Announcement::Kind::UserAgentGone;
    news.user_agent = agent->hash;
    announce(news, outbox);
    gone(agents_.id_at(slot), agent->away);
    ++count;
  }
  return count;
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
      if (agent && !is_older(*agents_.get(agent), news)) gone(agent, agents_.get(agent)->away);
      return;
    case Announcement::Kind::FlowGone:
    case Announcement::Kind::NextHopTcp:
    case Announcement::Kind::MediaProfile:
      return;
  }
}

void Registrations::here(const Announcement& news, Instant now) {
  const SlotId id = agents_.take(news.user_agent);
  if (!id) return;
  UserAgent& agent = *agents_.get(id);
  if (is_older(agent, news)) return;
  const FlowId old_flow = agent.source.flow;
  const bool moved = agent.away || old_flow != news.flow ||
                     agent.source.remote != news.source.remote ||
                     agent.contact_hash != news.contact;
  agent.name_size = 0;
  agent.call_id_hash = news.call_id;
  agent.cseq = news.cseq;
  agent.group = news.group;
  agent.alias = news.alias;
  if (news.credentials != 0) agent.credentials_hash = news.credentials;
  agents_.set_aor(id, news.aor);
  agents_.set_contact(id, news.contact);
  agents_.set_source(id, news.source.transport == Transport::Udp ? source_hash(news.source) : 0);
  unlink_from_flow(id);
  agent.source = news.source;
  agent.away = false;
  agent.expires = now + std::chrono::seconds(news.expires_seconds) + kExpirySlack;
  core_.wheel.cancel(agent.timer);
  agent.timer = core_.wheel.arm(agent.expires, subject_value(Subject::UserAgent, id));
  link_to_flow(id);
  core_.counters.bindings.set(agents_.size());
  if (moved || agent.first_waiting) changes_.push_back({Change::Kind::Here, id, false, old_flow});
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
  changes_.push_back({Change::Kind::Away, id, false, agent.source.flow});
}

void Registrations::expired(SlotId id) {
  UserAgent* agent = agents_.get(id);
  if (!agent) return;
  agent->timer = 0;
  // A phone on UDP that registers no more cannot be reached either; a flow that stands still can.
  gone(id, agent->away || !agent->source.flow);
}

void Registrations::gone(SlotId id, bool left) {
  changes_.push_back({Change::Kind::Gone, id, left, {}});
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

void Registrations::ask(std::uint64_t user_agent, SlotId id) {
  UserAgent* agent = agents_.get(agents_.find(user_agent));
  if (!agent) return;
  ResponseContext& context = *contexts_.find(id);
  context.asker_away = true;
  context.asker = user_agent;
  context.next_asking = agent->first_asking;
  agent->first_asking = id;
}

void Registrations::stop_asking(const ResponseContext& context, SlotId id) {
  UserAgent* agent = agents_.get(agents_.find(context.asker));
  SlotId* link = agent ? &agent->first_asking : nullptr;
  while (link && *link && !(*link == id)) {
    ResponseContext* other = contexts_.find(*link);
    link = other ? &other->next_asking : nullptr;
  }
  if (link && *link) *link = context.next_asking;
}

SlotId Registrations::take_asking(SlotId agent) {
  return std::exchange(agents_.get(agent)->first_asking, {});
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
