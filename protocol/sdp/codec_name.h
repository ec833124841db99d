#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace ringway::sdp {

// `opus/48000/2`: an encoding as a=rtpmap has it (RFC 8866 6.6), cut at 23 characters.
struct CodecName {
  std::array<char, 23> text{};
  std::uint8_t size = 0;  // size <= text.size()

  std::string_view view() const { return {text.data(), size}; }
};

// The encoding that the writer of an answer wants most: the first format of the first audio section
// in use that is no telephone-event and no comfort noise. Static payload types without a=rtpmap
// have their names of RFC 3551 6. Empty: there is none.
CodecName first_codec(std::string_view body);

}  // namespace ringway::sdp
