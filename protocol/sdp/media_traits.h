#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string_view>

#include "protocol/sdp/body.h"

// What a session description asks of the media path.

namespace ringway::sdp {

enum class Direction : std::uint8_t { SendReceive, SendOnly, ReceiveOnly, Inactive };
enum class Setup : std::uint8_t { None, Active, Passive, ActPass, HoldConnection };  // RFC 8842

// One m= section; what only the session part says (ICE, fingerprint, setup, direction, c=) is
// already applied. Texts borrow from the body.
struct MediaTraits {
  std::string_view kind;      // audio, video, ...
  std::string_view protocol;  // as written: RTP/AVP, UDP/TLS/RTP/SAVPF, ...
  std::string_view mid;
  std::uint16_t port = 0;  // 0: refused or removed (RFC 3264 6), unless bundle_only
  Direction direction = Direction::SendReceive;
  Setup setup = Setup::None;
  bool ice = false;   // ice-ufrag or a candidate (RFC 8839)
  bool dtls = false;  // fingerprint (RFC 8122)
  bool sdes = false;  // crypto (RFC 4568)
  bool rtcp_mux = false;
  bool bundle_only = false;
  bool zero_address = false;  // c=0.0.0.0 or :: , or port 9 of a description without candidates
  bool has_candidate = false;

  bool is_secure() const { return dtls || sdes; }
};

struct Traits {
  std::array<MediaTraits, kMediaMax> media_storage;
  std::size_t media_count = 0;
  bool bundle = false;   // a=group:BUNDLE
  bool trickle = false;  // ice-options holds trickle, in any section

  std::span<const MediaTraits> media() const { return {media_storage.data(), media_count}; }
  // Any section with ICE or DTLS and a feedback profile: what a browser writes and needs.
  bool is_webrtc() const;
  // A section in use whose address is zero: hold in the old style, or a browser that trickles.
  bool has_zero_address() const;
};

[[nodiscard]] std::expected<Traits, BodyError> read_traits(std::string_view body);

}  // namespace ringway::sdp
