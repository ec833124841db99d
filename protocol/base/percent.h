#pragma once

#include <optional>
#include <string_view>

#include "protocol/base/ascii.h"

// Escapes of URIs: %HH stands for one octet (RFC 3986 2.1, RFC 3261 19.1.2).

namespace ringway::percent {

constexpr std::optional<unsigned> hex_value(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  const char lower = static_cast<char>(c | 0x20);
  if (lower >= 'a' && lower <= 'f') return static_cast<unsigned>(lower - 'a') + 10;
  return std::nullopt;
}

// The next character of text, an escaped one read, and takes it off; a broken escape stands for
// itself. Precondition: text is not empty.
constexpr char take(std::string_view& text) {
  const char first = text.front();
  if (first == '%' && text.size() >= 3) {
    const auto high = hex_value(text[1]), low = hex_value(text[2]);
    if (high && low) {
      text.remove_prefix(3);
      return static_cast<char>(*high * 16 + *low);
    }
  }
  text.remove_prefix(1);
  return first;
}

}  // namespace ringway::percent
