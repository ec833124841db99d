#pragma once

#include <cstdint>
#include <string_view>

namespace ringway::sip {

using Status = std::uint16_t;  // 100..699

constexpr bool is_provisional(Status status) {
  return status < 200;
}
constexpr bool is_success(Status status) {
  return status >= 200 && status < 300;
}
constexpr bool is_final(Status status) {
  return status >= 200;
}
// It asks for credentials (RFC 3261 22).
constexpr bool is_challenge(Status status) {
  return status == 401 || status == 407;
}

// The reason phrase that RFC 3261 21 or a later RFC gives; "Unknown" for a code without one.
std::string_view default_reason(Status status);

}  // namespace ringway::sip
