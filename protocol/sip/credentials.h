#pragma once

#include <cstdint>
#include <string_view>

#include "protocol/sip/message.h"

namespace ringway::sip {

// Whose credentials a request carries, in Authorization or Proxy-Authorization (RFC 3261 22.4,
// RFC 7616 3.4). Who checks them may look at any one of several values, so those say nothing.
struct DigestUser {
  enum class Kind : std::uint8_t {
    None,     // no credentials
    One,      // username and realm
    Unclear,  // several, or written so that two readers may see two users
  };
  Kind kind = Kind::None;
  std::string_view username, realm;  // into the message, without quotes
};
DigestUser digest_user(const MessageView& request);

}  // namespace ringway::sip
