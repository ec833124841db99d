#include "protocol/sip/params.h"

#include "protocol/base/ascii.h"
#include "protocol/sip/lexical.h"

namespace ringway::sip {

std::optional<Param> ParamCursor::next() {
  using lexical::kLws;
  const std::string_view text = rest_;
  std::size_t at = lexical::skip(text, 0, kLws);
  if (at == text.size()) {
    rest_ = {};
    return std::nullopt;
  }
  const auto malformed = [this]() -> std::optional<Param> {
    bad_ = true;
    rest_ = {};
    return std::nullopt;
  };
  if (text[at] != ';') return malformed();
  const std::size_t begin = lexical::skip(text, at + 1, kLws);
  const std::size_t name_end = lexical::skip(text, begin, lexical::kToken);
  // URI parameter names may also hold [ ] / : & + $ (param-unreserved); none of them is used, so
  // that only tokens are names.
  if (name_end == begin) return malformed();
  Param param;
  param.name = text.substr(begin, name_end - begin);
  std::size_t end = name_end;
  at = lexical::skip(text, name_end, kLws);
  if (at < text.size() && text[at] == '=') {
    param.has_value = true;
    const std::size_t value = lexical::skip(text, at + 1, kLws);
    if (value < text.size() && text[value] == '"') {
      end = lexical::skip_quoted(text, value);
      if (end == text.npos) return malformed();
    } else {
      end = lexical::skip(text, value, lexical::kValue);
    }
    param.value = text.substr(value, end - value);
    at = lexical::skip(text, end, kLws);
  }
  if (at < text.size() && text[at] != ';') return malformed();
  param.text = lexical::trim(text.substr(begin, end - begin));
  rest_ = text.substr(at);
  return param;
}

std::optional<Param> find_param(std::string_view params, std::string_view name) {
  ParamCursor cursor(params);
  while (const auto param = cursor.next()) {
    if (ascii::equal_ignoring_case(param->name, name)) return param;
  }
  return std::nullopt;
}

}  // namespace ringway::sip
