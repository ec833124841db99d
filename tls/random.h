#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "protocol/base/bytes.h"

namespace ringway::tls {

// Fills memory from the operating system's randomness, for keys and seeds. Dies if the system has
// none: nothing that follows would be safe.
void fill_random(MutableBytes memory);

template <std::size_t kSize>
std::array<std::uint8_t, kSize> random_bytes() {
  std::array<std::uint8_t, kSize> bytes;
  fill_random(bytes);
  return bytes;
}

}  // namespace ringway::tls
