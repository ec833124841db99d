#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/base/ascii.h"

// What the parsers of header values share: white space with folds, quoted strings, and the
// characters that a value on the wire may have. Internal to protocol/sip.

namespace ringway::sip::lexical {

enum Class : std::uint8_t {
  kLws = 1,      // SP, HTAB and, inside a folded value, CR and LF (RFC 3261 7.3.1)
  kToken = 2,    // token
  kDisplay = 4,  // display-name without quotes: token, white space, and UTF-8 as phones write it
  kValue = 8,    // parameter value without quotes: printable, no delimiter of a header value
  kUri = 16,     // printable, never <, > or "
  kHost = 32,    // alphanum, -, . and _ (which names in the field have)
  kUser = 64,    // user or password: user-unreserved, unreserved, %, : and # (which phones dial)
  kWord = 128,   // Call-ID: any printable character
};

inline constexpr std::array<std::uint8_t, 256> kClasses = [] {
  std::array<std::uint8_t, 256> table{};
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    const bool lws = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    const bool printable = i > 0x20 && i < 0x7f;
    const bool token = ascii::is_token(c);
    std::uint8_t bits = 0;
    if (lws) bits |= kLws;
    if (token) bits |= kToken;
    if (token || lws || i >= 0x80) bits |= kDisplay;
    if (printable && !ascii::contains("\";,<>?", c)) bits |= kValue;
    if ((printable && !ascii::contains("\"<>", c)) || i >= 0x80) bits |= kUri;
    if (ascii::is(c, ascii::kHostname) || c == '_') bits |= kHost;
    if (ascii::is(c, ascii::kUser) || c == '#' || c == ':') bits |= kUser;
    if (printable) bits |= kWord;
    table[static_cast<std::size_t>(i)] = bits;
  }
  return table;
}();

constexpr bool is(char c, std::uint8_t classes) {
  return (kClasses[static_cast<std::uint8_t>(c)] & classes) != 0;
}

// Offset of the first character at or after from that has none of the classes.
constexpr std::size_t skip(std::string_view text, std::size_t from, std::uint8_t classes) {
  while (text.size() - from >= 4) {
    if (!is(text[from], classes)) return from;
    if (!is(text[from + 1], classes)) return from + 1;
    if (!is(text[from + 2], classes)) return from + 2;
    if (!is(text[from + 3], classes)) return from + 3;
    from += 4;
  }
  while (from < text.size() && is(text[from], classes)) ++from;
  return from;
}

constexpr bool all(std::string_view text, std::uint8_t classes) {
  return !text.empty() && skip(text, 0, classes) == text.size();
}

// Without white space and folds at both ends. Never leaves text, so that the result of trimming
// white space alone still points into it.
constexpr std::string_view trim(std::string_view text) {
  while (!text.empty() && is(text.front(), kLws)) text.remove_prefix(1);
  while (!text.empty() && is(text.back(), kLws)) text.remove_suffix(1);
  return text;
}

// text[from] is the opening quote. Offset past the closing one; npos if there is none.
// RFC 3261 25.1: a backslash takes the next character with it.
constexpr std::size_t skip_quoted(std::string_view text, std::size_t from) {
  for (std::size_t i = from + 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      return i + 1;
    }
  }
  return std::string_view::npos;
}

}  // namespace ringway::sip::lexical
