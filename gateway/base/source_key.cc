#include "gateway/base/source_key.h"

#include <array>

#include "protocol/base/writer.h"

namespace ringway {
namespace {

constexpr std::uint64_t kV4 = 0xffff'ffff'0000'0000;

}  // namespace

SourceKey source_key(const Address& address) {
  const bool is_v4 = address.family == Family::V4;
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < (is_v4 ? 4 : 8); ++i) value = value << 8 | address.bytes[i];
  return {is_v4 ? kV4 | value : value};
}

std::string to_text(SourceKey key) {
  const bool is_v4 = (key.value & kV4) == kV4;
  Address address;
  address.family = is_v4 ? Family::V4 : Family::V6;
  const std::size_t bytes = is_v4 ? 4 : 8;
  for (std::size_t i = 0; i < bytes; ++i) {
    address.bytes[bytes - 1 - i] = static_cast<std::uint8_t>(key.value >> (8 * i));
  }
  return text_of(address) + (is_v4 ? "" : "/64");
}

}  // namespace ringway
