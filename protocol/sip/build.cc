#include "protocol/sip/build.h"

#include <algorithm>

#include "protocol/base/ascii.h"
#include "protocol/sip/header_values.h"
#include "protocol/sip/lexical.h"
#include "protocol/sip/name_addr.h"

namespace ringway::sip {
namespace {

// Writes value on one line: each run of white space with a line end in it becomes one space. No
// CR or LF of a stranger's header gets into a message of ours.
void write_unfolded(std::string_view value, Writer& out) {
  while (true) {
    const std::size_t end = std::min(value.find('\n'), value.find('\r'));
    if (end == value.npos) break;
    out.text(lexical::trim(value.substr(0, end))).character(' ');
    value = value.substr(lexical::skip(value, end, lexical::kLws));
  }
  out.text(value);
}

void write_line(std::string_view name, std::string_view value, Writer& out) {
  out.text(name).text(": ");
  write_unfolded(value, out);
  out.text("\r\n");
}

void copy_first(const MessageView& message, HeaderName name, Writer& out) {
  if (message.has(name)) write_line(to_text(name), message.value(name), out);
}

void copy_all(const MessageView& message, HeaderName name, Writer& out) {
  for (const Header* header = message.find(name); header; header = message.next(header)) {
    write_line(to_text(name), message.text(header->value), out);
  }
}

// All Via values behind the first skip; the first of them is replaced by top, if that is given.
void write_vias(const MessageView& request, std::uint16_t skip, std::string_view top, Writer& out) {
  for (const Header* header = request.find(HeaderName::Via); header;
       header = request.next(header)) {
    const std::string_view value = request.text(header->value);
    if (skip == 0 && top.empty()) {
      write_line("Via", value, out);
      continue;
    }
    ListCursor list(value);
    while (const auto element = list.next()) {
      if (skip > 0) {
        --skip;
        continue;
      }
      write_line("Via", top.empty() ? *element : top, out);
      top = {};
    }
  }
}

void write_to(const MessageView& request, std::string_view tag, Writer& out) {
  if (!request.has(HeaderName::To)) return;
  const std::string_view value = request.value(HeaderName::To);
  out.text("To: ");
  write_unfolded(value, out);
  if (!tag.empty() && find_tag(value).empty()) out.text(";tag=").text(tag);
  out.text("\r\n");
}

void write_cseq(const MessageView& request, std::string_view method, Writer& out) {
  const auto cseq = parse_cseq(request.value(HeaderName::CSeq));
  out.text("CSeq: ").number(cseq ? cseq->number : 0).character(' ').text(method).text("\r\n");
}

// The start and the headers that ACK and CANCEL take from their INVITE.
void write_follower(const MessageView& invite, std::string_view method, std::string_view to,
                    Writer& out) {
  out.text(method).character(' ').text(invite.request_uri()).text(" SIP/2.0\r\n");
  write_line("Via", invite.top_via(), out);
  out.text("Max-Forwards: 70\r\n");
  copy_all(invite, HeaderName::Route, out);
  copy_first(invite, HeaderName::From, out);
  write_line("To", to, out);
  copy_first(invite, HeaderName::CallId, out);
  write_cseq(invite, method, out);
}

}  // namespace

void write_response(const MessageView& request, Status status, const ResponseOptions& options,
                    Writer& out, std::uint16_t skip_vias) {
  const std::string_view reason = options.reason.empty() ? default_reason(status) : options.reason;
  out.text("SIP/2.0 ").number(status).character(' ').text(reason).text("\r\n");
  write_vias(request, skip_vias, options.top_via, out);
  copy_first(request, HeaderName::From, out);
  write_to(request, options.to_tag, out);
  copy_first(request, HeaderName::CallId, out);
  copy_first(request, HeaderName::CSeq, out);
  if (status == 100) {
    for (const Header& header : request.headers()) {
      if (ascii::equal_ignoring_case(request.text(header.name_text), "Timestamp")) {
        write_line("Timestamp", request.text(header.value), out);
      }
    }
  }
  out.text(options.extra).text("Content-Length: 0\r\n\r\n");
}

void write_ack(const MessageView& invite, const MessageView& response, Writer& out) {
  write_follower(invite, "ACK", response.value(HeaderName::To), out);
  out.text("Content-Length: 0\r\n\r\n");
}

void write_cancel(const MessageView& invite, std::string_view extra, Writer& out) {
  write_follower(invite, "CANCEL", invite.value(HeaderName::To), out);
  out.text(extra).text("Content-Length: 0\r\n\r\n");
}

}  // namespace ringway::sip
