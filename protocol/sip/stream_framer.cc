#include "protocol/sip/stream_framer.h"

#include <algorithm>
#include <optional>

#include "protocol/base/ascii.h"
#include "protocol/sip/header_line.h"
#include "protocol/sip/header_name.h"
#include "protocol/sip/limits.h"
#include "protocol/sip/scan.h"

namespace ringway::sip {
namespace {

// True if each CR stands before a LF and each LF behind a CR.
bool is_regular(std::string_view head) {
  std::size_t begin = 0;
  while (begin < head.size()) {
    const std::size_t lf = head.find('\n', begin);
    const std::size_t cr = head.find('\r', begin);
    if (lf == head.npos || cr != lf - 1) return false;
    begin = lf + 1;
  }
  return true;
}

// Content-Length of a whole head, as parse_message reads it; nullopt where that sees a defect.
std::optional<std::size_t> find_content_length(std::string_view head) {
  std::optional<std::size_t> length;
  std::size_t begin = head.find('\n') + 1;  // behind the start line
  while (begin < head.size()) {
    std::size_t end = head.find('\n', begin) + 1;
    while (end < head.size() && ascii::is_space(head[end])) end = head.find('\n', end) + 1;
    if ((head[begin] | 0x20) == 'c' || (head[begin] | 0x20) == 'l') {
      const HeaderLine line = split_header(head.substr(begin, end - begin));
      if (parse_header_name(line.name) == HeaderName::ContentLength) {
        if (length) return std::nullopt;
        length = ascii::parse_number(line.value, kBodyBytesMax);
        if (!length) return std::nullopt;
      }
    }
    begin = end;
  }
  return length;
}

std::size_t padding_size(std::string_view text) {
  return std::min(text.find_first_not_of(std::string_view("\n \0", 3)), text.size());
}

constexpr StreamFramer::Frame kIncomplete{StreamFramer::Kind::Incomplete, 0};
constexpr StreamFramer::Frame kBroken{StreamFramer::Kind::Broken, 0};

}  // namespace

StreamFramer::Frame StreamFramer::next(Bytes pending) {
  const std::string_view text = as_text(pending);
  if (text.empty()) return kIncomplete;
  if (message_size_ == 0) {
    if (text[0] == '\r') return keepalive(text);
    if (const std::size_t size = padding_size(text); size != 0) {
      padding_ += size;
      return padding_ <= kPaddingBytesMax ? Frame{Kind::Padding, size} : kBroken;
    }
    if (!ascii::is_token(text[0])) return kBroken;
    const std::size_t end = find_head_end(text, scanned_);
    if (end > kHeadBytesMax && text.size() > kHeadBytesMax) return kBroken;
    if (end == text.npos) {
      // The last three bytes may be the beginning of CRLF CRLF.
      scanned_ = text.size() < 3 ? 0 : text.size() - 3;
      return kIncomplete;
    }
    const std::string_view head = text.substr(0, end);
    const auto length = find_content_length(head);
    if (!length || !is_regular(head)) return kBroken;
    message_size_ = end + *length;
  }
  if (text.size() < message_size_) return kIncomplete;
  const Frame frame{Kind::Message, message_size_};
  padding_ = 0;
  message_size_ = 0;
  scanned_ = 0;
  return frame;
}

StreamFramer::Frame StreamFramer::keepalive(std::string_view text) {
  constexpr std::string_view kPing = "\r\n\r\n";
  if (text.starts_with("\r\n")) padding_ = 0;
  if (keepalive_ == Keepalive::Answer) {
    if (text.starts_with(kPing)) return {Kind::Ping, kPing.size()};
    if (kPing.starts_with(text)) return kIncomplete;
  }
  if (text.starts_with("\r\n")) return {Kind::Pong, 2};
  return text.size() == 1 ? kIncomplete : kBroken;
}

}  // namespace ringway::sip
