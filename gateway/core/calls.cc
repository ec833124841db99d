#include "gateway/core/calls.h"

#include <array>

#include "gateway/base/subject.h"
#include "gateway/nat/flow_token.h"
#include "protocol/sip/header_values.h"
#include "protocol/sip/limits.h"
#include "protocol/sip/name_addr.h"

namespace ringway {
namespace {

using sip::HeaderName;

// A client that was challenged answers within that time, or not at all.
constexpr Duration kChallengeAnswered = 10s;

std::string_view uri_of(std::string_view name_addr) {
  const auto parsed = sip::parse_name_addr(name_addr);
  return parsed ? parsed->uri.text : std::string_view{};
}

std::string_view first_contact_uri(const sip::MessageView& message) {
  const sip::Header* header = message.find(HeaderName::Contact);
  if (!header) return {};
  sip::ListCursor values(message.text(header->value));
  const auto value = values.next();
  return value ? uri_of(*value) : std::string_view{};
}

}  // namespace

Calls::Calls(Services& core, Flows& flows, Registrations& registrations, RelaySet& relays)
    : core_(core),
      flows_(flows),
      registrations_(registrations),
      relays_(relays),
      table_(core.config.limits.dialogs, core.hash_key, core.counters) {}

// Call-ID, caller's tag, From URI and To URI, with their sizes in call.
BufferRef Calls::write_names(const Incoming& in, Call& call) {
  const std::string_view call_id = in.essentials.call_id, tag = in.essentials.from_tag;
  const std::string_view from = uri_of(in.view.value(HeaderName::From)).substr(0, 256);
  const std::string_view to = uri_of(in.view.value(HeaderName::To)).substr(0, 256);
  BufferRef names = core_.buffers.take(call_id.size() + tag.size() + from.size() + to.size());
  if (!names) return {};
  Writer out(names.space());
  out.text(call_id).text(tag).text(from).text(to);
  names.set_size(out.size());
  call.call_id_size = static_cast<std::uint16_t>(call_id.size());
  call.tag_size = static_cast<std::uint16_t>(tag.size());
  call.from_size = static_cast<std::uint16_t>(from.size());
  call.to_size = static_cast<std::uint16_t>(to.size());
  return names;
}

bool Calls::open(SlotId id, ResponseContext& context, const Incoming& in) {
  const std::string_view call_id = in.essentials.call_id;
  // It keeps its leg, so that the relay sees one session with one DTLS handshake. Another pass, or
  // a fork of the registrar's to another browser, has a leg of its own.
  std::uint64_t pass =
      keyed_hash(core_.hash_key, in.essentials.from_tag) ^ (context.target.to_access ? 1 : 0);
  if (context.target.to_access) pass ^= context.target.flow.value() * 0x9e3779b97f4a7c15;
  context.leg = static_cast<std::uint16_t>(pass >> 16) | 1U;  // as wide as in a token
  const bool access_is_caller = !context.target.to_access;
  const std::uint32_t access_cseq = access_is_caller ? in.essentials.cseq.number : 0;
  if (const SlotId known = find(call_id, context.leg)) {
    Call& call = *get(known);
    if (call.state != Call::State::Answered && !call.context && call.media == context.media) {
      core_.wheel.cancel(call.timer);
      call.context = id;
      call.access_cseq = access_cseq;
      context.call = known;
      context.call_new = true;
      return true;
    }
    context.leg = static_cast<std::uint16_t>(core_.random.next()) | 1U;
  }
  Call sizes;
  BufferRef names = write_names(in, sizes);
  const SlotId place = names ? table_.take(call_id, context.leg) : SlotId{};
  if (!place) {
    core_.log.warning("call_table_full", {{"call_id", call_id}});
    return false;
  }
  Call& call = *get(place);
  call.names = std::move(names);
  call.call_id_size = sizes.call_id_size;
  call.tag_size = sizes.tag_size;
  call.from_size = sizes.from_size;
  call.to_size = sizes.to_size;
  call.access_is_caller = access_is_caller;
  call.media = context.media;
  if (call.media) {
    call.relay = relays_.choose();
    core_.counters.media_sessions.add();
  }
  call.access_cseq = access_cseq;
  call.flow = access_is_caller ? context.source.flow : context.target.flow;
  call.user_agent = access_is_caller ? registrations_.user_agent_of(context.source,
                                                                    in.view.value(HeaderName::From))
                                     : context.target.user_agent;
  call.context = id;
  context.call = place;
  context.call_new = true;
  own(place);
  return true;
}

void Calls::progress(ResponseContext& context, const sip::MessageView& request,
                     const sip::MessageView& response, Instant now) {
  Call* call = get(context.call);
  if (!call) return;
  if (call->since == Instant{}) call->since = now;
  if (sip::is_provisional(response.status())) {
    if (call->state == Call::State::Trying) call->state = Call::State::Ringing;
    return;
  }
  if (!sip::is_success(response.status()) || call->state == Call::State::Answered) return;
  call->state = Call::State::Answered;
  call->since = now;
  call->context = {};
  context.call_new = false;
  call->bye = write_bye_template(*call, request, response);
}

void Calls::challenged(SlotId id, Instant now) {
  Call* call = get(id);
  if (!call) return;
  call->context = {};
  core_.wheel.cancel(call->timer);
  call->timer = core_.wheel.arm(now + kChallengeAnswered, subject_value(Subject::Call, id));
}

// What a BYE of the access side towards the far end looks like (RFC 3261 12.2.1.1), without CSeq:
// Request-URI is the far end's Contact, Route the Record-Route set without this pass's.
BufferRef Calls::write_bye_template(const Call& call, const sip::MessageView& request,
                                    const sip::MessageView& response) {
  const bool caller = call.access_is_caller;
  const sip::MessageView& far = caller ? response : request;
  const std::string_view remote_target = first_contact_uri(far);
  if (remote_target.empty()) return {};

  std::array<std::string_view, sip::kRouteCountMax> routes;
  std::size_t count = 0;
  for (const sip::Header* header = far.find(HeaderName::RecordRoute); header;
       header = far.next(header)) {
    sip::ListCursor values(far.text(header->value));
    while (const auto value = values.next()) {
      const auto parsed = sip::parse_name_addr(*value);
      // Another pass of ours stays: the call may come round to another of our user agents.
      const auto token = parsed && core_.own.is_own(parsed->uri)
                             ? read_flow_token(parsed->uri.user, core_.mac, call.call_id())
                             : std::nullopt;
      const bool ours = token && token->leg == call.leg;
      if (!ours && count < routes.size()) routes[count++] = *value;
    }
  }
  BufferRef buffer = core_.buffers.take(far.headers_end() + 1024);
  if (!buffer) return {};
  Writer out(buffer.space());
  out.text("BYE ").text(remote_target).text(" SIP/2.0\r\n");
  for (std::size_t i = 0; i < count; ++i) {  // a caller reverses the set (12.1.2)
    out.text("Route: ").text(routes[caller ? count - 1 - i : i]).text("\r\n");
  }
  const std::string_view local = response.value(caller ? HeaderName::From : HeaderName::To);
  const std::string_view remote = response.value(caller ? HeaderName::To : HeaderName::From);
  out.text("From: ").text(local).text("\r\nTo: ").text(remote);
  out.text("\r\nCall-ID: ").text(response.value(HeaderName::CallId)).text("\r\n");
  if (out.overflowed()) return {};
  buffer.set_size(out.size());
  return buffer;
}

BufferRef Calls::write_bye(const Call& call) {
  if (!core_.config.timers.release_after_grace || !call.bye) return {};
  BufferRef message = core_.buffers.take(call.bye.size() + 256);
  if (!message) return {};
  Writer out(message.space());
  out.bytes(call.bye.bytes()).text("CSeq: ").number(call.access_cseq + 1).text(" BYE\r\n");
  out.text("Max-Forwards: 70\r\n");
  out.text("Reason: SIP;cause=480;text=\"Connection lost\"\r\nContent-Length: 0\r\n\r\n");
  if (out.overflowed()) return {};
  message.set_size(out.size());
  return message;
}

void Calls::delete_media(Call& call, Instant now, Outbox& outbox) {
  if (!call.media) return;
  call.media = false;
  core_.counters.media_sessions.subtract();
  RelayRequest request;
  request.command = RelayCommand::Delete;
  request.call_id = call.call_id();
  request.leg = call.leg;
  request.from_tag = call.from_tag();
  relays_.send(call.relay, request, {}, now, outbox);
}

void Calls::delete_media_of(std::string_view call_id, std::uint32_t leg, Instant now,
                            Outbox& outbox) {
  RelayRequest request;
  request.command = RelayCommand::Delete;
  request.call_id = call_id;
  request.leg = leg;
  relays_.send(relays_.choose(), request, {}, now, outbox);
}

void Calls::end(SlotId id, Instant now, Outbox& outbox) {
  Call* call = get(id);
  if (!call) return;
  delete_media(*call, now, outbox);
  core_.wheel.cancel(call->timer);
  disown(id);
  table_.release(id);
}

Calls::Release Calls::release(SlotId id, Instant now, Outbox& outbox) {
  Call* call = get(id);
  if (!call) return {};
  if (call->state != Call::State::Answered && call->context) {
    return {std::exchange(call->context, {}), {}};
  }
  if (call->state != Call::State::Answered) {
    end(id, now, outbox);
    return {};
  }
  core_.counters.released_calls.add();
  core_.log.info("call_released", {{"call_id", call->call_id()},
                                   {"from", call->from()},
                                   {"to", call->to()},
                                   {"reason", "the browser is gone"}});
  Release release{{}, write_bye(*call)};
  end(id, now, outbox);
  return release;
}

std::vector<SlotId> Calls::all() const {
  std::vector<SlotId> result;
  for (std::uint32_t slot = 0; slot < table_.used_slots(); ++slot) {
    if (table_.at(slot)) result.push_back(table_.id_at(slot));
  }
  return result;
}

std::vector<CallInfo> Calls::list(std::size_t max, Instant now) const {
  std::vector<CallInfo> result;
  for (std::uint32_t slot = 0; slot < table_.used_slots() && result.size() < max; ++slot) {
    const Call* call = table_.at(slot);
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

// --- Whose call it is --------------------------------------------------------------------------

SlotId* Calls::owner_head(Call& call) {
  if (call.owned_by_agent) {
    UserAgent* agent = registrations_.get(registrations_.find(call.user_agent));
    return agent ? &agent->first_call : nullptr;
  }
  if (!call.owned_by_flow) return &unowned_;
  FlowState* flow = flows_.find_ended(call.flow);
  return flow ? &flow->first_call : nullptr;
}

void Calls::flow_ended(const FlowState& state, Instant now) {
  for (SlotId id = state.first_call; Call* call = get(id); id = call->next_of_owner) {
    start_grace(id, now);
  }
}

void Calls::remote_flow_ended(FlowId flow, Instant now) {
  for (SlotId id = unowned_; Call* call = get(id); id = call->next_of_owner) {
    if (call->flow == flow) start_grace(id, now);
  }
}

void Calls::keep_on_flow(SlotId id) {
  UserAgent& agent = *registrations_.get(id);
  while (agent.first_call) {
    const SlotId call = agent.first_call;
    disown(call);
    get(call)->user_agent = 0;
    get(call)->flow = agent.source.flow;
    own(call);
  }
}

void Calls::start_grace(SlotId id, Instant now) {
  Call& call = *get(id);
  core_.wheel.cancel(call.timer);
  call.timer = core_.wheel.arm(now + core_.config.timers.grace, subject_value(Subject::Call, id));
}

void Calls::own(SlotId id) {
  Call& call = *get(id);
  call.owned_by_agent = call.owned_by_flow = false;
  if (call.user_agent != 0 && registrations_.find(call.user_agent)) {
    call.owned_by_agent = true;
  } else if (flows_.find(call.flow)) {
    call.owned_by_flow = true;
  }
  SlotId* head = owner_head(call);
  call.next_of_owner = *head;
  call.previous_of_owner = {};
  if (Call* next = get(*head)) next->previous_of_owner = id;
  *head = id;
}

void Calls::disown(SlotId id) {
  Call& call = *get(id);
  if (Call* next = get(call.next_of_owner)) next->previous_of_owner = call.previous_of_owner;
  if (Call* previous = get(call.previous_of_owner)) {
    previous->next_of_owner = call.next_of_owner;
  } else if (SlotId* head = owner_head(call); head && *head == id) {
    *head = call.next_of_owner;
  }
  call.next_of_owner = call.previous_of_owner = {};
  call.owned_by_agent = call.owned_by_flow = false;
}

}  // namespace ringway
