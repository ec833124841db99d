#include "gateway/nat/base64url.h"

#include <array>
#include <cstdint>

namespace ringway {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr std::array<std::int8_t, 256> kValues = [] {
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    values[static_cast<std::uint8_t>(kAlphabet[i])] = static_cast<std::int8_t>(i);
  }
  return values;
}();

}  // namespace

void write_base64url(Bytes bytes, Writer& out) {
  std::uint32_t bits = 0;
  int count = 0;
  for (const std::uint8_t byte : bytes) {
    bits = (bits << 8) | byte;
    count += 8;
    while (count >= 6) {
      count -= 6;
      out.character(kAlphabet[(bits >> count) & 63]);
    }
  }
  if (count > 0) out.character(kAlphabet[(bits << (6 - count)) & 63]);
}

std::size_t read_base64url(std::string_view text, MutableBytes out) {
  std::uint32_t bits = 0;
  int count = 0;
  std::size_t size = 0;
  for (const char c : text) {
    const std::int8_t value = kValues[static_cast<std::uint8_t>(c)];
    if (value < 0) return 0;
    bits = ((bits << 6) | static_cast<std::uint32_t>(value)) & 0xffff;
    count += 6;
    if (count >= 8) {
      count -= 8;
      if (size == out.size()) return 0;
      out[size++] = static_cast<std::uint8_t>(bits >> count);
    }
  }
  // One character alone holds no byte, and spare bits are zero, so that each token has one
  // spelling.
  if (count >= 6) return 0;
  return (bits & ((1u << count) - 1)) == 0 ? size : 0;
}

bool is_base64url(std::string_view text) {
  for (const char c : text) {
    if (kValues[static_cast<std::uint8_t>(c)] < 0) return false;
  }
  return true;
}

}  // namespace ringway
