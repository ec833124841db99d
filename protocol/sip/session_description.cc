#include "protocol/sip/session_description.h"

#include <optional>

#include "protocol/base/ascii.h"
#include "protocol/sip/lexical.h"
#include "protocol/sip/params.h"

namespace ringway::sip {
namespace {

// What the header fields of a message or of a body part say of what follows them.
struct Entity {
  std::string_view type, encoding, transfer_encoding, disposition;
  std::string_view content;
};

// The first word of a value, without its parameters.
std::string_view first_word(std::string_view value) {
  return lexical::trim(value.substr(0, value.find_first_of(";,")));
}

bool is_encoded(const Entity& entity) {
  const std::string_view encoding = first_word(entity.encoding);
  if (!encoding.empty() && !ascii::equal_ignoring_case(encoding, "identity")) return true;
  const std::string_view transfer = first_word(entity.transfer_encoding);
  return ascii::equal_ignoring_case(transfer, "base64") ||
         ascii::equal_ignoring_case(transfer, "quoted-printable");
}

bool is_session(const Entity& entity) {
  const std::string_view disposition = first_word(entity.disposition);
  return disposition.empty() || ascii::equal_ignoring_case(disposition, "session");
}

// A header field that may be folded (RFC 2045, RFC 5322 2.2.3). Advances rest behind its line end.
std::string_view take_field(std::string_view& rest) {
  std::size_t end = 0;
  for (;;) {
    end = rest.find('\n', end);
    if (end == rest.npos) {
      end = rest.size();
      break;
    }
    if (++end == rest.size() || !ascii::is_space(rest[end])) break;
  }
  const std::string_view field = rest.substr(0, end);
  rest.remove_prefix(end);
  return field;
}

Entity read_part(std::string_view part) {
  Entity entity;
  while (!part.empty()) {
    const std::string_view field = take_field(part);
    const std::string_view text = lexical::trim(field);
    if (text.empty()) break;
    const std::size_t colon = text.find(':');
    if (colon == text.npos) continue;
    const std::string_view name = lexical::trim(text.substr(0, colon));
    const std::string_view value = lexical::trim(text.substr(colon + 1));
    if (ascii::equal_ignoring_case(name, "Content-Type")) entity.type = value;
    if (ascii::equal_ignoring_case(name, "Content-Encoding")) entity.encoding = value;
    if (ascii::equal_ignoring_case(name, "Content-Disposition")) entity.disposition = value;
    if (ascii::equal_ignoring_case(name, "Content-Transfer-Encoding")) {
      entity.transfer_encoding = value;
    }
  }
  entity.content = part;
  return entity;
}

// A line of a multipart body that begins with two hyphens and the boundary.
struct Delimiter {
  std::size_t begin = 0;  // with the line end before it, which belongs to it
  std::size_t end = 0;    // behind its own line end
  bool last = false;
};

std::optional<Delimiter> find_delimiter(std::string_view body, std::string_view boundary,
                                        std::size_t from) {
  for (std::size_t at = from; (at = body.find("--", at)) != body.npos; at += 2) {
    if (at != 0 && body[at - 1] != '\n') continue;
    if (!body.substr(at + 2).starts_with(boundary)) continue;
    Delimiter found;
    found.begin = at;
    if (found.begin > from && body[found.begin - 1] == '\n') --found.begin;
    if (found.begin > from && body[found.begin - 1] == '\r') --found.begin;
    std::size_t end = at + 2 + boundary.size();
    found.last = body.substr(end).starts_with("--");
    if (found.last) end += 2;
    while (end < body.size() && ascii::is_space(body[end])) ++end;
    if (end < body.size() && body[end] == '\r') ++end;
    if (end < body.size() && body[end] != '\n') continue;  // a longer boundary
    found.end = end < body.size() ? end + 1 : end;
    return found;
  }
  return std::nullopt;
}

std::string_view boundary_of(const MediaType& type) {
  const auto param = find_param(type.params, "boundary");
  if (!param) return {};
  std::string_view value = param->value;
  if (value.size() >= 2 && value.front() == '"') value = value.substr(1, value.size() - 2);
  return value;
}

SessionDescription find_in(const Entity& entity, int depth) {
  using Kind = SessionDescription::Kind;
  const MediaType type = parse_media_type(entity.type);
  if (type.is("application", "sdp")) {
    if (!is_session(entity) || entity.content.empty()) return {};
    return {is_encoded(entity) ? Kind::Encoded : Kind::Readable, entity.content};
  }
  if (!ascii::equal_ignoring_case(type.type, "multipart") || is_encoded(entity)) return {};
  const std::string_view boundary = boundary_of(type);
  if (boundary.empty() || depth == SessionDescription::kDepthMax) return {};
  SessionDescription found;
  auto open = find_delimiter(entity.content, boundary, 0);
  while (open && !open->last) {
    const auto close = find_delimiter(entity.content, boundary, open->end);
    if (!close) break;
    const std::string_view part = entity.content.substr(open->end, close->begin - open->end);
    const SessionDescription here = find_in(read_part(part), depth + 1);
    if (here.kind == Kind::Readable) return here;
    if (found.kind == Kind::None) found = here;
    open = close;
  }
  return found;
}

}  // namespace

bool MediaType::is(std::string_view wanted_type, std::string_view wanted_subtype) const {
  return ascii::equal_ignoring_case(type, wanted_type) &&
         ascii::equal_ignoring_case(subtype, wanted_subtype);
}

MediaType parse_media_type(std::string_view value) {
  MediaType parsed;
  const std::size_t semicolon = value.find(';');
  if (semicolon != value.npos) parsed.params = value.substr(semicolon);
  const std::string_view whole = value.substr(0, semicolon);
  const std::size_t slash = whole.find('/');
  if (slash == whole.npos) return parsed;
  parsed.type = lexical::trim(whole.substr(0, slash));
  parsed.subtype = lexical::trim(whole.substr(slash + 1));
  return parsed;
}

SessionDescription find_session_description(const MessageView& message) {
  if (message.body().empty()) return {};
  Entity entity;
  entity.type = message.value(HeaderName::ContentType);
  entity.encoding = message.value(HeaderName::ContentEncoding);
  entity.disposition = message.value(HeaderName::ContentDisposition);
  entity.content = message.body();
  return find_in(entity, 0);
}

}  // namespace ringway::sip
