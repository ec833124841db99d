#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

#include "protocol/base/bytes.h"
#include "protocol/sip/message.h"

namespace ringway::sip {

enum class ParseError : std::uint8_t {
  TooLarge,     // beyond kMessageBytesMax
  NoStartLine,  // neither "METHOD URI SIP/x.y" nor "SIP/x.y code ..." can be recognised
  NoHeaderEnd,  // the empty line that closes the header section is missing
};
std::string_view to_text(ParseError error);

// What a message may end with: on datagrams and WebSocket messages bytes beyond Content-Length
// are cut off and a missing Content-Length means "to the end"; a framed stream has cut already.
enum class Framing : std::uint8_t { Datagram, WebSocket, Stream };

// Indexes the one SIP message that starts at bytes[0] into view.
//
// In:      bytes: one datagram, one WebSocket message, or one framed stream message.
// Out:     view of offsets into bytes, valid while they are alive and unchanged. A message with a
//          Defect is indexed as far as possible, so that it can be refused with a response.
//          view is the caller's and is reused; its old content is gone in either case.
// Errors:  ParseError where nothing can be answered (drop, or close the stream).
// Cost:    one vector pass for line ends and colons, no allocation.
// Leading CRLFs are skipped (RFC 3261 7.5). RFC 3261 7, 7.3.1 (folding), 18.3, 25.1; RFC 7118 5.
[[nodiscard]] std::expected<void, ParseError> parse_message(Bytes bytes, Framing framing,
                                                            MessageView& view);

}  // namespace ringway::sip
