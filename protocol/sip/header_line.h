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

// Offset of the first colon; npos if there is none. Most names fit the first two words.
inline std::size_t find_colon(std::string_view line) {
  static_assert(std::endian::native == std::endian::little);
  constexpr std::uint64_t kOnes = 0x0101'0101'0101'0101;
  std::size_t at = 0;
  for (; line.size() - at >= 8; at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, line.data() + at, 8);
    word ^= kOnes * ':';
    const std::uint64_t zero = (word - kOnes) & ~word & (kOnes * 0x80);  // exact up to the first
    if (zero != 0) return at + static_cast<std::size_t>(std::countr_zero(zero)) / 8;
  }
  for (; at < line.size(); ++at) {
    if (line[at] == ':') return at;
  }
  return std::string_view::npos;
}

// line: one header field with its continuation lines, with or without the CRLF at its end.
inline HeaderLine split_header(std::string_view line) {
  const std::size_t colon = find_colon(line);
  if (colon == line.npos) return {};
  std::size_t name_end = colon;
  while (name_end > 0 && ascii::is_space(line[name_end - 1])) --name_end;
  return {line.substr(0, name_end), lexical::trim(line.substr(colon + 1))};
}

}  // namespace ringway::sip
