#include "protocol/sdp/body.h"

namespace ringway::sdp {

Attribute attribute_of(const Line& line) {
  const std::size_t colon = line.value.find(':');
  if (colon == line.value.npos) return {line.value, {}};
  return {line.value.substr(0, colon), line.value.substr(colon + 1)};
}

std::optional<Line> Lines::next() {
  if (rest_.empty()) return std::nullopt;
  const std::size_t end = rest_.find('\n');
  const std::string_view raw = rest_.substr(0, end == rest_.npos ? end : end + 1);
  rest_.remove_prefix(raw.size());
  std::string_view text = raw;
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  if (text.size() < 2 || text[1] != '=') return Line{'\0', text, raw};
  return Line{text[0], text.substr(2), raw};
}

std::string_view take_word(std::string_view& rest) {
  while (rest.starts_with(' ')) rest.remove_prefix(1);
  const std::string_view word = rest.substr(0, rest.find(' '));
  rest.remove_prefix(word.size());
  return word;
}

MediaLine media_line(std::string_view value) {
  MediaLine line;
  line.kind = take_word(value);
  line.port = take_word(value);
  line.protocol = take_word(value);
  if (value.starts_with(' ')) value.remove_prefix(1);
  line.formats = value;
  return line;
}

std::string_view text_of(BodyError error) {
  switch (error) {
    case BodyError::TooLarge:
      return "session description larger than 65535 bytes";
    case BodyError::NotSdp:
      return "session description does not begin with v=0";
    case BodyError::BadLine:
      return "line without type and value in a session description";
    case BodyError::TooManyLines:
      return "session description of more than 1024 lines";
    case BodyError::TooManyMedia:
      return "session description of more than 32 media";
  }
  return "unknown";
}

std::expected<Body, BodyError> Body::parse(std::string_view text) {
  if (text.size() > kBodyBytesMax) return std::unexpected(BodyError::TooLarge);
  Body body;
  Lines lines(text);
  std::size_t line_count = 0;
  std::size_t position = 0;
  bool ended = false;  // only empty lines may follow
  while (const auto line = lines.next()) {
    if (++line_count > kLinesMax) return std::unexpected(BodyError::TooManyLines);
    if (line_count == 1 && (line->type != 'v' || line->value != "0")) {
      return std::unexpected(BodyError::NotSdp);
    }
    if (line->type == '\0' && !line->value.empty()) return std::unexpected(BodyError::BadLine);
    if (line->type == '\0') {
      ended = true;
      continue;
    }
    if (ended) return std::unexpected(BodyError::BadLine);
    if (line->type == 'm') {
      if (body.media_count_ == kMediaMax) return std::unexpected(BodyError::TooManyMedia);
      body.starts_[body.media_count_++] = static_cast<std::uint16_t>(position);
    }
    position += line->raw.size();
  }
  if (line_count == 0) return std::unexpected(BodyError::NotSdp);
  body.text_ = text.substr(0, position);
  body.starts_[body.media_count_] = static_cast<std::uint16_t>(position);
  return body;
}

}  // namespace ringway::sdp
