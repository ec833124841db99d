#pragma once

#include <string_view>

#include "protocol/base/writer.h"

namespace ringway::sip {

// Writes message with compact header names (RFC 3261 7.3.3) and without the white space behind
// the colon: the same message in fewer bytes. The start line, every value and the body stay as
// they are; so does the whole line of a field that this program does not know, and of Identity
// (RFC 8224). message is well formed; its memory and out's do not overlap. Cost: one pass over the
// head. False: out overflowed.
[[nodiscard]] bool write_compact(std::string_view message, Writer& out);

}  // namespace ringway::sip
