#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "protocol/base/ascii.h"
#include "protocol/sip/lexical.h"

// How one header line is cut into name and value: the same for the parser and for the stream
// framer, so that they cannot disagree. Internal to protocol/sip.

namespace ringway::sip {

struct HeaderLine {
  std::string_view name;   // without white space; empty: no colon, or nothing before it
  std::string_view value;  // without white space and folds at its ends
};

// Offset of the first colon in text[begin .. end); end if there is none. Most names fit the first
// two words; what is read behind end does not count.
inline std::size_t find_colon(std::string_view text, std::size_t begin, std::size_t end) {
  static_assert(std::endian::native == std::endian::little);
  constexpr std::uint64_t kOnes = 0x0101'0101'0101'0101;
  std::size_t at = begin;
  for (; at < end && text.size() - at >= 8; at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + at, 8);
    word ^= kOnes * ':';
    const std::uint64_t zero = (word - kOnes) & ~word & (kOnes * 0x80);  // exact up to the first
    if (zero == 0) continue;
    const std::size_t found = at + static_cast<std::size_t>(std::countr_zero(zero)) / 8;
    return found < end ? found : end;
  }
  for (; at < end; ++at) {
    if (text[at] == ':') return at;
  }
  return end;
}

// One header field text[begin .. end) with its continuation lines, with or without the CRLF at its
// end, as offsets.
struct HeaderParts {
  std::size_t name_end;          // begin: no colon, or nothing before it
  std::size_t value, value_end;  // equal: there is none
};

inline HeaderParts split_header(std::string_view text, std::size_t begin, std::size_t end) {
  const std::size_t colon = find_colon(text, begin, end);
  if (colon == end) return {begin, end, end};
  HeaderParts parts{colon, colon + 1, end};
  while (parts.name_end > begin && ascii::is_space(text[parts.name_end - 1])) --parts.name_end;
  while (parts.value < end && lexical::is(text[parts.value], lexical::kLws)) ++parts.value;
  while (parts.value_end > parts.value && lexical::is(text[parts.value_end - 1], lexical::kLws)) {
    --parts.value_end;
  }
  return parts;
}

inline HeaderLine split_header(std::string_view line) {
  const HeaderParts parts = split_header(line, 0, line.size());
  return {line.substr(0, parts.name_end), line.substr(parts.value, parts.value_end - parts.value)};
}

}  // namespace ringway::sip
