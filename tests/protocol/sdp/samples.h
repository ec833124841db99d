#pragma once

#include <string_view>

namespace ringway::sdp {

// An offer as Chromium writes it for JsSIP: one audio stream, gathering complete.
inline constexpr std::string_view kChromiumOffer =
    "v=0\r\n"
    "o=- 4611732053722938000 2 IN IP4 127.0.0.1\r\n"
    "s=-\r\n"
    "t=0 0\r\n"
    "a=group:BUNDLE 0\r\n"
    "a=extmap-allow-mixed\r\n"
    "a=msid-semantic: WMS 3c5c04ab-9d14-4a2c-b65c-5e1a5c3e5a77\r\n"
    "m=audio 54321 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\n"
    "c=IN IP4 192.0.2.17\r\n"
    "a=rtcp:9 IN IP4 0.0.0.0\r\n"
    "a=candidate:2382557538 1 udp 2122260223 192.0.2.17 54321 typ host generation 0 network-id "
    "1\r\n"
    "a=candidate:3961438134 1 tcp 1518280447 192.0.2.17 9 typ host tcptype active generation 0\r\n"
    "a=ice-ufrag:tY5o\r\n"
    "a=ice-pwd:Xh3WqBu1mFM1zb1lPZ6kTgqV\r\n"
    "a=ice-options:trickle\r\n"
    "a=fingerprint:sha-256 "
    "6B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:"
    "08\r\n"
    "a=setup:actpass\r\n"
    "a=mid:0\r\n"
    "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"
    "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n"
    "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
    "a=sendrecv\r\n"
    "a=msid:3c5c04ab-9d14-4a2c-b65c-5e1a5c3e5a77 8b1c3f2e-0d4b-4a27-8c55-2f1d5a1f9a10\r\n"
    "a=rtcp-mux\r\n"
    "a=rtcp-rsize\r\n"
    "a=rtpmap:111 opus/48000/2\r\n"
    "a=rtcp-fb:111 transport-cc\r\n"
    "a=fmtp:111 minptime=10;useinbandfec=1\r\n"
    "a=rtpmap:63 red/48000/2\r\n"
    "a=fmtp:63 111/111\r\n"
    "a=rtpmap:9 G722/8000\r\n"
    "a=rtpmap:0 PCMU/8000\r\n"
    "a=rtpmap:8 PCMA/8000\r\n"
    "a=rtpmap:13 CN/8000\r\n"
    "a=rtpmap:110 telephone-event/48000\r\n"
    "a=rtpmap:126 telephone-event/8000\r\n"
    "a=ssrc:2866413321 cname:yq0kYxw5zv4Wb2q1\r\n"
    "a=ssrc:2866413321 msid:3c5c04ab-9d14-4a2c-b65c-5e1a5c3e5a77 "
    "8b1c3f2e-0d4b-4a27-8c55-2f1d5a1f9a10\r\n";

// The same after rtpengine has made it RTP/AVP with ICE removed.
inline constexpr std::string_view kConvertedOffer =
    "v=0\r\n"
    "o=- 4611732053722938000 2 IN IP4 127.0.0.1\r\n"
    "s=-\r\n"
    "t=0 0\r\n"
    "a=extmap-allow-mixed\r\n"
    "a=msid-semantic: WMS 3c5c04ab-9d14-4a2c-b65c-5e1a5c3e5a77\r\n"
    "m=audio 30028 RTP/AVP 111 63 9 0 8 13 110 126\r\n"
    "c=IN IP4 192.0.2.80\r\n"
    "a=mid:0\r\n"
    "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"
    "a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n"
    "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
    "a=msid:3c5c04ab-9d14-4a2c-b65c-5e1a5c3e5a77 8b1c3f2e-0d4b-4a27-8c55-2f1d5a1f9a10\r\n"
    "a=rtcp-rsize\r\n"
    "a=rtpmap:111 opus/48000/2\r\n"
    "a=rtcp-fb:111 transport-cc\r\n"
    "a=fmtp:111 minptime=10;useinbandfec=1\r\n"
    "a=rtpmap:63 red/48000/2\r\n"
    "a=fmtp:63 111/111\r\n"
    "a=rtpmap:9 G722/8000\r\n"
    "a=rtpmap:0 PCMU/8000\r\n"
    "a=rtpmap:8 PCMA/8000\r\n"
    "a=rtpmap:13 CN/8000\r\n"
    "a=rtpmap:110 telephone-event/48000\r\n"
    "a=rtpmap:126 telephone-event/8000\r\n"
    "a=ssrc:2866413321 cname:yq0kYxw5zv4Wb2q1\r\n"
    "a=ssrc:2866413321 msid:3c5c04ab-9d14-4a2c-b65c-5e1a5c3e5a77 "
    "8b1c3f2e-0d4b-4a27-8c55-2f1d5a1f9a10\r\n"
    "a=sendrecv\r\n"
    "a=rtcp:30029\r\n";

inline constexpr std::string_view kPhoneAnswer =
    "v=0\r\no=phone 1 1 IN IP4 192.0.2.9\r\ns=call\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    "a=fmtp:101 0-16\r\na=ptime:20\r\n";

}  // namespace ringway::sdp
