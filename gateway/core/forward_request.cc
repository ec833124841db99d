#include <cstring>

#include "gateway/core/parts.h"
#include "gateway/nat/contact.h"
#include "protocol/base/ascii.h"
#include "protocol/sip/header_values.h"
#include "protocol/sip/name_addr.h"
#include "protocol/sip/parse.h"

// RFC 3261 16.6: the copy with its edits, our Via, and the client transaction.

namespace ringway {
namespace {

using sip::HeaderName;
using sip::Method;

constexpr std::size_t kDatagramRequestMax = 1'300;  // RFC 3261 18.1.1
constexpr std::string_view kMaxForwardsDefault = "70";

// Requests that make dialogs, or may (RFC 3261 16.6 item 4, RFC 5658).
bool may_make_dialog(Method method) {
  return method == Method::Invite || method == Method::Subscribe || method == Method::Refer ||
         method == Method::Notify;
}

// Requests whose Contact becomes a remote target.
bool has_target_contact(Method method) {
  return may_make_dialog(method) || method == Method::Update;
}

bool is_first_hop(const sip::MessageView& request) {
  const sip::Header* via = request.find(HeaderName::Via);
  if (!via || request.next(via)) return false;
  return request.top_via().size() == request.text(via->value).size();
}

}  // namespace

// --- What we add -------------------------------------------------------------------------------

void ProxyCore::Parts::write_record_route(ResponseContext& context, const Incoming& in,
                                          const Target& target, Writer& out) {
  FlowToken access;
  access.kind = FlowToken::Kind::Access;
  access.epoch = epoch;
  access.media = context.media;
  access.leg = context.leg;
  const ListenerIndex in_listener = context.source.listener;
  access.paired = in_listener != target.listener;
  if (target.to_access) {
    access.listener = target.listener;
    access.flow = target.flow;
    access.user_agent = target.user_agent;
    if (!target.flow) access.remote = target.remote;
  } else {
    access.listener = in_listener;
    access.flow = context.source.flow;
    access.user_agent = user_agent_of(
        context.source, in.view.has(HeaderName::From) ? in.view.value(HeaderName::From) : "");
    if (!context.source.flow) access.remote = context.source.remote;
  }
  FlowToken network;
  network.paired = true;
  network.media = context.media;
  network.leg = context.leg;

  std::array<std::uint8_t, 2 * kFlowTokenTextMax> memory;
  const auto line = [&](ListenerIndex listener_index, const FlowToken& token) {
    Writer user(memory);
    write_flow_token(token, mac, in.essentials.call_id, user);
    out.text("Record-Route: ");
    own.write_route(listener_index, user.written_text(), {}, out);
    out.text("\r\n");
  };
  if (!access.paired) return line(target.listener, access);
  // RFC 5658: the side that the request leaves by stands on top.
  line(target.listener, target.to_access ? access : network);
  line(in_listener, target.to_access ? network : access);
}

void ProxyCore::Parts::write_path(ResponseContext& context, const Incoming& in,
                                  const Target& target, Writer& out) {
  FlowToken token;
  token.kind = FlowToken::Kind::Path;
  token.epoch = epoch;
  token.flow = context.source.flow;
  token.listener = context.source.listener;
  token.user_agent = context.user_agent;
  if (!context.source.flow) token.remote = context.source.remote;
  bool has_reg_id = false;
  if (const sip::Header* contact = in.view.find(HeaderName::Contact)) {
    sip::ListCursor values(in.view.text(contact->value));
    if (const auto value = values.next()) {
      const auto parsed = sip::parse_name_addr(*value);
      has_reg_id = parsed && parsed->param("reg-id").has_value();
    }
  }
  token.outbound = has_reg_id && is_first_hop(in.view);  // RFC 5626 5.1
  std::array<std::uint8_t, kFlowTokenTextMax> memory;
  Writer user(memory);
  write_flow_token(token, mac, {}, user);
  out.text("Path: ");
  own.write_route(target.listener, user.written_text(), token.outbound ? ";ob" : "", out);
  out.text("\r\n");
}

// --- The message -------------------------------------------------------------------------------

BufferRef ProxyCore::Parts::write_request(ResponseContext& context, const Incoming& in,
                                          const RoutePreprocess& route, const Target& target,
                                          std::string_view via_branch) {
  const sip::MessageView& request = in.view;
  edits.clear();
  // What preprocess_route restored stands at the front of scratch; this text goes behind it.
  Writer text(MutableBytes(scratch).subspan(4096));
  route.apply(request, edits, text);

  std::size_t at = text.size();
  text.text("Via: SIP/2.0/").text(via_token(target.transport)).character(' ');
  text.text(own.sent_by(target.listener)).text(";branch=").text(via_branch).text("\r\n");
  const Method method = context.method;
  if (context.initial && may_make_dialog(method) && !context.own) {
    write_record_route(context, in, target, text);
  }
  const bool from_access = !target.to_access && !is_from_network(context.source);
  bool alias = false;
  if (from_access && target.next_hop < config.next_hops.size()) {
    const NextHopConfig& next_hop = config.next_hops[target.next_hop];
    alias = next_hop.binding == BindingMode::Contact;
    if (method == Method::Register) {
      std::uint64_t contact_hash = 0, aor_hash = 0;
      context.user_agent = registering_agent(request, contact_hash, aor_hash);
      if (next_hop.binding == BindingMode::Auto) {
        // Both until a 2xx shows that Path is understood; a user agent keeps what it began with,
        // so that the registrar never sees two Contacts of one.
        const UserAgent* agent = agents.get(agents.find(context.user_agent));
        alias = agent ? agent->alias : !path_seen[target.next_hop];
      }
      if (next_hop.binding != BindingMode::Contact) write_path(context, in, target, text);
      if (next_hop.add_supported_path &&
          !sip::lists_token(request, HeaderName::Supported, "path")) {
        text.text("Supported: path\r\n");
      }
    }
  }
  if (!request.has(HeaderName::MaxForwards)) {
    text.text("Max-Forwards: ").text(kMaxForwardsDefault).text("\r\n");
  }
  // RFC 5393 5.3.3: exactly one Max-Breadth, never above ours.
  const sip::Header* breadth = request.find(HeaderName::MaxBreadth);
  if (!breadth && method != Method::Cancel) {
    text.text("Max-Breadth: ").number(config.max_breadth).text("\r\n");
  }
  edits.insert(request.headers_begin(), text.written_text().substr(at));
  if (breadth) {
    const auto value = ascii::parse_number(request.text(breadth->value), 0xffff'ffff);
    if (!value || *value > config.max_breadth) {
      at = text.size();
      text.number(config.max_breadth);
      edits.replace(breadth->value, text.written_text().substr(at));
    }
    for (const sip::Header* more = request.next(breadth); more; more = request.next(more)) {
      edits.remove(*more);
    }
  }
  if (const sip::Header* forwards = request.find(HeaderName::MaxForwards)) {
    at = text.size();
    text.number(in.essentials.max_forwards.value_or(70) - 1);
    edits.replace(forwards->value, text.written_text().substr(at));
  }
  if (!context.own || method == Method::Ack) {  // our own requests have no Via yet
    const std::string_view via = top_via_with_source(in.essentials.via, context.source, text);
    if (via.data() != in.essentials.via.text.data()) {
      edits.replace(request.slice(request.top_via()), via);
    }
  }
  if (alias && is_first_hop(request) &&
      (method == Method::Register || has_target_contact(method))) {
    FlowToken token;
    token.kind = FlowToken::Kind::Contact;
    token.epoch = epoch;
    token.flow = context.source.flow;
    token.listener = context.source.listener;
    token.user_agent = method == Method::Register
                           ? context.user_agent
                           : user_agent_of(context.source, request.value(HeaderName::From));
    if (!context.source.flow) token.remote = context.source.remote;
    for (const sip::Header* header = request.find(HeaderName::Contact); header;
         header = request.next(header)) {
      sip::ListCursor values(request.text(header->value));
      while (const auto value = values.next()) {
        const auto contact = sip::parse_name_addr(*value);
        if (!contact || contact->is_star || !contact->has_angles || !contact->uri.headers.empty() ||
            (contact->uri.scheme != sip::Scheme::Sip && contact->uri.scheme != sip::Scheme::Sips) ||
            contact->uri.param("gr").has_value()) {
          continue;  // RFC 5627: a GRUU is never touched
        }
        at = text.size();
        if (!write_contact_alias(contact->uri, token, target.listener, own, mac, text)) continue;
        edits.replace(request.slice(contact->uri.text), text.written_text().substr(at));
      }
    }
  }

  const bool new_body = static_cast<bool>(context.body);
  const std::string_view body = new_body ? as_text(context.body.bytes()) : request.body();
  const sip::Header* length = request.find(HeaderName::ContentLength);
  if (!length) {  // RFC 3261 18.3, 16.6 item 9
    at = text.size();
    text.text("Content-Length: ").number(body.size()).text("\r\n");
    edits.insert(request.headers_end(), text.written_text().substr(at));
  } else if (new_body) {
    at = text.size();
    text.number(body.size());
    edits.replace(length->value, text.written_text().substr(at));
  }
  if (new_body) edits.replace(request.slice(request.body()), body);
  if (text.overflowed()) return {};

  BufferRef buffer = buffers.take(
      std::min<std::size_t>(request.text().size() + text.size() + (new_body ? body.size() : 0) + 64,
                            BufferPool::kSizes.back()));
  if (!buffer) return {};
  Writer out(buffer.space());
  if (!edits.write(request, out)) return {};
  buffer.set_size(out.size());
  return buffer;
}

// RFC 3261 18.1.1: a request above 1,300 bytes leaves UDP, and its Via says so. Our Record-Route
// stays as it is: only the size of this one message asked for TCP.
bool ProxyCore::Parts::switch_to_tcp(Target& target, BufferRef& message, Instant now) {
  if (target.transport != Transport::Udp || target.to_access ||
      message.size() <= kDatagramRequestMax) {
    return false;
  }
  if (next_hops.is_tcp_refused(target.remote, now)) return false;
  const ListenerIndex twin =
      next_hops.listener_for(Transport::Tcp, target.remote.family(), target.next_hop);
  if (twin == kNoListener || listeners[twin].local.port != listeners[target.listener].local.port) {
    return false;
  }
  const std::string_view text = as_text(message.bytes());
  const std::size_t token = text.find("Via: SIP/2.0/UDP ");
  if (token == text.npos) return false;
  std::memcpy(message.space().data() + token + 13, "TCP", 3);
  target.transport = Transport::Tcp;
  target.listener = twin;
  target.tcp_for_size = true;
  counters.switched_to_tcp.add();
  return true;
}

void ProxyCore::Parts::forward(SlotId id, const Incoming& in, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts.find(id);
  if (std::exchange(routed_for, {}) != id) {  // it has parked in between, or is tried once more
    Writer text(MutableBytes(scratch).first(4096));
    routed = preprocess_route(in.view, in.essentials, context.source, own, mac, epoch, text);
  }
  const RoutePreprocess& route = routed;
  Target target = context.target;

  std::array<std::uint8_t, sip::kBranchBytes + 8> memory;
  Writer branch_text(memory);
  if (context.method == Method::Ack) {
    // No transaction: a branch that names no slot.
    sip::write_branch({shard, 0xff'ffff, 0, random.next()}, branch_text);
    BufferRef message = write_request(context, in, route, target, branch_text.written_text());
    if (message) {
      switch_to_tcp(target, message, now);
      TransactionLayer::send_to(target, config, std::move(message), 0, outbox);
    } else {
      drop(DropReason::NoBuffer);
    }
    return end_context(id, now, outbox);
  }

  const SlotId client = transactions.reserve_client(context.method, target, context.loop_hash);
  if (!client) return fail_locally(id, 503, "Retry-After: 5\r\n", now, outbox);
  sip::write_branch(transactions.branch_of(client), branch_text);
  BufferRef message = write_request(context, in, route, target, branch_text.written_text());
  if (!message) {
    transactions.release_client(client);
    return fail_locally(id, 503, "Retry-After: 5\r\n", now, outbox);
  }
  switch_to_tcp(target, message, now);
  ClientTransaction& transaction = *transactions.client(client);
  transaction.target = target;
  transaction.context = id;
  transaction.branch_index = context.branch_count;
  ClientBranch& branch = context.branches[context.branch_count++];
  branch = {};
  branch.client = client;
  ++context.branches_open;
  context.state = ResponseContext::State::Proceeding;
  if (Call* call = calls.get(context.call); call && context.call_new)
    call->flow = context.target.to_access ? target.flow : context.source.flow;

  const TargetList* more = target_lists.find(context.more_targets);
  if (more && context.next_target < more->count) {
    arm(id, ContextTimer::FirstAnswer, now + config.timers.first_answer);
  } else if (context.method == Method::Invite) {
    arm(id, ContextTimer::TimerC, now + config.timers.timer_c);
  }
  const auto outcome = transactions.start_client(client, std::move(message), now, outbox);
  if (outcome.terminated || outcome.transport_error) {
    client_outcome(client, outcome, 503, now, outbox);
  }
}

void ProxyCore::Parts::try_next_target(SlotId id, const Incoming& in, Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts.find(id);
  const TargetList* more = target_lists.find(context.more_targets);
  context.target = more->targets[context.next_target++];
  counters.failovers.add();
  forward(id, in, now, outbox);
}

void ProxyCore::Parts::fail_locally(SlotId id, sip::Status status, std::string_view extra,
                                    Instant now, Outbox& outbox) {
  ResponseContext& context = *contexts.find(id);
  const SlotId server = context.server;
  if (server && transactions.server(server) && !context.answered) {
    context.answered = true;
    if (status == 408 && context.method != Method::Invite) {
      transactions.abandon(server, now, outbox);  // RFC 4320 4.2
    } else if (sip::parse_message(context.request.bytes(), sip::Framing::Datagram, other_view)) {
      respond_to(server, other_view, context.source, status, extra, now, outbox);
    }
  }
  if (context.call_new && context.call) {
    const SlotId call = std::exchange(context.call, {});
    end_call(call, true, now, outbox);
  }
  end_context(id, now, outbox);
}

}  // namespace ringway
