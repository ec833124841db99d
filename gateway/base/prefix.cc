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

}  // namespace ringway
