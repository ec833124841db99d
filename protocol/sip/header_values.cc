#include "protocol/sip/header_values.h"

#include "protocol/base/ascii.h"
#include "protocol/sip/lexical.h"
#include "protocol/sip/limits.h"
#include "protocol/sip/name_addr.h"
#include "protocol/sip/params.h"

namespace ringway::sip {

std::optional<CSeq> parse_cseq(std::string_view value) {
  const std::string_view text = lexical::trim(value);
  std::size_t digits = 0;
  while (digits < text.size() && ascii::is_digit(text[digits])) ++digits;
  const auto number = ascii::parse_number(text.substr(0, digits), kCSeqMax);
  const std::size_t method = lexical::skip(text, digits, lexical::kLws);
  if (!number || method == digits) return std::nullopt;
  CSeq out;
  out.number = *number;
  out.method_text = text.substr(method);
  if (!lexical::all(out.method_text, lexical::kToken)) return std::nullopt;
  out.method = parse_method(out.method_text);
  return out;
}

std::optional<std::uint32_t> parse_max_forwards(std::string_view value) {
  return ascii::parse_number(lexical::trim(value), kMaxForwardsMax);
}

std::optional<std::uint32_t> parse_seconds(std::string_view value) {
  const std::string_view text = lexical::trim(value);
  std::size_t digits = 0;
  while (digits < text.size() && ascii::is_digit(text[digits])) ++digits;
  const std::size_t next = lexical::skip(text, digits, lexical::kLws);
  if (next < text.size() && text[next] != ';' && text[next] != '(') return std::nullopt;
  return ascii::parse_number(text.substr(0, digits), 0xffff'ffff);
}

bool lists_token(const MessageView& message, HeaderName name, std::string_view token) {
  for (const Header* header = message.find(name); header; header = message.next(header)) {
    ListCursor list(message.text(header->value));
    while (const auto element = list.next()) {
      if (ascii::equal_ignoring_case(*element, token)) return true;
    }
  }
  return false;
}

std::string_view find_tag(std::string_view name_addr) {
  std::size_t at = lexical::skip(name_addr, 0, lexical::kLws);
  if (at < name_addr.size() && name_addr[at] == '"') {
    at = lexical::skip_quoted(name_addr, at);
    if (at == name_addr.npos) return {};
  } else {
    at = lexical::skip(name_addr, at, lexical::kDisplay);
  }
  at = lexical::skip(name_addr, at, lexical::kLws);
  if (at < name_addr.size() && name_addr[at] == '<') {
    at = name_addr.find('>', at);
    if (at == name_addr.npos) return {};
  }
  at = name_addr.find(';', at);
  if (at == name_addr.npos) return {};
  const auto tag = find_param(name_addr.substr(at), "tag");
  return tag ? tag->value : std::string_view{};
}

}  // namespace ringway::sip
