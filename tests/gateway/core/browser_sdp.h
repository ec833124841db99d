#pragma once

#include <string_view>

namespace ringway {

// What a browser offers: ICE, DTLS, and no address of its own.
inline constexpr std::string_view kBrowserSdp =
    "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"
    "c=IN IP4 0.0.0.0\r\na=ice-ufrag:Abcd\r\na=ice-pwd:0123456789012345678901\r\n"
    "a=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:"
    "17:18:19:1A:1B:1C:1D:1E:1F\r\na=setup:actpass\r\na=mid:0\r\na=rtcp-mux\r\n";

}  // namespace ringway
