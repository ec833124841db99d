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
// (ICE, DTLS, BUNDLE, RTCP feedback and extended reports, header extensions, source names) and
// the audio formats that it never takes: RED, ULPFEC, RTX, comfort noise, and telephone-event at
// 48000 where there is one at 8000 and a codec of 8000 beside Opus. To be called when the media
// relay has made the section RTP/AVP, RTP/SAVP or one of these with feedback; sections with any
// other profile keep all their lines, and so does the session part as long as there is one in
// use.
//
// Every format that stays in m= keeps its rtpmap and fmtp; if no codec were left, all formats stay;
// unknown lines stay. Never writes more bytes than body has. An answer may name any subset of an
// offer's formats, so either may be slimmed (RFC 3264 6.1). Of video only the ballast goes.
[[nodiscard]] SlimResult slim_for_plain(std::string_view body, Writer& out);

}  // namespace ringway::sdp
