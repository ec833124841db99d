#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/sip/name_addr.h"
#include "protocol/sip/uri.h"
#include "protocol/sip/via.h"

// The parsers of uri.h, name_addr.h and via.h, filling a fresh value of the caller's: the check of
// every message reads five of them, and copying them costs as much as reading. nullopt: fine.
// Internal to protocol/sip.

namespace ringway::sip {

// The tag among header parameters that are walked anyway.
struct TagScan {
  std::string_view value;
  std::uint8_t count = 0;  // 2: two or more
};

std::optional<UriError> read_uri(std::string_view text, Uri& out);
std::optional<NameAddrError> read_name_addr(std::string_view value, NameAddr& out, TagScan& tag);
std::optional<ViaError> read_via(std::string_view value, Via& out);

}  // namespace ringway::sip
