#include "protocol/base/utf8.h"

#include <cstdint>
#include <cstring>

namespace ringway {
namespace {

// How many of the first bytes are certainly ASCII: a multiple of sixteen, then of one.
std::size_t ascii_prefix(Bytes bytes) {
  std::size_t size = 0;
  while (bytes.size() - size >= 16) {
    std::uint64_t words[2];
    std::memcpy(words, bytes.data() + size, sizeof words);
    if (((words[0] | words[1]) & 0x8080808080808080) != 0) break;
    size += 16;
  }
  while (size < bytes.size() && bytes[size] < 0x80) ++size;
  return size;
}

struct Lead {
  std::size_t size;         // of the whole sequence; zero if no sequence begins so
  std::uint8_t second_min;  // bounds of the second byte, which exclude overlong forms,
  std::uint8_t second_max;  // surrogates and what is above U+10FFFF
};

// The table 3-7 of Unicode, "Well-Formed UTF-8 Byte Sequences".
Lead lead_of(std::uint8_t byte) {
  if (byte < 0xc2) return {0, 0, 0};
  if (byte < 0xe0) return {2, 0x80, 0xbf};
  if (byte == 0xe0) return {3, 0xa0, 0xbf};
  if (byte == 0xed) return {3, 0x80, 0x9f};
  if (byte < 0xf0) return {3, 0x80, 0xbf};
  if (byte == 0xf0) return {4, 0x90, 0xbf};
  if (byte < 0xf4) return {4, 0x80, 0xbf};
  if (byte == 0xf4) return {4, 0x80, 0x8f};
  return {0, 0, 0};
}

bool is_continuation(std::uint8_t byte) {
  return (byte & 0xc0) == 0x80;
}

}  // namespace

bool valid_utf8(Bytes bytes) {
  while (true) {
    bytes = bytes.subspan(ascii_prefix(bytes));
    // Texts that leave ASCII tend to stay outside: no vector look-ahead until they return.
    while (!bytes.empty() && bytes[0] >= 0x80) {
      const Lead lead = lead_of(bytes[0]);
      if (lead.size == 0 || bytes.size() < lead.size) return false;
      if (bytes[1] < lead.second_min || bytes[1] > lead.second_max) return false;
      for (std::size_t i = 2; i < lead.size; ++i) {
        if (!is_continuation(bytes[i])) return false;
      }
      bytes = bytes.subspan(lead.size);
    }
    if (bytes.empty()) return true;
  }
}

}  // namespace ringway
