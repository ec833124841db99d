#include "gateway/core/parts.h"
#include "protocol/sip/header_values.h"
#include "protocol/sip/name_addr.h"
#include "protocol/sip/parse.h"

// Calls of user agents whose connection may die. While it is away, requests of the far end wait; if
// it does not return, the far end is released by a BYE in the dialog's name, and the media session
// is deleted.

namespace ringway {
namespace {

using sip::HeaderName;
using sip::Method;

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

bool ProxyCore::Parts::open_call(SlotId id, const Incoming& in) {
  ResponseContext& context = *contexts.find(id);
  const std::string_view call_id = in.essentials.call_id, tag = in.essentials.from_tag;
  const std::string_view from = uri_of(in.view.value(HeaderName::From)).substr(0, 256);
  const std::string_view to = uri_of(in.view.value(HeaderName::To)).substr(0, 256);
  // The same INVITE again, with credentials, is the same pass of the same call: it keeps its leg,
  // so that the relay sees one session with one DTLS handshake. Another pass, or a fork of the
  // registrar's to another browser, has a leg of its own.
  std::uint64_t pass = keyed_hash(hash_key, tag) ^ (context.target.to_access ? 1 : 0);
  if (context.target.to_access) pass ^= context.target.flow.value() * 0x9e3779b97f4a7c15;
  context.leg = static_cast<std::uint32_t>(pass >> 16) | 1;
  if (const SlotId known = calls.find(call_id, context.leg)) {
    Call& call = *calls.get(known);
    if (call.state != Call::State::Answered && !contexts.find(call.context) &&
        call.media == context.media) {
      wheel.cancel(call.timer);
      call.context = id;
      call.access_cseq = call.access_is_caller ? in.essentials.cseq.number : 0;
      context.call = known;
      context.call_new = true;
      return true;
    }
    context.leg = static_cast<std::uint32_t>(random.next()) | 1;
  }
  BufferRef names = buffers.take(call_id.size() + tag.size() + from.size() + to.size());
  const SlotId call_id_slot = names ? calls.take(call_id, context.leg) : SlotId{};
  if (!call_id_slot) {
    log.warning("call_table_full", {{"call_id", call_id}});
    return false;
  }
  Writer out(names.space());
  out.text(call_id).text(tag).text(from).text(to);
  names.set_size(out.size());
  Call& call = *calls.get(call_id_slot);
  call.names = std::move(names);
  call.call_id_size = static_cast<std::uint16_t>(call_id.size());
  call.tag_size = static_cast<std::uint16_t>(tag.size());
  call.from_size = static_cast<std::uint16_t>(from.size());
  call.to_size = static_cast<std::uint16_t>(to.size());
  call.access_is_caller = !context.target.to_access;
  call.media = context.media;
  if (call.media) {
    call.relay = relays.choose();
    counters.media_sessions.add();
  }
  call.access_cseq = call.access_is_caller ? in.essentials.cseq.number : 0;
  call.flow = call.access_is_caller ? context.source.flow : context.target.flow;
  call.user_agent = call.access_is_caller
                        ? user_agent_of(context.source, in.view.value(HeaderName::From))
                        : context.target.user_agent;
  call.context = id;
  context.call = call_id_slot;
  context.call_new = true;
  own_call(call_id_slot);
  return true;
}

void ProxyCore::Parts::call_progress(ResponseContext& context, const sip::MessageView& response,
                                     const sip::Essentials&, Instant now) {
  Call* call = calls.get(context.call);
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
  call->bye = write_bye_template(*call, context, response);
}

// What a BYE of the access side towards the far end looks like (RFC 3261 12.2.1.1), without CSeq:
// Request-URI is the far end's Contact, Route the Record-Route set without this pass's.
BufferRef ProxyCore::Parts::write_bye_template(const Call& call, const ResponseContext& context,
                                               const sip::MessageView& response) {
  sip::MessageView& request = &response == &view ? other_view : view;
  if (!sip::parse_message(context.request.bytes(), sip::Framing::Datagram, request)) return {};
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
      const auto token = parsed && own.is_own(parsed->uri)
                             ? read_flow_token(parsed->uri.user, mac, call.call_id())
                             : std::nullopt;
      const bool ours = token && token->leg == call.leg;
      if (!ours && count < routes.size()) routes[count++] = *value;
    }
  }
  BufferRef buffer = buffers.take(far.headers_end() + 1024);
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

void ProxyCore::Parts::end_call(SlotId id, bool delete_relay, Instant now, Outbox& outbox) {
  Call* call = calls.get(id);
  if (!call) return;
  if (delete_relay) delete_media(*call, now, outbox);
  if (call->media) counters.media_sessions.subtract();
  wheel.cancel(call->timer);
  disown_call(id);
  calls.release(id);
}

void ProxyCore::Parts::release_call(SlotId id, Instant now, Outbox& outbox) {
  Call* call = calls.get(id);
  if (!call) return;
  if (call->state != Call::State::Answered) {
    // Still ringing at a browser that is gone: the caller hears it now.
    const SlotId context = call->context;
    if (contexts.find(context)) {
      contexts.find(context)->next_target = 255;
      cancel_branches(context, now, outbox);
      return fail_locally(context, 480, {}, now, outbox);
    }
    return end_call(id, true, now, outbox);
  }
  counters.released_calls.add();
  log.info("call_released", {{"call_id", call->call_id()},
                             {"from", call->from()},
                             {"to", call->to()},
                             {"reason", "the browser is gone"}});
  BufferRef message;
  if (config.timers.release_after_grace && call->bye) {
    message = buffers.take(call->bye.size() + 256);
    if (message) {
      Writer out(message.space());
      out.bytes(call->bye.bytes()).text("CSeq: ").number(call->access_cseq + 1).text(" BYE\r\n");
      out.text("Max-Forwards: 70\r\n");
      out.text("Reason: SIP;cause=480;text=\"Connection lost\"\r\nContent-Length: 0\r\n\r\n");
      message.set_size(out.size());
      if (out.overflowed()) message.reset();
    }
  }
  const FlowId flow = call->flow;
  end_call(id, true, now, outbox);
  if (!message) return;

  // From here it is a request like any other, only that nobody waits for its response.
  const SlotId context_id = contexts.take();
  if (!context_id) return;
  ResponseContext& context = *contexts.find(context_id);
  context.own = true;
  context.method = Method::Bye;
  context.request = std::move(message);
  context.source.transport = Transport::Wss;
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    if (is_websocket(listeners[i].config.transport)) {
      context.source.listener = static_cast<ListenerIndex>(i);
      context.source.transport = listeners[i].config.transport;
    }
  }
  static_cast<void>(flow);
  sip::Essentials essentials;
  if (!sip::parse_message(context.request.bytes(), sip::Framing::Datagram, view)) {
    return end_context(context_id, now, outbox);
  }
  essentials.call_id = view.value(HeaderName::CallId);
  essentials.max_forwards = 70;
  const auto uri = sip::parse_uri(view.request_uri());
  const auto cseq = sip::parse_cseq(view.value(HeaderName::CSeq));
  if (!uri || !cseq) return end_context(context_id, now, outbox);
  essentials.request_uri = *uri;
  essentials.cseq = *cseq;
  essentials.to_tag = sip::find_tag(view.value(HeaderName::To));
  essentials.from_tag = sip::find_tag(view.value(HeaderName::From));
  route(context_id, {view, essentials}, now, outbox);
}

void ProxyCore::Parts::release_calls_of(UserAgent& agent, Instant now, Outbox& outbox) {
  while (agent.first_call) {
    const SlotId call = agent.first_call;
    release_call(call, now, outbox);
    // A release that only failed a context has freed the call with it; never loop on one.
    if (agent.first_call == call) disown_call(call);
  }
}

// --- Whose call it is --------------------------------------------------------------------------

SlotId* ProxyCore::Parts::owner_head(Call& call) {
  if (call.owned_by_agent) {
    UserAgent* agent = agents.get(agents.find(call.user_agent));
    return agent ? &agent->first_call : nullptr;
  }
  if (!call.owned_by_flow) return &unowned_calls;
  if (call.flow.shard() != shard || call.flow.slot() >= flows.size()) return nullptr;
  FlowState& flow = flows[call.flow.slot()];
  return flow.generation == call.flow.generation() ? &flow.first_call : nullptr;
}

// A flow of another shard's: calls here that only it can end.
void ProxyCore::Parts::flow_gone(FlowId flow, Instant now) {
  for (SlotId id = unowned_calls; Call* call = calls.get(id); id = call->next_of_owner) {
    if (call->flow == flow) start_grace(id, now);
  }
}

void ProxyCore::Parts::start_grace(SlotId id, Instant now) {
  Call& call = *calls.get(id);
  wheel.cancel(call.timer);
  call.timer = wheel.arm(now + config.timers.grace, subject_value(Subject::Call, id));
}

void ProxyCore::Parts::own_call(SlotId id) {
  Call& call = *calls.get(id);
  call.owned_by_agent = call.owned_by_flow = false;
  if (call.user_agent != 0 && agents.find(call.user_agent)) {
    call.owned_by_agent = true;
  } else if (flow_state(call.flow)) {
    call.owned_by_flow = true;
  }
  SlotId* head = owner_head(call);
  call.next_of_owner = *head;
  call.previous_of_owner = {};
  if (Call* next = calls.get(*head)) next->previous_of_owner = id;
  *head = id;
}

void ProxyCore::Parts::disown_call(SlotId id) {
  Call& call = *calls.get(id);
  if (Call* next = calls.get(call.next_of_owner)) next->previous_of_owner = call.previous_of_owner;
  if (Call* previous = calls.get(call.previous_of_owner)) {
    previous->next_of_owner = call.next_of_owner;
  } else if (SlotId* head = owner_head(call); head && *head == id) {
    *head = call.next_of_owner;
  }
  call.next_of_owner = call.previous_of_owner = {};
  call.owned_by_agent = call.owned_by_flow = false;
}

}  // namespace ringway
