#include "gateway/core/request_writer.h"

#include "gateway/core/replies.h"
#include "gateway/nat/contact.h"
#include "protocol/base/ascii.h"
#include "protocol/sip/header_values.h"
#include "protocol/sip/name_addr.h"

namespace ringway {
namespace {

using sip::HeaderName;
using sip::Method;

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

bool has_reg_id(const sip::MessageView& request) {
  const sip::Header* contact = request.find(HeaderName::Contact);
  if (!contact) return false;
  sip::ListCursor values(request.text(contact->value));
  const auto value = values.next();
  const auto parsed = value ? sip::parse_name_addr(*value) : std::unexpected(sip::NameAddrError{});
  return parsed && parsed->param("reg-id").has_value();
}

bool may_be_aliased(const sip::NameAddr& contact) {
  return !contact.is_star && contact.has_angles && contact.uri.headers.empty() &&
         (contact.uri.scheme == sip::Scheme::Sip || contact.uri.scheme == sip::Scheme::Sips) &&
         !contact.uri.param("gr").has_value();  // RFC 5627: a GRUU is never touched
}

}  // namespace

BufferRef RequestWriter::write(const Job& job) {
  const sip::MessageView& request = job.in.view;
  edits_.clear();
  text_ = Writer(MutableBytes(scratch_));
  job.route.apply(request, edits_, text_);  // 16.6 items 2 and 6
  set_max_forwards(job);                    // item 3
  const std::uint32_t breadth = take_breadth(job);
  set_max_breadth(job, breadth);  // RFC 5393 5.3.3
  set_source_in_via(job);
  set_contact_alias(job);
  if (!job.context.own || job.context.method == Method::Ack) {
    rules_.apply(request, job.from, job.target.to_access ? Side::Access : Side::Network, edits_);
  }
  const bool new_body = static_cast<bool>(job.context.body);
  const std::string_view body = new_body ? as_text(job.context.body.bytes()) : request.body();
  set_body(job, body);  // item 9
  inserted_from_ = text_.size();
  add_via(job);           // item 8
  add_record_route(job);  // item 4
  add_registration(job);  // item 5: RFC 3327
  if (!request.has(HeaderName::MaxForwards)) {
    text_.text("Max-Forwards: ").text(kMaxForwardsDefault).text("\r\n");
  }
  if (!request.has(HeaderName::MaxBreadth) && job.context.method != Method::Cancel) {
    text_.text("Max-Breadth: ").number(breadth).text("\r\n");
  }
  edits_.insert(request.headers_begin(), text_.written_text().substr(inserted_from_));
  if (text_.overflowed()) return {};

  BufferRef buffer = core_.buffers.take(std::min<std::size_t>(
      request.text().size() + text_.size() + (new_body ? body.size() : 0) + 64,
      BufferPool::kSizes.back()));
  if (!buffer) return {};
  Writer out(buffer.space());
  if (!edits_.write(request, out)) return {};
  buffer.set_size(out.size());
  return buffer;
}

void RequestWriter::add_via(const Job& job) {
  text_.text("Via: SIP/2.0/").text(via_token(job.target.transport)).character(' ');
  text_.text(core_.own.sent_by(job.target.listener));
  text_.text(";branch=").text(job.branch).text("\r\n");
}

// --- Record-Route and Path ---------------------------------------------------------------------

FlowToken RequestWriter::token_of_source(const Job& job) const {
  const ResponseContext& context = job.context;
  FlowToken token = core_.new_token(job.now);
  token.next_hop = job.target.next_hop;
  token.flow = context.source.flow;
  token.listener = context.source.listener;
  if (!context.source.flow) token.remote = context.source.remote;
  return token;
}

void RequestWriter::add_record_route(const Job& job) {
  const ResponseContext& context = job.context;
  if (!context.initial || !may_make_dialog(context.method) || context.own) return;
  const Target& target = job.target;
  FlowToken access;
  if (target.to_access) {
    access = core_.new_token(job.now);
    access.next_hop = context.peer_next_hop;
    access.far_end = router_.far_end_of(job.in.view, job.now);
    access.listener = target.listener;
    access.flow = target.flow;
    access.user_agent = target.user_agent;
    if (!target.flow) access.remote = target.remote;
  } else {
    access = token_of_source(job);
    const sip::MessageView& request = job.in.view;
    access.user_agent = registrations_.user_agent_of(
        context.source, request.has(HeaderName::From) ? request.value(HeaderName::From) : "");
  }
  access.kind = FlowToken::Kind::Access;
  access.media = context.media;
  access.leg = static_cast<std::uint16_t>(context.leg);
  access.relay = context.relay;
  const Party party = access_party(context.leg);
  access.access_profile = static_cast<std::uint8_t>(context.media_legs[index_of(party)]);
  access.network_profile = static_cast<std::uint8_t>(context.media_legs[index_of(other(party))]);
  const ListenerIndex in_listener = context.source.listener;
  access.paired = in_listener != target.listener;
  FlowToken network;
  network.paired = true;
  network.media = context.media;
  network.leg = access.leg;

  std::array<std::uint8_t, 2 * kFlowTokenTextMax> memory;
  // RFC 3261 16.6 item 4.
  OwnUris::RouteForm form;
  form.sips = job.in.essentials.request_uri.scheme == sip::Scheme::Sips ||
              ascii::starts_with_ignoring_case(job.route.next_route, "sips:");
  form.says_udp = core_.listener(in_listener).transport == Transport::Tls ||
                  core_.listener(target.listener).transport == Transport::Tls;
  const auto line = [&](ListenerIndex listener, const FlowToken& token) {
    Writer user(memory);
    write_flow_token(token, core_.mac, job.in.essentials.call_id, user);
    text_.text("Record-Route: ");
    core_.own.write_route(core_.name_for(listener), user.written_text(), {}, text_, form);
    text_.text("\r\n");
  };
  if (!access.paired) return line(target.listener, access);
  // RFC 5658: the side that the request leaves by stands on top.
  line(target.listener, target.to_access ? access : network);
  line(in_listener, target.to_access ? network : access);
}

bool RequestWriter::wants_alias(const Job& job) const {
  const std::uint16_t next_hop = job.target.next_hop;
  if (job.target.to_access || job.from == Side::Network ||
      next_hop >= core_.config.next_hops.size()) {
    return false;
  }
  return job.context.method == Method::Register
             ? registrations_.uses_alias(next_hop, job.context.user_agent)
             : core_.config.next_hops[next_hop].binding == BindingMode::Contact;
}

void RequestWriter::add_registration(const Job& job) {
  if (job.context.method != Method::Register || job.target.to_access || job.from == Side::Network ||
      job.target.next_hop >= core_.config.next_hops.size()) {
    return;
  }
  const NextHopConfig& next_hop = core_.config.next_hops[job.target.next_hop];
  if (next_hop.binding != BindingMode::Contact) add_path(job);
  if (next_hop.add_supported_path &&
      !sip::lists_token(job.in.view, HeaderName::Supported, "path")) {
    text_.text("Supported: path\r\n");
  }
}

void RequestWriter::add_path(const Job& job) {
  FlowToken token = token_of_source(job);
  token.kind = FlowToken::Kind::Path;
  token.user_agent = job.context.user_agent;
  token.outbound = has_reg_id(job.in.view) && is_first_hop(job.in.view);  // RFC 5626 5.1
  std::array<std::uint8_t, kFlowTokenTextMax> memory;
  Writer user(memory);
  write_flow_token(token, core_.mac, {}, user);
  text_.text("Path: ");
  core_.own.write_route(job.target.listener, user.written_text(), token.outbound ? ";ob" : "",
                        text_);
  text_.text("\r\n");
}

// --- What stands in the request already --------------------------------------------------------

void RequestWriter::set_max_forwards(const Job& job) {
  const sip::Header* forwards = job.in.view.find(HeaderName::MaxForwards);
  if (!forwards) return;
  const std::size_t at = text_.size();
  text_.number(job.in.essentials.max_forwards.value_or(70) - 1);
  edits_.replace(forwards->value, text_.written_text().substr(at));
}

// RFC 5393 5.3.3: what branches that are open at one time carry adds up to what the request
// carried, at most ours. A branch behind which another may follow gets one half.
std::uint32_t RequestWriter::take_breadth(const Job& job) {
  ResponseContext& context = job.context;
  bool any_open = false;
  for (std::uint8_t i = 0; i < context.branch_count(); ++i) {
    const ClientBranch& branch = context.branch(i);
    // One that says nothing is called off, and may still be at work.
    any_open |= branch.final_status == 0 || (branch.cancelled && branch.client);
  }
  if (!any_open) {
    const auto value = ascii::parse_number(job.in.view.value(HeaderName::MaxBreadth), 0xffff'ffff);
    context.breadth_left =
        std::min(value.value_or(core_.config.max_breadth), core_.config.max_breadth);
  }
  const std::uint32_t left = context.breadth_left;
  const std::uint32_t share = job.more_targets ? left - left / 2 : left;
  context.breadth_left = left - share;
  return std::max<std::uint32_t>(share, 1);
}

// Exactly one Max-Breadth.
void RequestWriter::set_max_breadth(const Job& job, std::uint32_t share) {
  const sip::MessageView& request = job.in.view;
  const sip::Header* breadth = request.find(HeaderName::MaxBreadth);
  if (!breadth) return;
  const std::size_t at = text_.size();
  text_.number(share);
  edits_.replace(breadth->value, text_.written_text().substr(at));
  for (const sip::Header* more = request.next(breadth); more; more = request.next(more)) {
    edits_.remove(*more);
  }
}

void RequestWriter::set_source_in_via(const Job& job) {
  if (job.context.own && job.context.method != Method::Ack) return;  // it has no Via yet
  const sip::Via& received = job.in.essentials.via;
  const std::string_view via = Replies::via_with_source(received, job.context.source, text_);
  if (via.data() != received.text.data()) {
    edits_.replace(job.in.view.slice(job.in.view.top_via()), via);
  }
}

void RequestWriter::set_contact_alias(const Job& job) {
  ResponseContext& context = job.context;
  const sip::MessageView& request = job.in.view;
  const bool is_register = context.method == Method::Register;
  if (is_register) context.user_agent = registrations_.registering(request, job.target.next_hop);
  if ((!is_register && !has_target_contact(context.method)) || !wants_alias(job) ||
      !is_first_hop(request)) {
    return;
  }
  FlowToken token = token_of_source(job);
  token.kind = FlowToken::Kind::Contact;
  token.user_agent =
      is_register ? context.user_agent
                  : registrations_.user_agent_of(context.source, request.value(HeaderName::From));
  for (const sip::Header* header = request.find(HeaderName::Contact); header;
       header = request.next(header)) {
    sip::ListCursor values(request.text(header->value));
    while (const auto value = values.next()) {
      const auto contact = sip::parse_name_addr(*value);
      if (!contact || !may_be_aliased(*contact)) continue;
      const std::size_t at = text_.size();
      if (write_contact_alias(contact->uri, token, job.target.listener, core_.own, core_.mac,
                              text_)) {
        edits_.replace(request.slice(contact->uri.text), text_.written_text().substr(at));
      }
    }
  }
}

// RFC 3261 18.3, 16.6 item 9.
void RequestWriter::set_body(const Job& job, std::string_view body) {
  const sip::MessageView& request = job.in.view;
  const bool is_new = static_cast<bool>(job.context.body);
  const sip::Header* length = request.find(HeaderName::ContentLength);
  const std::size_t at = text_.size();
  if (!length) {
    text_.text("Content-Length: ").number(body.size()).text("\r\n");
    edits_.insert(request.headers_end(), text_.written_text().substr(at));
  } else if (is_new) {
    text_.number(body.size());
    edits_.replace(length->value, text_.written_text().substr(at));
  }
  if (is_new) edits_.replace(request.slice(request.body()), body);
  const sip::Header* type = request.find(HeaderName::ContentType);
  if (is_new && body.empty() && type) edits_.remove(*type);
}

}  // namespace ringway
