#include "gateway/base/prefix.h"

#include "protocol/base/ascii.h"

namespace ringway {
namespace {

constexpr std::uint8_t bits_max(Family family) {
  return family == Family::V4 ? 32 : 128;
}

constexpr bool bit(const Address& address, std::size_t index) {
  return (address.bytes[index / 8] >> (7 - index % 8) & 1) != 0;
}

}  // namespace

bool Prefix::contains(const Address& other) const {
  if (other.family != address.family) return false;
  const std::size_t whole = bits / 8;
  for (std::size_t i = 0; i < whole; ++i) {
    if (address.bytes[i] != other.bytes[i]) return false;
  }
  const unsigned rest = bits % 8;
  return rest == 0 || (address.bytes[whole] ^ other.bytes[whole]) >> (8 - rest) == 0;
}

std::optional<Prefix> parse_prefix(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = parse_address(text.substr(0, slash));
  if (!address) return std::nullopt;
  Prefix prefix{*address, bits_max(address->family)};
  if (slash == text.npos) return prefix;
  const auto bits = ascii::parse_number(text.substr(slash + 1), prefix.bits);
  if (!bits) return std::nullopt;
  for (std::size_t i = *bits; i < prefix.bits; ++i) {
    if (bit(*address, i)) return std::nullopt;
  }
  prefix.bits = static_cast<std::uint8_t>(*bits);
  return prefix;
}

std::vector<Prefix> parse_prefixes(const std::vector<std::string>& texts) {
  std::vector<Prefix> prefixes;
  for (const std::string& text : texts) {
    if (const auto prefix = parse_prefix(text)) prefixes.push_back(*prefix);
  }
  return prefixes;
}

bool is_too_wide(const Prefix& prefix) {
  static constexpr Prefix kUnused{{Family::V4, {224}}, 3};  // multicast and reserved
  static constexpr Prefix kUnicast{{Family::V6, {0x20}}, 3};
  if (prefix.address.family == Family::V4) {
    return prefix.bits < 8 && !(prefix.bits >= kUnused.bits && kUnused.contains(prefix.address));
  }
  return prefix.bits < 7 &&
         (kUnicast.contains(prefix.address) || prefix.contains(kUnicast.address));
}

bool is_private(const Address& address) {
  static constexpr Prefix kPrivate[] = {
      {{Family::V4, {0}}, 8},
      {{Family::V4, {10}}, 8},
      {{Family::V4, {127}}, 8},
      {{Family::V4, {100, 64}}, 10},
      {{Family::V4, {169, 254}}, 16},
      {{Family::V4, {172, 16}}, 12},
      {{Family::V4, {192, 168}}, 16},
      {{Family::V6, {}}, 96},
      {{Family::V6, {0xfc}}, 7},
      {{Family::V6, {0xfe, 0x80}}, 10},
      {{Family::V6, {0, 0x64, 0xff, 0x9b}}, 96},
  };
  for (const Prefix& prefix : kPrivate) {
    if (prefix.contains(address)) return true;
  }
  return false;
}

}  // namespace ringway
