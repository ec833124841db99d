#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

// Octets and text. Octets become text, and text octets, only here.

namespace ringway {

using Bytes = std::span<const std::uint8_t>;
using MutableBytes = std::span<std::uint8_t>;

// Both borrow: valid as long as the argument's memory.
inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// Network byte order. Precondition: bytes has at least the width read or written.
inline std::uint16_t read_u16(Bytes bytes) {
  return static_cast<std::uint16_t>((bytes[0] << 8) | bytes[1]);
}
inline std::uint32_t read_u32(Bytes bytes) {
  return (std::uint32_t{bytes[0]} << 24) | (std::uint32_t{bytes[1]} << 16) |
         (std::uint32_t{bytes[2]} << 8) | std::uint32_t{bytes[3]};
}
inline std::uint64_t read_u64(Bytes bytes) {
  return (std::uint64_t{read_u32(bytes)} << 32) | read_u32(bytes.subspan(4));
}
inline void write_u16(MutableBytes bytes, std::uint16_t value) {
  bytes[0] = static_cast<std::uint8_t>(value >> 8);
  bytes[1] = static_cast<std::uint8_t>(value);
}
inline void write_u32(MutableBytes bytes, std::uint32_t value) {
  write_u16(bytes, static_cast<std::uint16_t>(value >> 16));
  write_u16(bytes.subspan(2), static_cast<std::uint16_t>(value));
}
inline void write_u64(MutableBytes bytes, std::uint64_t value) {
  write_u32(bytes, static_cast<std::uint32_t>(value >> 32));
  write_u32(bytes.subspan(4), static_cast<std::uint32_t>(value));
}

}  // namespace ringway
