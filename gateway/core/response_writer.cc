#include "gateway/core/response_writer.h"

#include "gateway/nat/contact.h"
#include "protocol/sip/header_values.h"
#include "protocol/sip/name_addr.h"
#include "protocol/sip/parse.h"

namespace ringway {
namespace {

using sip::HeaderName;
using sip::Method;

// Takes the top Via value off: the whole line, or the value and its comma.
void remove_top_via(const sip::MessageView& response, sip::EditList& edits) {
  const sip::Header* header = response.find(HeaderName::Via);
  const std::string_view value = response.text(header->value);
  if (response.top_via().size() == value.size()) return edits.remove(*header);
  sip::ListCursor values(value);
  values.next();
  if (values.rest().empty()) return edits.remove(*header);
  const auto rest = static_cast<std::uint16_t>(values.rest().data() - response.text().data());
  edits.remove(header->value.offset, rest);
}

}  // namespace

BufferRef ResponseWriter::write(const ResponseContext& context, const sip::MessageView& response,
                                std::optional<std::string_view> body, Instant now) {
  edits_.clear();
  text_ = Writer(MutableBytes(scratch_));
  const sip::Status status = response.status();
  remove_top_via(response, edits_);  // item 3
  apply_header_rules(context, response);
  if (status < 300) name_far_end(context, response, now);
  if (status >= 300) remove_own_record_route(response);
  restore_contacts(response);
  if (status == 503) hide_service_unavailable(response);
  if (sip::is_challenge(status)) add_challenges(context, response);  // item 7
  if (sip::is_success(status)) add_session_timer(context, response);
  set_body(response, body);

  BufferRef buffer = core_.buffers.take(
      std::min<std::size_t>(response.text().size() + text_.size() + (body ? body->size() : 0) + 64,
                            BufferPool::kSizes.back()));
  Writer out(buffer ? buffer.space() : MutableBytes{});
  if (!buffer || text_.overflowed() || !edits_.write(response, out)) {
    core_.drop(DropReason::NoBuffer);
    return {};
  }
  buffer.set_size(out.size());
  return buffer;
}

void ResponseWriter::apply_header_rules(const ResponseContext& context,
                                        const sip::MessageView& response) {
  const Side from = context.target.to_access ? Side::Access : Side::Network;
  rules_.apply(response, from, core_.listener(context.source.listener).side, edits_);
}

// Where the dialog goes on is known now. Where that is no next hop, the token that comes back with
// every request of the dialog says so: then it is proven, after a restart too.
void ResponseWriter::name_far_end(const ResponseContext& context, const sip::MessageView& response,
                                  Instant now) {
  if (!context.initial || context.target.to_access || !response.has(HeaderName::RecordRoute)) {
    return;
  }
  const std::uint32_t far_end = router_.far_end_of(response, now);
  if (far_end == 0) return;
  const std::string_view call_id = response.value(HeaderName::CallId);
  for (const sip::Header* header = response.find(HeaderName::RecordRoute); header;
       header = response.next(header)) {
    sip::ListCursor values(response.text(header->value));
    while (const auto value = values.next()) {
      const auto route = sip::parse_name_addr(*value);
      if (!route || !core_.own.is_own(route->uri)) continue;
      auto token = read_flow_token(route->uri.user, core_.mac, call_id);
      if (!token || token->kind != FlowToken::Kind::Access || token->leg != context.leg) continue;
      token->far_end = far_end;
      const std::size_t at = text_.size();
      write_flow_token(*token, core_.mac, call_id, text_);
      edits_.replace(response.slice(route->uri.user), text_.written_text().substr(at));
    }
  }
}

// RFC 3261 16.7: a response that makes no dialog gives nobody a Route set.
void ResponseWriter::remove_own_record_route(const sip::MessageView& response) {
  for (const sip::Header* header = response.find(HeaderName::RecordRoute); header;
       header = response.next(header)) {
    const std::size_t at = text_.size();
    bool removed = false;
    sip::ListCursor values(response.text(header->value));
    while (const auto value = values.next()) {
      const auto route = sip::parse_name_addr(*value);
      if (!route || core_.own.is_own(route->uri)) {
        removed = true;
      } else {
        if (text_.size() != at) text_.text(", ");
        text_.text(*value);
      }
    }
    if (!removed) continue;
    const std::string_view rest = text_.written_text().substr(at);
    if (rest.empty()) {
      edits_.remove(*header);
    } else {
      edits_.replace(header->value, rest);
    }
  }
}

// The user agent sees its own Contact again, whatever the registrar stored.
void ResponseWriter::restore_contacts(const sip::MessageView& response) {
  for (const sip::Header* header = response.find(HeaderName::Contact); header;
       header = response.next(header)) {
    const std::string_view all = response.text(header->value);
    if (all.find(";rwc=") == all.npos) continue;
    sip::ListCursor values(all);
    while (const auto value = values.next()) {
      if (value->find(";rwc=") == value->npos) continue;
      const auto contact = sip::parse_name_addr(*value);
      if (!contact) continue;
      const auto alias = undo_contact_alias(contact->uri, core_.own, core_.mac, text_);
      if (alias && !alias->refused) edits_.replace(response.slice(contact->uri.text), alias->uri);
    }
  }
}

// RFC 3261 16.7 item 6: a 503 that is ours alone to know says nothing of others.
void ResponseWriter::hide_service_unavailable(const sip::MessageView& response) {
  edits_.replace(response.slice(response.start_line()), "SIP/2.0 500 Server Internal Error");
  if (const sip::Header* retry = response.find(HeaderName::RetryAfter)) edits_.remove(*retry);
}

// The challenges of all branches, each branch's in its order.
void ResponseWriter::add_challenges(const ResponseContext& context,
                                    const sip::MessageView& response) {
  const std::size_t at = text_.size();
  for (std::uint8_t i = 0; i < context.branch_count(); ++i) {
    const BufferRef& challenge = context.branch(i).challenge;
    if (i == context.best_branch() || !challenge) continue;
    if (!sip::parse_message(challenge.bytes(), sip::Framing::Datagram, other_)) continue;
    for (const sip::Header& header : other_.headers()) {
      if (header.name == HeaderName::WwwAuthenticate ||
          header.name == HeaderName::ProxyAuthenticate) {
        text_.text(other_.text().substr(header.begin, header.end - header.begin));
      }
    }
  }
  if (text_.size() != at) edits_.insert(response.headers_end(), text_.written_text().substr(at));
}

// RFC 4028 8.2: where the answering side does not know session timers, its caller refreshes.
void ResponseWriter::add_session_timer(const ResponseContext& context,
                                       const sip::MessageView& response) {
  if (!context.session_timer || response.has(HeaderName::SessionExpires) ||
      (context.method != Method::Invite && context.method != Method::Update) ||
      !sip::parse_message(context.request.bytes(), sip::Framing::Datagram, other_)) {
    return;
  }
  const std::string_view wanted = other_.value(HeaderName::SessionExpires);
  const std::size_t at = text_.size();
  text_.text("Session-Expires: ").text(wanted.substr(0, wanted.find(';')));
  text_.text(";refresher=uac\r\nRequire: timer\r\n");
  edits_.insert(response.headers_end(), text_.written_text().substr(at));
}

void ResponseWriter::set_body(const sip::MessageView& response,
                              std::optional<std::string_view> body) {
  const std::size_t at = text_.size();
  const std::size_t size = body ? body->size() : response.body().size();
  if (const sip::Header* length = response.find(HeaderName::ContentLength)) {
    if (!body) return;
    text_.number(size);
    edits_.replace(length->value, text_.written_text().substr(at));
  } else {
    text_.text("Content-Length: ").number(size).text("\r\n");
    edits_.insert(response.headers_end(), text_.written_text().substr(at));
  }
  if (body) edits_.replace(response.slice(response.body()), *body);
  const sip::Header* type = response.find(HeaderName::ContentType);
  if (body && body->empty() && type) edits_.remove(*type);
}

}  // namespace ringway
