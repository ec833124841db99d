#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "protocol/base/bytes.h"

namespace ringway::tls {

using MacKey = std::array<std::uint8_t, 32>;
using MacTag = std::array<std::uint8_t, 16>;

// A keyed signature for tokens that we hand out and get back: HMAC-SHA-256 truncated to 128 bits
// (RFC 2104 5). Keyed once; signing allocates nothing and changes nothing, so one object may serve
// several threads. Copies are independent.
class Mac {
 public:
  explicit Mac(const MacKey& key);
  ~Mac();
  Mac(const Mac&) = default;
  Mac& operator=(const Mac&) = default;

  // Over the concatenation of parts; lengths are not part of it, so fields of variable size need
  // a separator or a length of their own.
  MacTag sign(Bytes data) const { return sign({data}); }
  MacTag sign(std::initializer_list<Bytes> parts) const;

  // In constant time. tag: as received; the first 8 to 16 bytes of a MacTag.
  bool verify(Bytes tag, std::initializer_list<Bytes> parts) const;

 private:
  // SHA-256 after the padded key, inner and outer: eight words each.
  std::array<std::uint32_t, 8> inner_;
  std::array<std::uint32_t, 8> outer_;
};

// True if both have the same size and content; the time depends on the sizes only.
bool equal_in_constant_time(Bytes a, Bytes b);

}  // namespace ringway::tls
