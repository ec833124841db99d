#pragma once

#include <cstdint>
#include <string_view>

#include "protocol/base/writer.h"

namespace ringway::sdp {

enum class SlimResult : std::uint8_t {
  Slimmed,    // the whole description was written, with or without changes
  NotSdp,     // the text is no description that body.h can read; nothing was written
  Overflowed  // out is full and holds a part only
};

// Rewrites a description for a plain RTP phone: leaves out lines that such a phone has no use for
// (ICE, DTLS, BUNDLE, RTCP feedback, header extensions, source names) and the audio formats it
// never takes (RED, ULPFEC, RTX, comfort noise, telephone-event at other clock rates than the
// codecs that stay). To be called after the media relay has made the section RTP/AVP; sections
// with a secure or feedback profile pass with all their lines.
//
// Every format that stays in m= keeps its rtpmap and fmtp; the last audio codec and the last
// telephone-event are never removed; unknown lines stay. Never writes more bytes than body has.
// An answer may name any subset of an offer's formats, so slimming either is safe (RFC 3264 6.1).
[[nodiscard]] SlimResult slim_for_plain(std::string_view body, Writer& out);

}  // namespace ringway::sdp
