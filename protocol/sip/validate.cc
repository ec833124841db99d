#include "protocol/sip/validate.h"

#include <array>

#include "protocol/base/ascii.h"
#include "protocol/sip/in_place.h"
#include "protocol/sip/lexical.h"
#include "protocol/sip/limits.h"
#include "protocol/sip/name_addr.h"
#include "protocol/sip/params.h"

namespace ringway::sip {
namespace {

Verdict refuse(Status status, std::string_view reason) {
  return {status, reason, true};
}

Verdict verdict_of(const MessageView& message) {
  switch (message.defect()) {
    case Defect::None:
      return {};
    case Defect::Version:
      return refuse(505, "Version Not Supported");
    case Defect::RequestUri:
      return refuse(400, "Malformed Request Line");
    case Defect::StartLineTooLong:
      // A line that is too long for its method alone says nothing of its Request-URI.
      if (message.text().substr(0, kMethodBytesMax + 1).find(' ') == std::string_view::npos) {
        return refuse(501, "Not Implemented");
      }
      return refuse(414, "Request-URI Too Long");
    case Defect::MethodToken:
      return message.method_text().size() > kMethodBytesMax ? refuse(501, "Not Implemented")
                                                            : refuse(400, "Malformed Method");
    case Defect::HeaderSyntax:
      return refuse(400, "Malformed Header Field");
    case Defect::TooManyHeaders:
    case Defect::HeadTooLarge:
    case Defect::BodyTooLarge:
      return refuse(513, "Message Too Large");
    case Defect::ContentLength:
      return refuse(400, "Bad Content-Length");
    case Defect::BodyTooShort:
      return refuse(400, "Body Too Short");
    case Defect::StatusCode:
      return refuse(400, "Bad Status Code");
  }
  return {};
}

constexpr std::array<HeaderName, 5> kOnceEach = {HeaderName::To, HeaderName::From,
                                                 HeaderName::CallId, HeaderName::CSeq,
                                                 HeaderName::MaxForwards};

bool has_what_an_answer_needs(const MessageView& message) {
  return message.has(HeaderName::Via) && message.has(HeaderName::To) &&
         message.has(HeaderName::From) && message.has(HeaderName::CallId) &&
         message.has(HeaderName::CSeq);
}

// False: it could not be read, and its text is empty.
bool read_top_via(const MessageView& message, Essentials& out) {
  if (!read_via(message.top_via(), out.via)) return true;
  out.via = {};
  return false;
}

// Via values: their commas are counted, not their quotes, which no Via in the field has.
Verdict check_via(const MessageView& message, Essentials& out) {
  if (!read_top_via(message, out)) return refuse(400, "Malformed Via");
  // The bare cookie names nothing: two such requests would match each other (RFC 4475 3.2.1).
  if (out.via.branch == kMagicCookie) return refuse(400, "Bad Branch");
  // No branch at all is RFC 2543's way; an empty one is nobody's.
  if (out.via.branch.empty() && find_param(out.via.params, "branch")) {
    return refuse(400, "Bad Branch");
  }
  if (out.via.branch.size() > kTokenBytesMax) return refuse(400, "Branch Too Long");
  std::size_t values = 0;
  for (const Header* header = message.find(HeaderName::Via); header;
       header = message.next(header)) {
    const std::string_view text = message.text(header->value);
    ++values;
    for (std::size_t comma = text.find(','); comma != text.npos;
         comma = text.find(',', comma + 1)) {
      ++values;
    }
  }
  if (values > kViaCountMax) return refuse(513, "Too Many Via Values");
  return {};
}

// From or To. Two tags, of which two readers could take different ones, are refused, and one
// without a value, which one reader takes for a tag and another for none.
bool read_party(const MessageView& message, HeaderName name, std::string_view& tag) {
  NameAddr party;
  TagScan found;
  if (read_name_addr(message.value(name), party, found) || party.is_star) return false;
  tag = found.value;
  if (found.count == 0) return true;
  return found.count == 1 && !tag.empty() && tag.size() <= kTokenBytesMax;
}

bool good_call_id(std::string_view call_id) {
  return call_id.size() <= kTokenBytesMax && lexical::all(call_id, lexical::kWord);
}

// What requests and responses have in common (RFC 3261 8.1.1, 16.3 item 1, 18.1.2).
Verdict check_common(const MessageView& message, Essentials& out) {
  out = {};
  if (const Verdict verdict = verdict_of(message); !verdict.ok()) {
    read_top_via(message, out);
    return verdict;
  }
  if (!message.has(HeaderName::Via)) return refuse(400, "Missing Via");
  if (const Verdict verdict = check_via(message, out); !verdict.ok()) return verdict;
  for (const HeaderName name : kOnceEach) {
    if (message.repeats(name)) return refuse(400, "Repeated Header Field");
    if (!message.has(name) && name != HeaderName::MaxForwards) {
      return refuse(400, "Missing Header Field");
    }
  }
  const auto cseq = parse_cseq(message.value(HeaderName::CSeq));
  if (!cseq) return refuse(400, "Malformed CSeq");
  out.cseq = *cseq;
  out.call_id = message.value(HeaderName::CallId);
  if (!good_call_id(out.call_id)) return refuse(400, "Malformed Call-ID");
  if (!read_party(message, HeaderName::From, out.from_tag)) return refuse(400, "Malformed From");
  if (!read_party(message, HeaderName::To, out.to_tag)) return refuse(400, "Malformed To");
  return {};
}

// Each percent sign begins an escape of two hexadecimal digits (RFC 3261 25.1).
bool good_escapes(std::string_view text) {
  for (std::size_t at = text.find('%'); at != text.npos; at = text.find('%', at + 1)) {
    if (text.size() - at < 3 || !ascii::all(text.substr(at + 1, 2), ascii::kHex)) return false;
  }
  return true;
}

// Schemes without a host that a proxy sends on to where such requests go: emergency services
// (RFC 5031, RFC 6881), instant messages and presence (RFC 3859, RFC 3860).
bool is_forwarded(std::string_view scheme) {
  return ascii::equal_ignoring_case(scheme, "urn") || ascii::equal_ignoring_case(scheme, "im") ||
         ascii::equal_ignoring_case(scheme, "pres");
}

Verdict check_request_uri(const MessageView& request, Essentials& out) {
  Uri& uri = out.request_uri;
  if (const auto error = read_uri(request.request_uri(), uri)) {
    return *error == UriError::TooLong ? refuse(414, "Request-URI Too Long")
                                       : refuse(400, "Malformed Request-URI");
  }
  if (uri.scheme == Scheme::Other && !is_forwarded(uri.scheme_text)) {
    return refuse(416, "Unsupported URI Scheme");
  }
  if (!good_escapes(uri.text)) return refuse(400, "Malformed Request-URI");
  // Headers may not be there (RFC 3261 19.1.1, table 1) and must never become headers.
  if (!uri.headers.empty()) return refuse(400, "Headers In Request-URI");
  return {};
}

// One value of Contact or Route.
bool good_address(const MessageView& request, HeaderName name, std::string_view value) {
  NameAddr address;
  TagScan unused;
  if (read_name_addr(value, address, unused)) return false;
  if (address.is_star) {
    return name == HeaderName::Contact && request.method() == Method::Register;
  }
  // A route is always in angle brackets (RFC 3261 20.34).
  return name != HeaderName::Route || address.has_angles;
}

// Each value of a header that holds a list of addresses.
Verdict check_addresses(const MessageView& request, HeaderName name, std::size_t count_max,
                        std::string_view malformed) {
  std::size_t count = 0;
  for (const Header* header = request.find(name); header; header = request.next(header)) {
    const std::string_view text = request.text(header->value);
    if (text.find(',') == text.npos && !text.empty()) {
      if (!good_address(request, name, text) || ++count > count_max) return refuse(400, malformed);
      continue;
    }
    ListCursor list(text);
    while (const auto value = list.next()) {
      if (!good_address(request, name, *value) || ++count > count_max) {
        return refuse(400, malformed);
      }
    }
    if (list.bad()) return refuse(400, malformed);
  }
  return {};
}

Verdict check_request(const MessageView& request, Essentials& out) {
  if (const Verdict verdict = check_common(request, out); !verdict.ok()) return verdict;
  if (out.cseq.method_text != request.method_text()) return refuse(400, "CSeq Method Mismatch");
  if (const Verdict verdict = check_request_uri(request, out); !verdict.ok()) return verdict;
  if (const Header* header = request.find(HeaderName::MaxForwards)) {
    out.max_forwards = parse_max_forwards(request.text(header->value));
    if (!out.max_forwards) return refuse(400, "Malformed Max-Forwards");
  }
  const Verdict contacts =
      check_addresses(request, HeaderName::Contact, kContactCountMax, "Malformed Contact");
  if (!contacts.ok()) return contacts;
  return check_addresses(request, HeaderName::Route, kRouteCountMax, "Malformed Route");
}

}  // namespace

Verdict validate_request(const MessageView& request, Essentials& out) {
  Verdict verdict = check_request(request, out);
  if (!verdict.ok()) verdict.answerable = has_what_an_answer_needs(request);
  return verdict;
}

Verdict validate_request(const MessageView& request) {
  Essentials unused;
  return validate_request(request, unused);
}

Verdict validate_response(const MessageView& response, Essentials& out) {
  Verdict verdict = check_common(response, out);
  verdict.answerable = false;
  return verdict;
}

Verdict validate_response(const MessageView& response) {
  Essentials unused;
  return validate_response(response, unused);
}

}  // namespace ringway::sip
