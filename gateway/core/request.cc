#include "gateway/core/parts.h"
#include "protocol/base/ascii.h"
#include "protocol/sip/build.h"
#include "protocol/sip/header_values.h"
#include "protocol/sip/name_addr.h"
#include "protocol/sip/params.h"

// A request from its arrival to its context: matching (RFC 3261 17.2.3), validity and policy
// (16.3), server transaction. Refusals of new requests are stateless: they cost a stranger's
// packet one packet and no memory.

namespace ringway {
namespace {

using sip::HeaderName;
using sip::Method;

transaction::RequestIdentity identity_of(const Incoming& in, std::string_view method) {
  const sip::Essentials& essentials = in.essentials;
  return {essentials.via.branch, essentials.via.sent_by, method,
          essentials.call_id,    essentials.from_tag,    essentials.via.text,
          in.view.request_uri(), essentials.cseq.number};
}

// The To tag of our own responses: the same for a repetition of the request (RFC 3261 8.2.7), and
// known again in the ACK.
std::string_view own_tag(const HashKey& key, const sip::MessageView& request, Writer& out) {
  const auto via = sip::parse_via(request.top_via());
  const std::uint64_t hash = keyed_hash(key, via ? via->branch : std::string_view{}) ^
                             (keyed_hash(key, request.value(HeaderName::CallId)) >> 1);
  const std::size_t before = out.size();
  out.text("rw").hex(hash, 16);
  return out.written_text().substr(before);
}

// Where responses of a UDP request go (RFC 3261 18.2.2, RFC 3581 4).
Source reply_address(const Source& source, const sip::Via& via, bool force_rport) {
  Source reply = source;
  if (source.transport == Transport::Udp && !via.rport && !force_rport) {
    reply.remote.port = via.port != 0 ? via.port : 5060;
  }
  return reply;
}

bool opens_dialog(Method method) {
  return method == Method::Invite || method == Method::Subscribe;
}

}  // namespace

std::uint32_t ProxyCore::Parts::loop_hash(const Incoming& in) const {
  std::uint64_t hash = keyed_hash(hash_key, in.view.request_uri());
  for (const sip::Header* route = in.view.find(HeaderName::Route); route;
       route = in.view.next(route)) {
    hash = hash * 31 + keyed_hash(hash_key, in.view.text(route->value));
  }
  return static_cast<std::uint32_t>(hash ^ (hash >> 32));
}

// RFC 5393 4.2: a Via of ours whose loop hash is the one that this request has now.
bool ProxyCore::Parts::comes_back(const Incoming& in, std::uint32_t hash) const {
  for (const sip::Header* header = in.view.find(HeaderName::Via); header;
       header = in.view.next(header)) {
    const std::string_view text = in.view.text(header->value);
    if (text.find("z9hG4bK-r") == text.npos) continue;
    sip::ListCursor values(text);
    while (const auto value = values.next()) {
      if (value->find("z9hG4bK-r") == value->npos) continue;
      const auto via = sip::parse_via(*value);
      const auto branch = via ? sip::parse_branch(via->branch) : std::nullopt;
      if (!branch || static_cast<std::uint32_t>(branch->nonce) != hash) continue;
      for (std::size_t i = 0; i < listeners.size(); ++i) {
        if (own.sent_by(static_cast<ListenerIndex>(i)) == via->sent_by) return true;
      }
    }
  }
  return false;
}

std::string_view ProxyCore::Parts::top_via_with_source(const sip::MessageView& request,
                                                       const Source& source, Writer& out) const {
  const auto via = sip::parse_via(request.top_via());
  return via ? top_via_with_source(*via, source, out) : request.top_via();
}

// RFC 3261 18.2.1, RFC 3581 4. via.text if it may stay as it is.
std::string_view ProxyCore::Parts::top_via_with_source(const sip::Via& via, const Source& source,
                                                       Writer& out) const {
  std::array<std::uint8_t, kEndpointTextMax> memory;
  Writer address(memory);
  write_address(source.remote.address, AddressForm::Bare, address);
  bool same = via.host == address.written_text();
  if (!same && via.host_is_ipv6) {  // which may be written in several ways
    const auto claimed = parse_address(via.host);
    same = claimed && *claimed == source.remote.address;
  }
  if (same && !via.rport && via.received.empty()) return via.text;
  const std::size_t before = out.size();
  out.text(via.text.substr(0, via.text.size() - via.params.size()));
  // Mostly one rport without a value has to go and the rest stays.
  constexpr std::string_view kAsked = ";rport";
  const std::size_t asked = via.params.find(kAsked);
  const std::size_t behind = asked + kAsked.size();
  if (asked != via.params.npos && via.received.empty() && via.rport && via.rport->empty() &&
      (behind == via.params.size() || via.params[behind] == ';') &&
      via.params.find('"') == via.params.npos) {
    out.text(via.params.substr(0, asked)).text(via.params.substr(behind));
  } else {
    sip::ParamCursor params(via.params);
    while (const auto param = params.next()) {
      if (ascii::equal_ignoring_case(param->name, "received")) continue;  // only we know
      if (ascii::equal_ignoring_case(param->name, "rport")) continue;
      out.character(';').text(param->text);
    }
  }
  if (!same || via.rport) out.text(";received=").text(address.written_text());
  if (via.rport) out.text(";rport=").number(source.remote.port);
  return out.overflowed() ? via.text : out.written_text().substr(before);
}

void ProxyCore::Parts::respond_statelessly(const sip::MessageView& request, const Source& source,
                                           sip::Status status, std::string_view reason,
                                           std::string_view extra, Outbox& outbox) {
  if (request.method() == Method::Ack) return;
  std::array<std::uint8_t, 2048> memory;
  Writer text(memory);
  sip::ResponseOptions options;
  options.reason = reason;
  options.extra = extra;
  options.to_tag = own_tag(hash_key, request, text);
  options.top_via = top_via_with_source(request, source, text);
  BufferRef buffer =
      buffers.take(request.headers_end() + options.top_via.size() + extra.size() + 256);
  if (!buffer) return drop(DropReason::NoBuffer);
  Writer out(buffer.space());
  sip::write_response(request, status, options, out);
  if (out.overflowed()) return drop(DropReason::NoBuffer);
  buffer.set_size(out.size());
  counters.responses_by_class[status / 100].add();
  const auto via = sip::parse_via(request.top_via());
  TransactionLayer::send_back(via ? reply_address(source, *via, config.force_rport) : source,
                              std::move(buffer), 0, outbox);
}

void ProxyCore::Parts::respond_to(SlotId server, const sip::MessageView& request,
                                  const Source& source, sip::Status status, std::string_view extra,
                                  Instant now, Outbox& outbox, std::string_view reason) {
  std::array<std::uint8_t, 2048> memory;
  Writer text(memory);
  sip::ResponseOptions options;
  options.reason = reason;
  options.extra = extra;
  options.to_tag = own_tag(hash_key, request, text);
  options.top_via = top_via_with_source(request, source, text);
  BufferRef buffer =
      buffers.take(request.headers_end() + options.top_via.size() + extra.size() + 256);
  Writer out(buffer ? buffer.space() : MutableBytes{});
  sip::write_response(request, status, options, out);
  if (!buffer || out.overflowed()) {
    transactions.forget(server);
    return drop(DropReason::NoBuffer);
  }
  buffer.set_size(out.size());
  transactions.respond(server, status, std::move(buffer), now, outbox);
}

// RFC 3261 8.2.6.1, 16.2: no To tag, Timestamp copied.
void ProxyCore::Parts::send_trying(SlotId server, const sip::MessageView& request,
                                   const Source& source, Outbox& outbox) {
  std::array<std::uint8_t, 2048> memory;
  Writer text(memory);
  sip::ResponseOptions options;
  options.top_via = top_via_with_source(request, source, text);
  BufferRef buffer = buffers.take(request.headers_end() + options.top_via.size() + 128);
  if (!buffer) return drop(DropReason::NoBuffer);
  Writer out(buffer.space());
  sip::write_response(request, 100, options, out);
  if (out.overflowed()) return;
  buffer.set_size(out.size());
  transactions.send_100(server, std::move(buffer), outbox);
}

// What 16.3 asks before any state is made. True if the request was answered.
bool ProxyCore::Parts::answer_by_policy(SlotId, const Source& source, const Incoming& in, Instant,
                                        Outbox& outbox) {
  const auto& [view_in, essentials] = in;
  const auto refuse = [&](sip::Status status, std::string_view extra) {
    respond_statelessly(view_in, source, status, {}, extra, outbox);
    return true;
  };
  if (view_in.method() == Method::Options && essentials.request_uri.user.empty() &&
      own.is_own(essentials.request_uri) && !view_in.has(HeaderName::Route)) {
    return refuse(draining ? 503 : 200, "Accept: application/sdp\r\nSupported: path, outbound\r\n");
  }
  if (essentials.max_forwards && *essentials.max_forwards == 0) {
    counters.max_forwards_483.add();
    return refuse(483, {});
  }
  if (const sip::Header* header = view_in.find(HeaderName::ProxyRequire)) {
    // We support no option that a proxy would have to know (RFC 3261 16.3 item 5).
    std::array<std::uint8_t, 1024> memory;
    Writer extra(memory);
    for (; header; header = view_in.next(header)) {
      extra.text("Unsupported: ").text(view_in.text(header->value)).text("\r\n");
    }
    return refuse(420, extra.overflowed() ? std::string_view{} : extra.written_text());
  }
  if (const sip::Header* header = view_in.find(HeaderName::MaxBreadth)) {
    const auto breadth = ascii::parse_number(view_in.text(header->value), 0xffff'ffff);
    if (breadth && *breadth == 0) return refuse(440, {});  // RFC 5393 5.3.3
  }
  if (draining && essentials.to_tag.empty() && opens_dialog(view_in.method())) {
    return refuse(503, "Retry-After: 5\r\n");
  }
  return false;
}

void ProxyCore::Parts::receive_request(const Source& source, const Incoming& in, Instant now,
                                       Outbox& outbox) {
  const sip::MessageView& request = in.view;
  const Method method = request.method();
  counters.requests_by_method[static_cast<std::size_t>(method)].add();
  const auto key = transaction::transaction_key(hash_key, identity_of(in, request.method_text()));
  const SlotId known = transactions.find_server(key);
  if (method == Method::Ack) {
    if (known) {
      const auto outcome = transactions.ack_received(known, now, outbox);
      if (!outcome.to_user) return;
    }
    return receive_ack(source, in, now, outbox);
  }
  if (known) {
    transactions.request_repeated(known, now, outbox);
    return;
  }
  if (answer_by_policy({}, source, in, now, outbox)) return;
  const std::uint32_t hash = loop_hash(in);
  if (comes_back(in, hash)) {
    counters.loops_482.add();
    return respond_statelessly(request, source, 482, {}, {}, outbox);
  }

  TransactionLayer::Outcome outcome;
  const Source reply = reply_address(source, in.essentials.via, config.force_rport);
  const SlotId server = transactions.open_server(key, method, reply, now, outbox, outcome);
  if (!server) {
    return respond_statelessly(request, source, 503, {}, "Retry-After: 5\r\n", outbox);
  }
  if (outcome.send_100) send_trying(server, request, source, outbox);

  if (method == Method::Cancel) {
    const auto invite_key = transaction::transaction_key(hash_key, identity_of(in, "INVITE"));
    if (const SlotId invite = transactions.find_server(invite_key)) {
      respond_to(server, request, source, 200, {}, now, outbox);
      return receive_cancel(invite, server, now, outbox);
    }
    // Nothing to cancel: it goes on like any request and finds its 481 where the INVITE went.
  }

  const SlotId id = open_context(source, in);
  if (!id) {
    counters.transactions_refused.add();
    return respond_to(server, request, source, 503, "Retry-After: 5\r\n", now, outbox);
  }
  ResponseContext& context = *contexts.find(id);
  context.server = server;
  context.loop_hash = hash;
  transactions.server(server)->context = id;
  route(id, in, now, outbox);
}

// An ACK that matches no transaction is the one for a 2xx: it is routed like a request and has no
// transaction of its own (RFC 3261 16.11, 17).
void ProxyCore::Parts::receive_ack(const Source& source, const Incoming& in, Instant now,
                                   Outbox& outbox) {
  std::array<std::uint8_t, 32> memory;
  Writer tag(memory);
  if (in.essentials.to_tag == own_tag(hash_key, in.view, tag)) return;  // of our own refusal
  if (in.essentials.max_forwards && *in.essentials.max_forwards == 0) {
    return drop(DropReason::AckWithoutTarget);
  }
  const SlotId id = open_context(source, in);
  if (!id) return drop(DropReason::TableFull);
  contexts.find(id)->own = true;
  route(id, in, now, outbox);
}

// RFC 3261 16.10: the CANCEL was answered 200; what it is about ends with 487 soon.
void ProxyCore::Parts::receive_cancel(SlotId invite, SlotId, Instant now, Outbox& outbox) {
  const SlotId id = transactions.server(invite)->context;
  ResponseContext* context = contexts.find(id);
  if (!context || context->answered || context->cancelled) return;
  context->cancelled = true;
  if (context->state == ResponseContext::State::Proceeding) {
    return cancel_branches(id, now, outbox);
  }
  fail_locally(id, 487, {}, now, outbox);
}

// --- Contexts ----------------------------------------------------------------------------------

SlotId ProxyCore::Parts::open_context(const Source& source, const Incoming& in) {
  BufferRef copy = buffers.copy(as_bytes(in.view.text()));
  if (!copy) return {};
  const SlotId id = contexts.take();
  if (!id) return {};
  ResponseContext& context = *contexts.find(id);
  context.source = source;
  context.request = std::move(copy);
  context.method = in.view.method();
  context.initial = in.essentials.to_tag.empty();
  context.session_timer = in.view.has(HeaderName::SessionExpires) &&
                          sip::lists_token(in.view, HeaderName::Supported, "timer");
  if (source.flow) link_context_to_flow(id);
  return id;
}

FlowState* ProxyCore::Parts::flow_state(FlowId flow) {
  if (flow.shard() != shard || !flow || flow.slot() >= flows.size()) return nullptr;
  FlowState& state = flows[flow.slot()];
  return state.live && state.generation == flow.generation() ? &state : nullptr;
}

void ProxyCore::Parts::link_context_to_flow(SlotId id) {
  ResponseContext& context = *contexts.find(id);
  FlowState* flow = flow_state(context.source.flow);
  if (!flow) return;
  context.next_of_flow = flow->first_context;
  if (ResponseContext* next = contexts.find(flow->first_context)) next->previous_of_flow = id;
  flow->first_context = id;
}

void ProxyCore::Parts::unlink_context_from_flow(SlotId id) {
  ResponseContext& context = *contexts.find(id);
  if (ResponseContext* next = contexts.find(context.next_of_flow)) {
    next->previous_of_flow = context.previous_of_flow;
  }
  if (ResponseContext* previous = contexts.find(context.previous_of_flow)) {
    previous->next_of_flow = context.next_of_flow;
  } else if (FlowState* flow = flow_state(context.source.flow); flow && flow->first_context == id) {
    flow->first_context = context.next_of_flow;
  }
  context.next_of_flow = context.previous_of_flow = {};
}

void ProxyCore::Parts::arm(SlotId id, ContextTimer timer, Instant deadline) {
  ResponseContext& context = *contexts.find(id);
  wheel.cancel(context.timer);
  context.timer_for = timer;
  context.timer = wheel.arm(deadline, subject_value(Subject::Context, id));
}

void ProxyCore::Parts::disarm(ResponseContext& context) {
  wheel.cancel(context.timer);
  context.timer_for = ContextTimer::None;
}

}  // namespace ringway
