#include "protocol/sip/name_addr.h"

#include "protocol/base/ascii.h"
#include "protocol/sip/in_place.h"
#include "protocol/sip/lexical.h"
#include "protocol/sip/params.h"

namespace ringway::sip {
namespace {

using lexical::kLws;

bool good_params(std::string_view params, TagScan& tag) {
  ParamCursor cursor(params);
  while (const auto param = cursor.next()) {
    if (param->name.size() == 3 && ascii::equal_ignoring_case(param->name, "tag")) {
      if (tag.count == 0) tag.value = param->value;
      if (tag.count < 2) ++tag.count;
    }
  }
  return !cursor.bad();
}

// text[open] is the angle bracket that starts the URI.
std::optional<NameAddrError> read_bracketed(std::string_view text, std::size_t open, NameAddr& out,
                                            TagScan& tag) {
  const std::size_t close = text.find('>', open);
  if (close == text.npos) return NameAddrError::UnclosedAngle;
  if (read_uri(text.substr(open + 1, close - open - 1), out.uri)) return NameAddrError::BadUri;
  out.has_angles = true;
  out.params = lexical::trim(text.substr(close + 1));
  if (!good_params(out.params, tag)) return NameAddrError::BadParams;
  return std::nullopt;
}

// addr-spec: a semicolon starts header parameters, and neither question mark nor comma may be
// there (RFC 3261 20).
std::optional<NameAddrError> read_bare(std::string_view text, NameAddr& out, TagScan& tag) {
  const std::size_t semicolon = text.find(';');
  const std::string_view address = lexical::trim(text.substr(0, semicolon));
  if (address.find('?') != address.npos || address.find(',') != address.npos) {
    return NameAddrError::BadUri;
  }
  if (read_uri(address, out.uri)) return NameAddrError::BadUri;
  if (semicolon != text.npos) out.params = text.substr(semicolon);
  if (!good_params(out.params, tag)) return NameAddrError::BadParams;
  return std::nullopt;
}

}  // namespace

std::optional<std::string_view> NameAddr::param(std::string_view name) const {
  const auto found = find_param(params, name);
  if (!found) return std::nullopt;
  return found->value;
}

std::expected<NameAddr, NameAddrError> parse_name_addr(std::string_view value) {
  std::expected<NameAddr, NameAddrError> out;
  TagScan unused;
  if (const auto error = read_name_addr(value, *out, unused)) return std::unexpected(*error);
  return out;
}

std::optional<NameAddrError> read_name_addr(std::string_view value, NameAddr& out, TagScan& tag) {
  const std::string_view text = lexical::trim(value);
  if (text.empty()) return NameAddrError::Empty;
  out.text = text;
  if (text == "*") {
    out.is_star = true;
    return std::nullopt;
  }
  if (text[0] == '"') {
    const std::size_t end = lexical::skip_quoted(text, 0);
    if (end == text.npos) return NameAddrError::BadDisplayName;
    out.display_name = text.substr(0, end);
    const std::size_t open = lexical::skip(text, end, kLws);
    if (open == text.size() || text[open] != '<') return NameAddrError::BadDisplayName;
    return read_bracketed(text, open, out, tag);
  }
  const std::size_t open = lexical::skip(text, 0, lexical::kDisplay);
  if (open < text.size() && text[open] == '<') {
    out.display_name = lexical::trim(text.substr(0, open));
    return read_bracketed(text, open, out, tag);
  }
  // A comma in a display name without quotes, as in RFC 4475 3.1.2.15, ends here as well.
  return read_bare(text, out, tag);
}

std::optional<std::string_view> ListCursor::next() {
  while (true) {
    if (rest_.empty()) {
      // Nothing behind a comma is an empty element; nothing at all is an empty list.
      if (!first_) bad_ = bad_ || comma_;
      return std::nullopt;
    }
    bool angle = false;
    std::size_t end = 0;
    for (; end < rest_.size(); ++end) {
      const char c = rest_[end];
      if (angle) {
        angle = c != '>';
      } else if (c == ',') {
        break;
      } else if (c == '<') {
        angle = true;
      } else if (c == '"') {
        end = lexical::skip_quoted(rest_, end);
        if (end == rest_.npos) {
          bad_ = true;
          end = rest_.size();
          break;
        }
        --end;
      }
    }
    if (angle) bad_ = true;
    const std::string_view element = lexical::trim(rest_.substr(0, end));
    comma_ = end < rest_.size();
    rest_ = comma_ ? rest_.substr(end + 1) : std::string_view{};
    const bool only = first_ && !comma_;
    first_ = false;
    if (!element.empty()) return element;
    if (!only) bad_ = true;
  }
}

}  // namespace ringway::sip
