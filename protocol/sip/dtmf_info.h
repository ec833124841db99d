#pragma once

#include <cstdint>

#include "protocol/sip/message.h"

namespace ringway::sip {

// A key of the telephone that an INFO tells of, as user agents write it without an Info Package
// (RFC 6086 1): application/dtmf-relay with "Signal=5" and "Duration=160" on lines of their own, or
// application/dtmf with the key alone.
struct DtmfInfo {
  enum class Kind : std::uint8_t {
    None,       // another body, a package, a key that is no DTMF digit (hook flash): not for us
    Digit,      // event and milliseconds are set
    Malformed,  // it should be one of these bodies, and has no key, two, or one that is unknown
  };
  static constexpr std::uint16_t kShortestMs = 40, kLongestMs = 6'000, kDefaultMs = 160;

  Kind kind = Kind::None;
  std::uint8_t event = 0;                   // RFC 4733 3.2: 0 to 9, 10 *, 11 #, 12 to 15 A to D
  std::uint16_t milliseconds = kDefaultMs;  // kShortestMs to kLongestMs, whatever was asked for
};
// Bounded by the size of the body. info: an INFO.
DtmfInfo read_dtmf_info(const MessageView& info);

}  // namespace ringway::sip
