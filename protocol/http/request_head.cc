#include "protocol/http/request_head.h"

#include <algorithm>

#include "protocol/base/ascii.h"
#include "protocol/base/cursor.h"

namespace ringway::http {
namespace {

// tchar of RFC 9110 5.6.2: the token of SIP and five characters more.
bool is_tchar(char c) {
  return ascii::is_token(c) || (c != '\0' && ascii::contains("#$&^|", c));
}

bool is_http_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_tchar);
}

// Visible ASCII: what a request target may consist of.
bool is_visible(char c) {
  return c > 0x20 && c < 0x7f;
}

// field-vchar, SP and HTAB of RFC 9110 5.5, obs-text included.
bool is_field_char(char c) {
  return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
}

struct RequestLine {
  std::string_view method;
  std::string_view target;
  int minor_version = 1;
};

// RFC 9112 3: exactly one space between the three parts.
std::expected<RequestLine, Status> parse_request_line(std::string_view line) {
  Cursor cursor(line);
  RequestLine result;
  result.method = cursor.take_until(" ");
  if (!is_http_token(result.method) || !cursor.skip_char(' ')) {
    return std::unexpected(Status::BadRequest);
  }
  result.target = cursor.take_until(" ");
  if (result.target.empty() ||
      !std::all_of(result.target.begin(), result.target.end(), is_visible) ||
      !cursor.skip_char(' ')) {
    return std::unexpected(Status::BadRequest);
  }
  const std::string_view version = cursor.rest();
  if (version.size() != 8 || !version.starts_with("HTTP/") || !ascii::is_digit(version[5]) ||
      version[6] != '.' || !ascii::is_digit(version[7])) {
    return std::unexpected(Status::BadRequest);
  }
  if (version[5] != '1') return std::unexpected(Status::VersionNotSupported);
  result.minor_version = version[7] == '0' ? 0 : 1;
  return result;
}

// RFC 9112 5: no space before the colon, no folding.
std::optional<Header> parse_header(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == line.npos) return std::nullopt;
  const Header header{line.substr(0, colon), ascii::trim(line.substr(colon + 1))};
  if (!is_http_token(header.name)) return std::nullopt;
  if (!std::all_of(header.value.begin(), header.value.end(), is_field_char)) return std::nullopt;
  return header;
}

// The next line without its end, or nullopt if it does not end in CR LF. A lone CR stays in the
// line and is refused there as a control character.
std::optional<std::string_view> take_line(Cursor& cursor) {
  std::string_view line = cursor.take_until("\n");
  if (!cursor.skip_char('\n') || !line.ends_with('\r')) return std::nullopt;
  line.remove_suffix(1);
  return line;
}

// What decides where the next message begins (RFC 9112 6.1, 6.3) and whom it is for (3.2).
bool framing_is_sound(const RequestHead& head) {
  if (head.count("Transfer-Encoding") != 0 || head.count("Content-Length") > 1) return false;
  const std::optional<std::string_view> length = head.find("Content-Length");
  if (length && ascii::parse_number(*length, 0) != 0) return false;
  const std::size_t hosts = head.count("Host");
  return hosts == 1 || (hosts == 0 && head.minor_version() == 0);
}

}  // namespace

std::size_t RequestHead::count(std::string_view name) const {
  return static_cast<std::size_t>(std::count_if(
      headers().begin(), headers().end(),
      [name](const Header& header) { return ascii::equal_ignoring_case(header.name, name); }));
}

std::optional<std::string_view> RequestHead::find(std::string_view name) const {
  for (const Header& header : headers()) {
    if (ascii::equal_ignoring_case(header.name, name)) return header.value;
  }
  return std::nullopt;
}

std::optional<std::string_view> RequestHead::find_in_list(std::string_view name,
                                                          std::string_view token) const {
  for (const Header& header : headers()) {
    if (!ascii::equal_ignoring_case(header.name, name)) continue;
    Cursor cursor(header.value);
    do {
      const std::string_view element = ascii::trim(cursor.take_until(","));
      if (ascii::equal_ignoring_case(element, token)) return element;
    } while (cursor.skip_char(','));
  }
  return std::nullopt;
}

std::expected<std::optional<RequestHead>, Status> RequestHeadReader::read(std::string_view text) {
  const std::string_view window = text.substr(0, kHeadBytesMax);
  const std::size_t found = window.find("\r\n\r\n", searched_);
  if (found == window.npos) {
    if (window.size() == kHeadBytesMax) return std::unexpected(Status::HeadTooLarge);
    searched_ = window.size() > 3 ? window.size() - 3 : 0;
    return std::nullopt;
  }

  std::optional<RequestHead> result{std::in_place};
  RequestHead& head = *result;
  head.size_ = found + 4;
  Cursor cursor(window.substr(0, found + 2));  // without the empty line
  const std::optional<std::string_view> first = take_line(cursor);
  if (!first) return std::unexpected(Status::BadRequest);
  const std::expected<RequestLine, Status> request_line = parse_request_line(*first);
  if (!request_line) return std::unexpected(request_line.error());
  head.method_ = request_line->method;
  head.target_ = request_line->target;
  head.minor_version_ = request_line->minor_version;

  while (!cursor.at_end()) {
    const std::optional<std::string_view> line = take_line(cursor);
    if (!line) return std::unexpected(Status::BadRequest);
    const std::optional<Header> header = parse_header(*line);
    if (!header) return std::unexpected(Status::BadRequest);
    if (head.header_count_ == kHeaderLinesMax) return std::unexpected(Status::HeadTooLarge);
    head.headers_[head.header_count_++] = *header;
  }
  if (!framing_is_sound(head)) return std::unexpected(Status::BadRequest);
  return result;
}

}  // namespace ringway::http
