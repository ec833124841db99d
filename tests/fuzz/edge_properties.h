#pragma once

#include "protocol/base/bytes.h"

// What must hold of everything else that strangers write: see properties.h.

namespace ringway::fuzz {

// A stream of WebSocket frames, cut anywhere, to a server and to a client.
void check_websocket(Bytes input);
// One HTTP request head, cut anywhere, and what is read from it: target, upgrade, forwarded names.
void check_http(Bytes input);
// What may stand in front of a connection or arrive beside SIP: PROXY headers and STUN.
void check_front(Bytes input);
// Session descriptions: read, and rewritten for phones, browsers and relays.
void check_sdp(Bytes input);
// What a media relay says: bencode cut anywhere, replies, names of media sessions.
void check_relay(Bytes input);
// Tokens of ours that somebody brings.
void check_token(Bytes input);

}  // namespace ringway::fuzz
