#include "gateway/core/calls.h"

#include "gateway/call/release.h"
#include "gateway/call/session_timer.h"
#include "gateway/nat/flow_token.h"
#include "protocol/sip/name_addr.h"
#include "protocol/sip/parse.h"

namespace ringway {
namespace {

using sip::HeaderName;
using sip::Method;

CallTimes times_of(const TimersConfig& timers) {
  CallTimes times;
  times.setup = timers.timer_c + 64 * timers.t1;
  times.grace = timers.grace;
  times.longest = timers.call_longest;
  times.tombstone = 64 * timers.t1;
  return times;
}

Target target_of(const Source& source) {
  Target target;
  target.to_access = true;
  target.aim_at(source);
  return target;
}

// The SIP server that a request came from.
Target server_of(const ResponseContext& context) {
  Target target = target_of(context.source);
  target.to_access = false;
  target.next_hop = context.peer_next_hop;
  return target;
}

std::uint64_t owner_key(const Target& target) {
  if (!target.to_access) return 0;
  return target.user_agent != 0 ? target.user_agent : target.flow.value();
}

// Whose media sessions ours are, the same after a restart: all who share a key; owner_of_node()
// tells them apart. Without a key file it is whoever listens at these addresses of this machine.
std::uint32_t gateways_of(const Services& core) {
  const HashKey fixed{};
  std::uint64_t hash = keyed_hash(fixed, core.config.host_name);
  if (!core.config.key_file.empty()) {
    hash = keyed_hash(core.hash_key, "media sessions");
  } else {
    for (const ListenerInfo& listener : core.listeners) {
      hash = hash * 31 ^ keyed_hash(fixed, text_of(listener.local));
    }
  }
  return static_cast<std::uint32_t>(hash ^ hash >> 32);
}

}  // namespace

RelayOwner Calls::owner_of_node(std::uint8_t node) const {
  return {gateways_ ^ node * 0x9e37'79b9U, core_.shard};
}

Calls::Calls(Services& core, Flows& flows, Registrations& registrations, RelaySet& relays)
    : core_(core),
      flows_(flows),
      registrations_(registrations),
      relays_(relays),
      table_(core.config.limits.dialogs, times_of(core.config.timers), core.hash_key, core.wheel,
             core.buffers, core.counters),
      guests_(core.hash_key, core.config.limits.guest_media_per_flow,
              core.config.limits.guest_media_per_source),
      gateways_(gateways_of(core)) {
  for (const RelayConfig& relay : core.config.media.relays) {
    relay_names_.push_back(text_of(relay.address));
  }
}

// --- The INVITE that makes it ------------------------------------------------------------------

bool Calls::open(SlotId id, ResponseContext& context, const Incoming& in, std::uint64_t pass,
                 bool from_network, Instant now) {
  pass ^= keyed_hash(core_.hash_key, in.essentials.from_tag) * 31;
  CallTable::Opening opening;
  for (int attempt = 0; attempt < 3; ++attempt, pass = core_.random.next()) {
    opening = table_.open(in.view, in.essentials, make_leg(pass), now);
    if (opening.outcome != CallTable::Opened::Taken) break;
  }
  if (opening.outcome != CallTable::Opened::New && opening.outcome != CallTable::Opened::Again) {
    core_.log.warning("call_table_full", {{"call_id", in.essentials.call_id},
                                          {"advice", "raise limits.dialogs"}});
    return false;
  }
  Call& call = *get(opening.call);
  context.call = opening.call;
  context.leg = call.leg;
  context.call_new = true;
  call.context = id;
  call.media_node = core_.node;
  set_caller(opening.call, context, in, from_network);
  return true;
}

void Calls::set_caller(SlotId id, const ResponseContext& context, const Incoming& in,
                       bool from_network) {
  Target target = from_network ? server_of(context) : target_of(context.source);
  if (!from_network) {
    target.user_agent =
        registrations_.user_agent_of(context.source, in.view.value(HeaderName::From));
  }
  table_.set_party(id, Party::Caller, target, owner_key(target), contact_of(target.user_agent));
  get(id)->party(Party::Caller).account = account_of(target.user_agent);
}

void Calls::set_callee(ResponseContext& context) {
  Call* call = get(context.call);
  if (!call || !context.call_new) return;
  const Target& target = context.target;
  if (call->media.state() == MediaSession::State::Idle) {  // the relay knows it by its leg
    call->leg = with_access(call->leg, target.to_access ? Party::Callee : Party::Caller);
  }
  context.leg = call->leg;
  table_.set_party(context.call, Party::Callee, target, owner_key(target),
                   contact_of(target.user_agent));
  call->party(Party::Callee).account = account_of(target.user_agent);
}

std::uint64_t Calls::contact_of(std::uint64_t user_agent) {
  if (user_agent == 0) return 0;
  const UserAgent* agent = registrations_.get(registrations_.find(user_agent));
  return agent ? agent->contact_hash : 0;
}

Account Calls::account_of(std::uint64_t user_agent) {
  if (user_agent == 0) return {};
  const UserAgent* agent = registrations_.get(registrations_.find(user_agent));
  return agent ? agent->account() : Account{};
}

SlotId Calls::progress(ResponseContext& context, const Incoming& response, Instant now) {
  Call* call = get(context.call);
  if (!call || !call->is_live()) return {};
  const SlotId dialog =
      table_.invite_response(context.call, response.view, response.essentials,
                             routes_beyond(response.view, call->leg), now);
  if (sip::is_success(response.view.status())) {
    follow_session_as_asked(context, dialog, response.view, now);
  }
  if (call->state == CallState::Answered) {
    context.call_new = false;
    guests_.give_back(call->guest);
  }
  return dialog;
}

// A callee that knows no session timers: ResponseWriter has told the caller to refresh.
void Calls::follow_session_as_asked(const ResponseContext& context, SlotId dialog,
                                    const sip::MessageView& response, Instant now) {
  if (!context.session_timer || response.has(HeaderName::SessionExpires)) return;
  if (!sip::parse_message(context.request.bytes(), sip::Framing::Datagram, request_)) return;
  table_.set_session_end(context.call, dialog, session_end(request_, now));
}

// How many Record-Route values stand above ours of this pass: those of the callee's side.
std::size_t Calls::routes_beyond(const sip::MessageView& response, CallLeg leg) const {
  std::size_t count = 0;
  for (const sip::Header* header = response.find(HeaderName::RecordRoute); header;
       header = response.next(header)) {
    sip::ListCursor values(response.text(header->value));
    while (const auto value = values.next()) {
      const auto parsed = sip::parse_name_addr(*value);
      if (parsed && core_.own.is_own(parsed->uri)) {
        const auto token = read_flow_token(parsed->uri.user, core_.mac,
                                           response.value(HeaderName::CallId));
        if (token && pass_of(token->leg) == pass_of(leg)) return count;
      }
      ++count;
    }
  }
  return 0;
}

// How many Route values of ours stand in front of others.
std::size_t Calls::own_routes(const sip::MessageView& request) const {
  std::size_t count = 0;
  for (const sip::Header* header = request.find(HeaderName::Route); header;
       header = request.next(header)) {
    sip::ListCursor values(request.text(header->value));
    while (const auto value = values.next()) {
      const auto parsed = sip::parse_name_addr(*value);
      if (!parsed || !core_.own.is_own(parsed->uri)) return count;
      ++count;
    }
  }
  return count;
}

void Calls::refused(ResponseContext& context, sip::Status status, CallEnder by,
                    CallEndReason reason, Instant now, Outbox& outbox) {
  if (!context.call_new) return;
  context.call_new = false;
  const SlotId id = context.call;
  Call* call = get(id);
  if (!call) return;
  if (by == CallEnder::NextHop && call->party(Party::Callee).target.to_access) {
    by = CallEnder::Callee;
  }
  table_.invite_refused(id, status, by, reason, now);
  // Who was challenged may never come back: the relay's ports are not his until he does.
  if (call->state == CallState::Challenged && call->guest.source != 0) {
    guests_.give_back(call->guest);
    call->media.drop();
    give_up_waiting(*call);
    drive_media(id, now, outbox);
  }
  after_end(id, now, outbox);
}

// --- In a dialog -------------------------------------------------------------------------------

void Calls::note_request(ResponseContext& context, const Incoming& in,
                         const RoutePreprocess& route, Instant now) {
  if (!route.in_dialog || route.leg == 0) return;
  const Party access = access_party(route.leg);
  const Party from = route.towards_access ? other(access) : access;
  context.from = from;
  SlotId id = table_.find(in.essentials.call_id, route.leg);
  if (!id) {
    take_up(context, in, route, from, now);
    id = context.call;
  }
  Call* call = get(id);
  if (!call || !call->is_live()) {  // what is over is not woken
    context.media = false;
    context.late = true;
    return;
  }
  context.call = id;
  context.media = call->media.used;
  context.dialog = table_.request_passes(id, from, in.essentials);
  table_.heard_on(id, from, context.source.flow);
  const Dialog* dialog = table_.dialog(context.dialog);
  if (dialog && dialog->target_proven[index_of(other(from))]) {
    context.far_end = dialog->remote_target[index_of(other(from))];
  }
  const Target& far = call->party(other(from)).target;
  if (!far.to_access && far.next_hop != Target{}.next_hop) context.target.next_hop = far.next_hop;
  // Behind a NAT that has moved it, a phone is where its newest message came from.
  CallParty& party = call->party(from);
  if (context.dialog && party.target.to_access && context.source.transport == Transport::Udp &&
      party.target.transport == Transport::Udp && !party.target.flow) {
    party.target.remote = context.source.remote;
    party.target.listener = context.source.listener;
  }
}

void Calls::take_up(ResponseContext& context, const Incoming& in, const RoutePreprocess& route,
                    Party from, Instant now) {
  if (context.method == Method::Cancel || context.method == Method::Ack) return;
  const SlotId id = table_.adopt(in.view, in.essentials, route.leg, from, now);
  if (!id) return;
  context.call = id;
  Call& call = *get(id);
  const Party access = access_party(route.leg);
  if (route.media && relays_.configured()) {
    call.media.adopt();
    call.media.relay = route.access ? route.access->relay : 0;
    static_cast<void>(use_media(call, MediaLeg::Plain, MediaLeg::Plain, now));
  }
  if (from != access) table_.set_party(id, from, server_of(context), 0, 0);
  if (!route.access) return;
  const FlowToken& token = *route.access;
  call.media_node = token.node;
  Target target = target_of(context.source);
  if (from != access) {
    // Of a run that had more of them: nobody is reached there.
    if (token.listener >= core_.listeners.size()) return;
    target.listener = token.listener;
    target.flow = core_.is_of_this_run(token) ? token.flow : FlowId{};
    target.transport = core_.listener(token.listener).transport;
    if (token.remote) target.remote = *token.remote;
  }
  call.media_legs[index_of(access)] = media_leg_of(token.access_profile);
  call.media_legs[index_of(other(access))] = media_leg_of(token.network_profile);
  target.user_agent = token.user_agent;
  const UserAgent* agent = registrations_.get(registrations_.find(token.user_agent));
  const bool here = agent && !agent->away;
  if (here) target.aim_at(agent->source);
  table_.set_party(id, access, target, owner_key(target), agent ? agent->contact_hash : 0);
  call.party(access).account = account_of(token.user_agent);
  const bool reachable = here || from == access || token.remote ||
                         (target.flow && (!flows_.is_own(target.flow) || flows_.find(target.flow)));
  if (!reachable) table_.party_away(id, access, now);
}

void Calls::note_answer(ResponseContext& context, const sip::MessageView* response,
                        sip::Status status, Instant now, Outbox& outbox) {
  if (!context.call || !context.dialog || status < 200) return;
  const SlotId id = context.call;
  bool over = false;
  if (response) table_.heard_on(id, other(context.from), context.target.flow);
  const bool refreshes = context.method == Method::Invite || context.method == Method::Update;
  const Call* call = get(id);
  const bool learns = response && call && (call->adopted || (refreshes && sip::is_success(status)));
  if (learns && sip::parse_message(context.request.bytes(), sip::Framing::Datagram, request_)) {
    if (call->adopted) {
      table_.far_side_answered(id, context.dialog, context.from, request_, own_routes(request_));
    }
    over = table_.request_answered(id, context.dialog, context.from, request_, *response, now);
    if (!over && refreshes && sip::is_success(status)) {
      follow_session_as_asked(context, context.dialog, *response, now);
    }
  } else {
    over = table_.request_failed(id, context.dialog, context.from, context.method, status, now);
  }
  if (over) after_end(id, now, outbox);
}

void Calls::correct_target(const ResponseContext& context, Target& target) const {
  const Call* call = table_.get(context.call);
  if (!call || context.call_new || !target.to_access) return;
  const CallParty& party = call->party(other(context.from));
  const Target& known = party.target;
  if (target.flow) {
    // A dialog stays on its flow while that lives (RFC 5626 5.3); but who has spoken on a newer one
    // may have lost the other without our knowing.
    if (!party.heard_on || party.heard_on != known.flow || party.away) return;
    return target.aim_at(known);
  }
  if (known.to_access && known.transport == Transport::Udp && known.remote.port != 0) {
    target.remote = known.remote;
    target.listener = known.listener;
  }
}

bool Calls::is_repeated_success(const ResponseContext& context, const Incoming& response) const {
  const SlotId at = table_.find_dialog(context.call, response.essentials.from_tag,
                                       response.essentials.to_tag);
  const Dialog* dialog = const_cast<CallTable&>(table_).dialog(at);
  return context.initial && dialog && dialog->state == DialogState::Confirmed;
}

// --- Ends --------------------------------------------------------------------------------------

std::optional<Calls::Release> Calls::next_release() {
  if (next_release_ == releases_.size()) {
    releases_.clear();
    next_release_ = 0;
    return std::nullopt;
  }
  return std::move(releases_[next_release_++]);
}

void Calls::end(SlotId id, CallEnder by, CallEndReason reason, Instant now, Outbox& outbox) {
  table_.end(id, by, reason, now);
  after_end(id, now, outbox);
}

std::optional<SlotId> Calls::next_unwatched() {
  if (unwatched_.empty()) return std::nullopt;
  const SlotId watch = unwatched_.back();
  unwatched_.pop_back();
  return watch;
}

// Who waited for the relay is told that nothing will come: a request that hangs in the air would
// stay for ever.
void Calls::give_up_waiting(Call& call) {
  while (const auto context = call.media.next_abandoned()) {
    media_.push_back({*context, MediaCommand::Answer, false, {}, false});
  }
}

// Its media session is deleted, and it is told: with what the relay counted, where that answers.
void Calls::after_end(SlotId id, Instant now, Outbox& outbox) {
  Call* call = get(id);
  if (!call || call->is_live()) return;
  give_up_waiting(*call);
  guests_.give_back(call->guest);
  if (call->watch) unwatched_.push_back(std::exchange(call->watch, {}));
  if (std::exchange(call->counted, false)) core_.counters.media_sessions.subtract();
  drive_media(id, now, outbox);
  call = get(id);
  if (call && !call->media.is_busy()) tell(id, {});
}

void Calls::deadline(SlotId id, Instant now, Outbox& outbox) {
  switch (table_.due(id, now)) {
    case CallTable::Due::Nothing:
      return;
    case CallTable::Due::PartyLost:
      if (const auto lost = table_.lost_party(id, now)) release_lost(id, *lost, now, outbox);
      return;
    case CallTable::Due::SetupOver: {
      const SlotId context = get(id)->context;
      if (!context) return end(id, CallEnder::Gateway, CallEndReason::NoAnswer, now, outbox);
      table_.wait_for_invite(id, now);
      return releases_.push_back({Release::Kind::Cancel, context, {}, {}, {}, false});
    }
    case CallTable::Due::ChallengeOver:
      return end(id, CallEnder::Caller, CallEndReason::Challenged, now, outbox);
    case CallTable::Due::SessionOver:  // RFC 4028 8.3: a proxy sends no BYE
      return end(id, CallEnder::Gateway, CallEndReason::SessionExpired, now, outbox);
    case CallTable::Due::TooLong:
      return release(id, Sides::Both, CallEndReason::TooLong, now, outbox);
    case CallTable::Due::TombstoneOver:
      tell(id, {});
      return table_.release(id);
  }
}

void Calls::release_lost(SlotId id, Party lost, Instant now, Outbox& outbox) {
  const Call& call = *get(id);
  const bool replaced = call.party(lost).replaced;
  const CallEndReason reason = replaced ? CallEndReason::Replaced : CallEndReason::FlowLost;
  if (call.state == CallState::Answered) {
    return release(id, lost == Party::Caller ? Sides::Callee : Sides::Caller, reason, now, outbox);
  }
  const SlotId context = call.context;
  if (!context) return end(id, CallEnder::Gateway, reason, now, outbox);
  table_.wait_for_invite(id, now);
  const auto kind = lost == Party::Caller ? Release::Kind::Cancel : Release::Kind::Refuse;
  releases_.push_back({kind, context, {}, {}, {}, false});
}

void Calls::release(SlotId id, Sides sides, CallEndReason reason, Instant now, Outbox& outbox) {
  Call* call = get(id);
  if (!call || !call->is_live()) return;
  core_.counters.released_calls.add();
  core_.log.info("call_released", {{"call_id", call->call_id()},
                                   {"from", call->from()},
                                   {"to", call->to()},
                                   {"reason", to_text(reason)}});
  if (core_.config.timers.release_after_grace || reason == CallEndReason::Command) {
    const std::string_view text = reason == CallEndReason::TooLong ? "Longest duration reached"
                                  : reason == CallEndReason::NoMedia ? "No media relay"
                                  : reason == CallEndReason::Command ? "Ended by the operator"
                                                                     : "Connection lost";
    if (sides != Sides::Callee && sides != Sides::None) add_byes(*call, Party::Caller, text);
    if (sides != Sides::Caller && sides != Sides::None) add_byes(*call, Party::Callee, text);
  }
  end(id, CallEnder::Gateway, reason, now, outbox);
}

void Calls::end_now(SlotId id, CallEndReason reason, Instant now, Outbox& outbox) {
  const Call* call = get(id);
  if (!call || !call->is_live()) return;
  if (call->state == CallState::Answered) {
    return release(id, Sides::Both, reason, now, outbox);
  }
  const SlotId context = call->context;
  if (!context) return end(id, CallEnder::Gateway, reason, now, outbox);
  table_.wait_for_invite(id, now);
  releases_.push_back({Release::Kind::Cancel, context, {}, {}, {}, false});
}

// One for each dialog that stands (RFC 3261 15).
void Calls::add_byes(Call& call, Party towards, std::string_view text) {
  const CallParty& party = call.party(towards);
  if (party.away) return;  // nobody is there to hear it
  for (SlotId at = call.first_dialog; Dialog* dialog = table_.dialog(at); at = dialog->next) {
    if (dialog->state != DialogState::Confirmed) continue;
    if (std::exchange(dialog->released[index_of(towards)], true)) continue;
    BufferRef message = write_bye(call, *dialog, towards, 480, text, core_.buffers);
    if (!message) continue;
    const std::size_t side = index_of(towards);
    releases_.push_back({Release::Kind::Bye,
                         {},
                         std::move(message),
                         dialog->target_proven[side] ? dialog->remote_target[side] : BufferRef{},
                         party.target,
                         party.target.to_access});
  }
}

void Calls::tell(SlotId id, const MediaTotals& totals) {
  Call* call = get(id);
  if (!call || call->told) return;
  write_call_ended(*call, {next_hop_name(*call), relay_name(*call)}, totals, core_.log);
}

std::string_view Calls::next_hop_name(const Call& call) const {
  const std::uint16_t next_hop = call.party(Party::Callee).target.next_hop;
  const auto& next_hops = core_.config.next_hops;
  return next_hop < next_hops.size() ? std::string_view(next_hops[next_hop].name)
                                     : std::string_view{};
}

std::string_view Calls::relay_name(const Call& call) const {
  return call.media.used && call.media.relay < relay_names_.size()
             ? std::string_view(relay_names_[call.media.relay])
             : std::string_view{};
}

// --- Who goes and who comes --------------------------------------------------------------------

void Calls::agent_away(const UserAgent& agent, Instant now) {
  table_.owner_away(agent.hash, now);
}

void Calls::agent_here(const UserAgent& agent, Instant now) {
  Target target = target_of(agent.source);
  target.user_agent = agent.hash;
  table_.owner_back(agent.hash, target, agent.contact_hash, now);
}

void Calls::agent_gone(const UserAgent& agent, bool left, Instant now) {
  if (left) return table_.owner_gone(agent.hash, now);
  // It only took its binding back: its calls go on over the flow that it still has.
  table_.rename_owner(agent.hash, agent.source.flow.value());
}

std::vector<SlotId> Calls::all() const {
  std::vector<SlotId> result;
  for (std::uint32_t slot = 0; slot < table_.used_slots(); ++slot) {
    const Call* call = table_.at(slot);
    if (call && call->is_live()) result.push_back(table_.id_at(slot));
  }
  return result;
}

std::vector<CallInfo> Calls::list(std::size_t max, Instant now) const {
  std::vector<CallInfo> result;
  for (std::uint32_t slot = 0; slot < table_.used_slots() && result.size() < max; ++slot) {
    const Call* call = table_.at(slot);
    if (!call || !call->is_live()) continue;
    CallInfo info;
    info.call_id = call->call_id();
    info.from = call->from();
    info.to = call->to();
    info.state = to_text(call->state);
    const Target& caller = call->party(Party::Caller).target;
    const Target& callee = call->party(Party::Callee).target;
    info.transport = caller.transport;
    info.next_hop = next_hop_name(*call);
    info.flow = caller.to_access ? caller.flow : callee.flow;
    info.dialogs = table_.confirmed_dialogs(table_.id_at(slot));
    info.media = call->media.used;
    info.relay = relay_name(*call);
    info.away = call->parties[0].away || call->parties[1].away;
    info.resumed = call->adopted;
    info.age = now - (call->state == CallState::Answered ? call->answered_at : call->since);
    result.push_back(info);
  }
  return result;
}

}  // namespace ringway
