#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>

// A session description (RFC 8866) as lines, cut into the session part and one part for each m=.
// Nothing is judged here but the form `x=value` of a line; see media_traits.h for meaning.

namespace ringway::sdp {

inline constexpr std::size_t kBodyBytesMax = 65535;
inline constexpr std::size_t kLinesMax = 1024;
inline constexpr std::size_t kMediaMax = 32;

struct Line {
  char type;               // 'v', 'm', 'a', ...; NUL if the line is not of the form x=value
  std::string_view value;  // behind the '=', without line end
  std::string_view raw;    // the whole line with its line end, if it has one
};

// An a= line taken apart: `name` or `name:value`.
struct Attribute {
  std::string_view name;
  std::string_view value;
};
Attribute attribute_of(const Line& line);  // precondition: line.type == 'a'

// Walks lines: `while (auto line = lines.next())`. Lines end with CRLF, LF or the end of the text.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}
  std::optional<Line> next();

 private:
  std::string_view rest_;
};

// `audio 49170 RTP/AVP 0 8`: the value of an m= line.
struct MediaLine {
  std::string_view kind;      // audio, video, application, ...
  std::string_view port;      // digits, perhaps with /count
  std::string_view protocol;  // RTP/AVP, UDP/TLS/RTP/SAVPF, ...
  std::string_view formats;   // payload types, separated by spaces; may be empty
};
MediaLine media_line(std::string_view value);

// The next word of a text separated by spaces; empty at the end. Advances rest.
std::string_view take_word(std::string_view& rest);

enum class BodyError : std::uint8_t { TooLarge, NotSdp, BadLine, TooManyLines, TooManyMedia };
std::string_view text_of(BodyError error);

// Borrows from the text that was parsed.
class Body {
 public:
  // text: from `v=` to the end; empty lines at the end are tolerated.
  [[nodiscard]] static std::expected<Body, BodyError> parse(std::string_view text);

  std::string_view session() const { return text_.substr(0, starts_[0]); }
  std::size_t media_count() const { return media_count_; }
  // The m= line and all that belongs to it. Precondition: index < media_count().
  std::string_view media(std::size_t index) const {
    return text_.substr(starts_[index], starts_[index + 1] - starts_[index]);
  }

 private:
  std::string_view text_;
  // Where media sections begin; starts_[media_count_] is the end of the last.
  std::array<std::uint16_t, kMediaMax + 1> starts_{};
  std::uint8_t media_count_ = 0;  // media_count_ <= kMediaMax
};

}  // namespace ringway::sdp
