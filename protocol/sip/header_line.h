#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

#include "protocol/base/ascii.h"
#include "protocol/sip/lexical.h"

// How one header line is cut into name and value: the same for the parser and for the stream
// framer, so that they cannot disagree. Internal to protocol/sip.

namespace ringway::sip {

struct HeaderLine {
  std::string_view name;   // without white space; empty: no colon, or nothing before it
  std::string_view value;  // without white space and folds at its ends
};

// Offset of the first colon in text[begin .. end); end if there is none. All names that mean
// something fit one look at 32 bytes; what is read behind end does not count.
inline std::size_t find_colon(std::string_view text, std::size_t begin, std::size_t end) {
  std::size_t at = begin;
#if defined(__x86_64__)
  for (; at < end && text.size() - at >= 32; at += 32) {
    const auto colons = [&](std::size_t offset) {
      const __m128i bytes =
          _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at + offset));
      return static_cast<std::uint32_t>(
          _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(':'))));
    };
    const std::uint32_t found = colons(0) | colons(16) << 16;
    if (found == 0) continue;
    const std::size_t colon = at + static_cast<std::size_t>(std::countr_zero(found));
    return colon < end ? colon : end;
  }
#endif
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

constexpr bool is_graphic(char c) {
  return static_cast<unsigned char>(c) > ' ';
}

inline HeaderParts split_header(std::string_view text, std::size_t begin, std::size_t end) {
  const std::size_t colon = find_colon(text, begin, end);
  if (colon == end) return {begin, end, end};
  HeaderParts parts{colon, colon + 1, end};
  // As nearly all are: "Name: value" and CRLF.
  if (end - colon >= 5 && text[colon + 1] == ' ' && is_graphic(text[colon + 2]) &&
      is_graphic(text[end - 3]) && text[end - 2] == '\r' && text[end - 1] == '\n' &&
      colon > begin && is_graphic(text[colon - 1])) {
    return {colon, colon + 2, end - 2};
  }
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
