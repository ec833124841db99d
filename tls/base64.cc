#include "tls/base64.h"

#include <array>

namespace ringway::tls {
namespace {

constexpr std::string_view kStandard =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrl =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t kNoDigit = 64;

constexpr std::array<std::uint8_t, 256> values_of(std::string_view digits) {
  std::array<std::uint8_t, 256> values{};
  values.fill(kNoDigit);
  for (std::size_t i = 0; i < digits.size(); ++i) {
    values[static_cast<std::uint8_t>(digits[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}
constexpr auto kStandardValues = values_of(kStandard);
constexpr auto kUrlValues = values_of(kUrl);

}  // namespace

Writer& write_base64(Writer& out, Bytes data, Base64 alphabet) {
  const std::string_view digits = alphabet == Base64::Standard ? kStandard : kUrl;
  while (!data.empty()) {
    const std::size_t size = data.size() < 3 ? data.size() : 3;
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) group = group << 8 | (i < size ? data[i] : 0u);
    char text[4];
    for (std::size_t i = 0; i < 4; ++i) text[i] = digits[group >> (18 - 6 * i) & 63];
    out.text({text, size + 1});
    if (alphabet == Base64::Standard) out.text(std::string_view("==").substr(0, 3 - size));
    data = data.subspan(size);
  }
  return out;
}

std::optional<std::size_t> decode_base64(std::string_view text, Base64 alphabet,
                                         MutableBytes memory) {
  if (alphabet == Base64::Standard) {
    if (text.size() % 4 != 0) return std::nullopt;
    if (text.ends_with('=')) text.remove_suffix(text.ends_with("==") ? 2 : 1);
  }
  if (text.size() % 4 == 1) return std::nullopt;
  const std::size_t size = text.size() / 4 * 3 + (text.size() % 4 == 0 ? 0 : text.size() % 4 - 1);
  if (size > memory.size()) return std::nullopt;

  const auto& values = alphabet == Base64::Standard ? kStandardValues : kUrlValues;
  std::uint32_t bits = 0;  // the lower bit_count hold what is not yet written
  unsigned bit_count = 0;
  std::size_t written = 0;
  for (const char c : text) {
    const std::uint8_t value = values[static_cast<std::uint8_t>(c)];
    if (value == kNoDigit) return std::nullopt;
    bits = bits << 6 | value;
    bit_count += 6;
    if (bit_count >= 8) {
      bit_count -= 8;
      memory[written++] = static_cast<std::uint8_t>(bits >> bit_count);
      bits &= (1u << bit_count) - 1;
    }
  }
  if (bits != 0) return std::nullopt;
  return written;
}

}  // namespace ringway::tls
