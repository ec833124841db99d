#include "gateway/core/parts.h"
#include "gateway/nat/contact.h"
#include "protocol/sip/name_addr.h"
#include "protocol/sip/parse.h"

// RFC 3261 16.7 items 3 to 9: our Via comes off, what we changed in the request is changed back.

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

void ProxyCore::Parts::forward_stored(SlotId id, BufferRef message, std::string_view new_body,
                                      bool body_changed, Instant now, Outbox& outbox) {
  if (!sip::parse_message(message.bytes(), sip::Framing::Datagram, other_view)) {
    return fail_locally(id, 500, {}, now, outbox);
  }
  forward_response(id, other_view, new_body, body_changed, now, outbox);
}

void ProxyCore::Parts::forward_response(SlotId id, const sip::MessageView& response,
                                        std::string_view new_body, bool body_changed, Instant now,
                                        Outbox& outbox) {
  ResponseContext& context = *contexts.find(id);
  const SlotId server = context.server;
  const sip::Status status = response.status();
  if (!transactions.server(server)) {  // a request of our own, or its asker is gone
    if (sip::is_final(status) && context.method != Method::Register) end_context(id, now, outbox);
    return;
  }
  edits.clear();
  Writer text(MutableBytes(scratch).subspan(4096));
  Writer undone(MutableBytes(scratch).first(4096));
  remove_top_via(response, edits);

  // The user agent sees its own Contact again, whatever the registrar stored.
  for (const sip::Header* header = response.find(HeaderName::Contact); header;
       header = response.next(header)) {
    const std::string_view all = response.text(header->value);
    if (all.find(";rwc=") == all.npos) continue;
    sip::ListCursor values(all);
    while (const auto value = values.next()) {
      if (value->find(";rwc=") == value->npos) continue;
      const auto contact = sip::parse_name_addr(*value);
      if (!contact) continue;
      const auto alias = undo_contact_alias(contact->uri, own, mac, undone);
      if (alias && !alias->refused) edits.replace(response.slice(contact->uri.text), alias->uri);
    }
  }
  // RFC 3261 16.7 item 6: a 503 that is ours alone to know says nothing of others.
  if (status == 503) {
    const sip::Slice line = response.slice(response.start_line());
    edits.replace(line, "SIP/2.0 500 Server Internal Error");
    if (const sip::Header* retry = response.find(HeaderName::RetryAfter)) edits.remove(*retry);
  }
  // 16.7 item 7: the challenges of all branches, each branch's in its order.
  if (status == 401 || status == 407) {
    std::size_t at = text.size();
    for (std::uint8_t i = 0; i < context.branch_count; ++i) {
      if (i == context.best_branch || !context.branches[i].challenge) continue;
      sip::MessageView& other = &response == &view ? other_view : view;
      if (!sip::parse_message(context.branches[i].challenge.bytes(), sip::Framing::Datagram,
                              other)) {
        continue;
      }
      for (const sip::Header& header : other.headers()) {
        if (header.name != HeaderName::WwwAuthenticate &&
            header.name != HeaderName::ProxyAuthenticate) {
          continue;
        }
        text.text(other.text().substr(header.begin, header.end - header.begin));
      }
    }
    if (text.size() != at) {
      edits.insert(response.headers_end(), text.written_text().substr(at));
    }
  }
  // RFC 4028 8.2: where the answering side does not know session timers, its caller refreshes.
  if (context.session_timer && sip::is_success(status) &&
      (context.method == Method::Invite || context.method == Method::Update) &&
      !response.has(HeaderName::SessionExpires)) {
    sip::MessageView& request = &response == &view ? other_view : view;
    if (sip::parse_message(context.request.bytes(), sip::Framing::Datagram, request)) {
      const std::string_view wanted = request.value(HeaderName::SessionExpires);
      const std::size_t at = text.size();
      text.text("Session-Expires: ").text(wanted.substr(0, wanted.find(';')));
      text.text(";refresher=uac\r\nRequire: timer\r\n");
      edits.insert(response.headers_end(), text.written_text().substr(at));
    }
  }
  const std::string_view body = body_changed ? new_body : response.body();
  if (const sip::Header* length = response.find(HeaderName::ContentLength)) {
    if (body_changed) {
      const std::size_t at = text.size();
      text.number(body.size());
      edits.replace(length->value, text.written_text().substr(at));
    }
  } else {
    const std::size_t at = text.size();
    text.text("Content-Length: ").number(body.size()).text("\r\n");
    edits.insert(response.headers_end(), text.written_text().substr(at));
  }
  if (body_changed) edits.replace(response.slice(response.body()), body);

  BufferRef buffer = buffers.take(std::min<std::size_t>(
      response.text().size() + text.size() + undone.size() + (body_changed ? body.size() : 0) + 64,
      BufferPool::kSizes.back()));
  Writer out(buffer ? buffer.space() : MutableBytes{});
  if (!buffer || text.overflowed() || !edits.write(response, out)) {
    drop(DropReason::NoBuffer);
    if (sip::is_final(status)) fail_locally(id, 500, {}, now, outbox);
    return;
  }
  buffer.set_size(out.size());
  transactions.respond(server, status, std::move(buffer), now, outbox);
  if (!sip::is_final(status)) return;
  context.answered = true;
  // A 2xx to INVITE may be repeated for 64*T1 (RFC 6026 8.1): the context stays with its client
  // transaction. All others are over; REGISTER's caller still reads the context.
  if (context.method == Method::Invite && sip::is_success(status)) return;
  if (context.method == Method::Register && sip::is_success(status)) return;
  end_context(id, now, outbox);
}

}  // namespace ringway
