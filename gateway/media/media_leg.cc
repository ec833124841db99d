#include "gateway/media/media_leg.h"

namespace ringway {
namespace {

std::optional<MediaLeg> leg_of(const sdp::MediaTraits& media) {
  const std::string_view profile = media.protocol;
  if (profile == "RTP/AVP") return media.dtls ? MediaLeg::Dtls : MediaLeg::Plain;
  if (profile == "RTP/AVPF") return media.dtls ? MediaLeg::Dtls : MediaLeg::PlainFeedback;
  if (profile == "RTP/SAVP") return media.dtls ? MediaLeg::Dtls : MediaLeg::Sdes;
  if (profile == "RTP/SAVPF") return media.dtls ? MediaLeg::Dtls : MediaLeg::SdesFeedback;
  if (profile.starts_with("UDP/TLS/RTP/")) return MediaLeg::Dtls;
  return std::nullopt;
}

}  // namespace

std::string_view profile_of(MediaLeg leg) {
  switch (leg) {
    case MediaLeg::Plain:
      return "RTP/AVP";
    case MediaLeg::PlainFeedback:
      return "RTP/AVPF";
    case MediaLeg::Sdes:
      return "RTP/SAVP";
    case MediaLeg::SdesFeedback:
      return "RTP/SAVPF";
    case MediaLeg::Dtls:
      return "UDP/TLS/RTP/SAVP";
    case MediaLeg::Browser:
      break;
  }
  return "UDP/TLS/RTP/SAVPF";
}

std::optional<MediaLeg> leg_of(const sdp::Traits& traits) {
  if (traits.is_webrtc()) return MediaLeg::Browser;
  for (const sdp::MediaTraits& media : traits.media()) {
    if (media.port == 0 && !media.bundle_only) continue;
    if (const auto leg = leg_of(media)) return leg;
  }
  return std::nullopt;
}

std::optional<MediaLeg> leg_of(std::string_view description) {
  const auto traits = sdp::read_traits(description);
  return traits ? leg_of(*traits) : std::nullopt;
}

}  // namespace ringway
