#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/base/bytes.h"
#include "protocol/base/writer.h"

namespace ringway::tls {

enum class Base64 : std::uint8_t {
  Standard,  // RFC 4648 4: + and /, padded with =
  Url,       // RFC 4648 5: - and _, without padding
};

constexpr std::size_t base64_size(std::size_t bytes, Base64 alphabet) {
  if (alphabet == Base64::Standard) return (bytes + 2) / 3 * 4;
  return bytes / 3 * 4 + (bytes % 3 == 0 ? 0 : bytes % 3 + 1);
}

Writer& write_base64(Writer& out, Bytes data, Base64 alphabet);

// Decodes into the front of memory and returns how many bytes that are; nullopt if text is not in
// the alphabet, padded wrongly, has stray bits at its end (each value has one form only) or does
// not fit. Nothing of memory is valid then.
std::optional<std::size_t> decode_base64(std::string_view text, Base64 alphabet,
                                         MutableBytes memory);

}  // namespace ringway::tls
