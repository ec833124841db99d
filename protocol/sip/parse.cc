#include "protocol/sip/parse.h"

#include <algorithm>
#include <cstring>

#include "protocol/base/ascii.h"
#include "protocol/sip/header_line.h"
#include "protocol/sip/lexical.h"
#include "protocol/sip/limits.h"
#include "protocol/sip/name_addr.h"
#include "protocol/sip/scan.h"

namespace ringway::sip {
namespace {

// Header lines with their continuation lines; a message that folds more often has too many.
constexpr std::size_t kLinesMax = 4 * kHeaderCountMax;

std::uint16_t narrow(std::size_t offset) {
  return static_cast<std::uint16_t>(offset);  // below kMessageBytesMax
}

// Control characters may stand in a quoted string, behind a backslash, and nowhere else
// (RFC 3261 25.1 quoted-pair; RFC 4475 3.1.1.2).
bool has_stray_control(std::string_view value) {
  bool quoted = false;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    if (quoted && c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (static_cast<unsigned char>(c) < 0x20 && !lexical::is(c, lexical::kLws)) {
      return true;
    }
  }
  return false;
}

}  // namespace

// Fills a MessageView. Each step stands for one part of the message.
class MessageParser {
 public:
  MessageParser(std::string_view text, MessageView& view) : text_(text), view_(view) {}

  std::expected<void, ParseError> parse(Framing framing) {
    reset();
    if (text_.size() > kMessageBytesMax) return std::unexpected(ParseError::TooLarge);
    if (text_.empty()) return std::unexpected(ParseError::NoStartLine);
    if (!find_lines()) return std::unexpected(ParseError::NoHeaderEnd);
    if (!read_start_line()) return std::unexpected(ParseError::NoStartLine);
    read_headers();
    if (!lines_.regular) defect(Defect::HeaderSyntax);
    if (lines_.controls) check_controls();
    if (view_.body_begin_ > kHeadBytesMax) defect(Defect::HeadTooLarge);
    find_top_via();
    cut_body(framing);
    return {};
  }

 private:
  void reset() {
    view_.base_ = text_.data();
    view_.size_ = static_cast<std::uint32_t>(text_.size());
    view_.is_request_ = false;
    view_.defect_ = Defect::None;
    view_.method_ = Method::Other;
    view_.status_ = 0;
    view_.start_line_ = view_.method_text_ = view_.request_uri_ = {};
    view_.reason_ = view_.top_via_ = {};
    view_.headers_begin_ = view_.headers_end_ = view_.body_begin_ = 0;
    view_.header_count_ = 0;
    view_.repeated_ = 0;
    view_.first_.fill(0);
  }

  void defect(Defect found) {
    if (view_.defect_ == Defect::None) view_.defect_ = found;
  }

  bool find_lines() {
    lines_ = scan_lines(as_bytes(text_), line_ends_.data(), line_ends_.size());
    if (lines_.count == 0) return false;
    view_.headers_begin_ = narrow(line_ends_[0] + 1U);
    if (lines_.complete) {
      if (lines_.count == 1) return false;
      view_.headers_end_ = narrow(line_ends_[lines_.count - 2] + 1U);
      view_.body_begin_ = narrow(line_ends_[lines_.count - 1] + 1U);
      --lines_.count;  // the empty line is no header
      return true;
    }
    if (lines_.count < line_ends_.size()) return false;
    const std::size_t end = find_head_end(text_, line_ends_.back());
    if (end == text_.npos) return false;
    view_.body_begin_ = narrow(end);
    view_.headers_end_ = narrow(end - (text_[end - 2] == '\r' ? 2 : 1));
    defect(Defect::TooManyHeaders);
    return true;
  }

  bool read_start_line() {
    std::size_t size = line_ends_[0];
    if (size > 0 && text_[size - 1] == '\r') --size;
    view_.start_line_ = {0, narrow(size)};
    if (size > kStartLineBytesMax) defect(Defect::StartLineTooLong);
    const std::string_view line = text_.substr(0, size);
    return ascii::starts_with_ignoring_case(line, "SIP/") ? read_status_line(line)
                                                          : read_request_line(line);
  }

  bool read_status_line(std::string_view line) {
    const std::size_t version_end = line.find(' ');
    if (version_end == line.npos) return false;
    if (line.substr(4, version_end - 4) != "2.0") defect(Defect::Version);
    const std::size_t code = version_end + 1;
    const std::size_t code_end = std::min(line.find(' ', code), line.size());
    const auto status = ascii::parse_number(line.substr(code, code_end - code), 699);
    if (!status || *status < 100 || code_end - code != 3) {
      defect(Defect::StatusCode);
    } else {
      view_.status_ = static_cast<Status>(*status);
    }
    const std::size_t reason = std::min(code_end + 1, line.size());
    view_.reason_ = {narrow(reason), narrow(line.size() - reason)};
    return true;
  }

  bool read_request_line(std::string_view line) {
    const std::string_view whole = ascii::trim(line);
    // Spaces at the ends, more than one between the parts, or within the URI: all are refused
    // (RFC 4475 3.1.2.8 to 3.1.2.10), since what goes out must not have them.
    if (whole.size() != line.size()) defect(Defect::RequestUri);
    const std::size_t method_end = whole.find(' ');
    const std::size_t version = whole.rfind(' ') + 1;
    if (method_end == whole.npos || version <= method_end + 1 ||
        !ascii::starts_with_ignoring_case(whole.substr(version), "SIP/")) {
      return false;
    }
    view_.is_request_ = true;
    const std::string_view method = whole.substr(0, method_end);
    const std::string_view uri = whole.substr(method_end + 1, version - method_end - 2);
    view_.method_text_ = view_.slice(method);
    view_.request_uri_ = view_.slice(uri);
    if (whole.substr(version + 4) != "2.0") defect(Defect::Version);
    if (method.size() > kMethodBytesMax || !ascii::all(method, ascii::kToken)) {
      defect(Defect::MethodToken);
    } else {
      view_.method_ = parse_method(method);
    }
    if (uri.empty() || uri.front() == '<' || uri.find(' ') != uri.npos) defect(Defect::RequestUri);
    return true;
  }

  // Two short loops instead of a long one: the processor looks ahead over several headers of each,
  // which hides how long one of them takes. What they need is kept in locals, since each store of a
  // byte could otherwise have changed it.
  void read_headers() {
    const std::size_t count = cut_headers();
    view_.header_count_ = static_cast<decltype(view_.header_count_)>(count);
    const std::string_view text = text_;
    for (std::size_t i = 0; i < count; ++i) {
      Header& header = view_.headers_[i];
      const HeaderName name =
          parse_header_name(text, header.name_text.offset, header.name_text.size);
      header.name = name;
      note_name(name, view_.text(header.name_text), i + 1);
    }
  }

  // Everything of them but the meaning of their names; returns how many there are.
  std::size_t cut_headers() {
    const std::string_view text = text_;
    const std::size_t line_count = lines_.count;
    const std::size_t headers_end = view_.headers_end_;
    std::size_t begin = view_.headers_begin_;
    std::size_t count = 0;
    bool too_long = false;
    for (std::size_t line = 1; line < line_count; ++line) {
      std::size_t end = line_ends_[line] + 1U;
      while (end < headers_end && ascii::is_space(text[end]) && line + 1 < line_count) {
        end = line_ends_[++line] + 1U;
      }
      if (count == kHeaderCountMax) {
        defect(Defect::TooManyHeaders);
        break;
      }
      const HeaderParts parts = split_header(text, begin, end);
      Header& header = view_.headers_[count++];
      header.begin = narrow(begin);
      header.end = narrow(end);
      header.name_text = {narrow(begin), narrow(parts.name_end - begin)};
      header.value = {narrow(parts.value == parts.value_end ? end : parts.value),
                      narrow(parts.value_end - parts.value)};
      too_long |= end - begin > kHeaderLineBytesMax;
      begin = end;
    }
    if (too_long) defect(Defect::HeaderSyntax);
    return count;
  }

  // Of the count'th header.
  void note_name(HeaderName name, std::string_view text, std::size_t count) {
    if (name == HeaderName::Other) {
      if (text.size() > kHeaderNameBytesMax || !ascii::all(text, ascii::kToken)) {
        defect(Defect::HeaderSyntax);
      }
      return;
    }
    std::uint8_t& first = view_.first_[static_cast<std::size_t>(name)];
    if (first == 0) {
      first = static_cast<std::uint8_t>(count);
    } else {
      view_.repeated_ |= std::uint64_t{1} << static_cast<unsigned>(name);
    }
  }

  void check_controls() {
    if (has_stray_control(view_.start_line())) defect(Defect::HeaderSyntax);
    for (const Header& header : view_.headers()) {
      if (has_stray_control(view_.text(header.value))) defect(Defect::HeaderSyntax);
    }
  }

  void find_top_via() {
    const Header* const via = view_.find(HeaderName::Via);
    if (!via) return;
    const std::string_view value = view_.text(via->value);
    const std::size_t comma = value.find(',');
    std::string_view top = value.substr(0, comma);
    if (comma != value.npos && top.find_first_of("\"<") != top.npos) {
      top = ListCursor(value).next().value_or(top);
    }
    view_.top_via_ = view_.slice(lexical::trim(top));
  }

  // RFC 3261 18.3, 20.14.
  void cut_body(Framing framing) {
    const std::size_t available = text_.size() - view_.body_begin_;
    std::size_t size = available;
    const Header* const header = view_.find(HeaderName::ContentLength);
    if (!header) {
      if (framing == Framing::Stream) defect(Defect::ContentLength);
    } else if (const auto length = ascii::parse_number(view_.text(header->value), 0xffff'ffff);
               !length || view_.repeats(HeaderName::ContentLength)) {
      // Two values are refused even if they are equal: nobody can tell which of them the next
      // element would take (RFC 4475 3.3.9).
      defect(Defect::ContentLength);
    } else if (*length > kBodyBytesMax) {
      defect(Defect::BodyTooLarge);
    } else if (*length > available) {
      defect(Defect::BodyTooShort);
    } else {
      size = *length;
    }
    if (size > kBodyBytesMax) defect(Defect::BodyTooLarge);
    view_.size_ = static_cast<std::uint32_t>(view_.body_begin_ + size);
  }

  std::string_view text_;
  MessageView& view_;
  LineScan lines_;
  std::array<std::uint16_t, kLinesMax> line_ends_;  // the first lines_.count are written
};

std::string_view to_text(ParseError error) {
  switch (error) {
    case ParseError::TooLarge:
      return "message too large";
    case ParseError::NoStartLine:
      return "no start line";
    case ParseError::NoHeaderEnd:
      return "header section not closed";
  }
  return {};
}

std::expected<void, ParseError> parse_message(Bytes bytes, Framing framing, MessageView& view) {
  std::string_view text = as_text(bytes);
  while (text.starts_with("\r\n")) text.remove_prefix(2);
  return MessageParser(text, view).parse(framing);
}

}  // namespace ringway::sip
