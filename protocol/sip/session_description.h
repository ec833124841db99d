#pragma once

#include <string_view>

#include "protocol/sip/message.h"

namespace ringway::sip {

// `type/subtype` with its parameters (RFC 2045 5.1). White space around the slash is accepted.
struct MediaType {
  std::string_view type, subtype;
  std::string_view params;  // from the first semicolon; may be empty

  bool is(std::string_view wanted_type, std::string_view wanted_subtype) const;
};
MediaType parse_media_type(std::string_view value);

// Where a message has its session description: as its body, or as one part of a multipart one
// (RFC 5621 3.1), which may lie in another multipart.
struct SessionDescription {
  enum class Kind : unsigned char {
    None,
    Readable,
    Encoded,  // compressed or otherwise encoded: nobody between the ends can read it
  };
  static constexpr int kDepthMax = 4;  // of multiparts; what lies deeper is not looked for

  Kind kind = Kind::None;
  // The description as it stands in message.body(). In a part, its last line may lack a line end:
  // the one before the boundary belongs to that (RFC 2046 5.1.1).
  std::string_view text;
};
// The part of type application/sdp whose disposition is session, or that names none (RFC 3261
// 20.11). A description for early media (RFC 3959) or for show is none.
SessionDescription find_session_description(const MessageView& message);

}  // namespace ringway::sip
