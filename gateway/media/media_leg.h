#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/sdp/media_traits.h"

namespace ringway {

// What one side of a call speaks: the profile of its media lines, and whether it needs ICE.
enum class MediaLeg : std::uint8_t {
  Plain,          // RTP/AVP: a SIP phone
  PlainFeedback,  // RTP/AVPF (RFC 4585)
  Sdes,           // RTP/SAVP with keys in the description (RFC 4568)
  SdesFeedback,   // RTP/SAVPF (RFC 5124)
  Dtls,           // UDP/TLS/RTP/SAVP (RFC 5764), without ICE
  Browser,        // UDP/TLS/RTP/SAVPF with ICE and rtcp-mux: WebRTC
};
// As it stands in an m= line.
std::string_view profile_of(MediaLeg leg);
constexpr bool is_sdes(MediaLeg leg) {
  return leg == MediaLeg::Sdes || leg == MediaLeg::SdesFeedback;
}

// The one with that number; Plain where there is none.
constexpr MediaLeg media_leg_of(std::uint8_t number) {
  return number <= static_cast<std::uint8_t>(MediaLeg::Browser) ? static_cast<MediaLeg>(number)
                                                                : MediaLeg::Plain;
}

// What the writer of a description speaks, whatever it came over: its first section in use that is
// RTP. nullopt: there is none, as in one that has only a fax.
std::optional<MediaLeg> leg_of(const sdp::Traits& traits);
std::optional<MediaLeg> leg_of(std::string_view description);

}  // namespace ringway
