#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <type_traits>

// Character classes of RFC 3261 25.1 as one table, and case-insensitive comparison of ASCII.

namespace ringway::ascii {

enum Class : std::uint8_t {
  kDigit = 1,
  kAlpha = 2,
  kHex = 4,
  kToken = 8,        // token: alphanum and -.!%*_+`'~
  kSpace = 16,       // SP and HTAB
  kUser = 32,        // user: unreserved, user-unreserved and % (escapes are not decoded here)
  kHostname = 64,    // alphanum, - and .
  kParamChar = 128,  // paramchar: param-unreserved, unreserved and %
};

constexpr bool contains(std::string_view set, char c) {
  return set.find(c) != set.npos;
}

inline constexpr std::array<std::uint8_t, 256> kClasses = [] {
  std::array<std::uint8_t, 256> table{};
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    const bool digit = c >= '0' && c <= '9';
    const bool alpha = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool mark = contains("-_.!~*'()", c) && i != 0;
    std::uint8_t bits = 0;
    if (digit) bits |= kDigit;
    if (alpha) bits |= kAlpha;
    if (digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')) bits |= kHex;
    if (digit || alpha || (i != 0 && contains("-.!%*_+`'~", c))) bits |= kToken;
    if (c == ' ' || c == '\t') bits |= kSpace;
    if (digit || alpha || mark || (i != 0 && contains("&=+$,;?/%", c))) bits |= kUser;
    if (digit || alpha || c == '-' || c == '.') bits |= kHostname;
    if (digit || alpha || mark || (i != 0 && contains("[]/:&+$%", c))) bits |= kParamChar;
    table[static_cast<std::size_t>(i)] = bits;
  }
  return table;
}();

constexpr bool is(char c, std::uint8_t classes) {
  return (kClasses[static_cast<std::uint8_t>(c)] & classes) != 0;
}
constexpr bool is_digit(char c) {
  return is(c, kDigit);
}
constexpr bool is_token(char c) {
  return is(c, kToken);
}
constexpr bool is_space(char c) {
  return is(c, kSpace);
}

constexpr char to_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

namespace detail {

constexpr bool equal_bytes_ignoring_case(const char* a, const char* b, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    if (a[i] != b[i] && to_lower(a[i]) != to_lower(b[i])) return false;
  }
  return true;
}

// A word of text at a time: bytes may differ by the case bit alone, and only where they are
// letters.
template <typename Word>
bool equal_words_ignoring_case(const char* a, const char* b) {
  constexpr Word kOnes = static_cast<Word>(0x0101'0101'0101'0101);
  constexpr Word kCase = kOnes * 0x20, kHigh = kOnes * 0x80;
  Word left, right;
  std::memcpy(&left, a, sizeof left);
  std::memcpy(&right, b, sizeof right);
  const Word difference = left ^ right;
  if (difference == 0) return true;
  const Word lower = (left | kCase) & ~kHigh;
  // The high bit of each byte: 'a' <= byte <= 'z'.
  const Word letters = (lower + kOnes * (0x80 - 'a')) & ~(lower + kOnes * (0x7f - 'z')) & ~left;
  return (difference & ~kCase) == 0 && ((difference << 2) & ~letters & kHigh) == 0;
}

}  // namespace detail

constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  const std::size_t size = a.size();
  if (std::is_constant_evaluated() || size < 4) {
    return detail::equal_bytes_ignoring_case(a.data(), b.data(), size);
  }
  if (size < 8) {
    return detail::equal_words_ignoring_case<std::uint32_t>(a.data(), b.data()) &&
           detail::equal_words_ignoring_case<std::uint32_t>(a.data() + size - 4,
                                                            b.data() + size - 4);
  }
  for (std::size_t i = 0; i + 8 < size; i += 8) {
    if (!detail::equal_words_ignoring_case<std::uint64_t>(a.data() + i, b.data() + i)) return false;
  }
  return detail::equal_words_ignoring_case<std::uint64_t>(a.data() + size - 8, b.data() + size - 8);
}

constexpr bool starts_with_ignoring_case(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && equal_ignoring_case(text.substr(0, prefix.size()), prefix);
}

// True if text is not empty and each character has one of the classes.
constexpr bool all(std::string_view text, std::uint8_t classes) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (!is(c, classes)) return false;
  }
  return true;
}

// Without SP and HTAB at both ends.
constexpr std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// Digits only, at most ten of them, value at most max; nullopt otherwise. The one reader of
// numbers from the wire (Content-Length, CSeq, ports, chunk sizes).
constexpr std::optional<std::uint32_t> parse_number(std::string_view text, std::uint32_t max) {
  if (text.empty() || text.size() > 10) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (!is_digit(c)) return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  if (value > max) return std::nullopt;
  return static_cast<std::uint32_t>(value);
}

// Hex digits only, 1 to 16 of them, in either case; nullopt otherwise.
constexpr std::optional<std::uint64_t> parse_hex(std::string_view text) {
  std::uint64_t value = 0;
  if (text.empty() || text.size() > 16) return std::nullopt;
  for (const char c : text) {
    if (!is(c, kHex)) return std::nullopt;
    const char lower = to_lower(c);
    value = value * 16 + static_cast<std::uint64_t>(lower <= '9' ? lower - '0' : lower - 'a' + 10);
  }
  return value;
}

}  // namespace ringway::ascii
