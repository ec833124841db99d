#pragma once

#include <cstddef>
#include <string_view>

#include "protocol/base/bytes.h"
#include "protocol/base/writer.h"

namespace ringway {

// Base64 with the alphabet of RFC 4648 5 and without padding, as tokens and aliases are written.
void write_base64url(Bytes bytes, Writer& out);

// Size of what was read; 0 if text is not base64url, is longer than out, or has another spelling
// than write_base64url gives it.
std::size_t read_base64url(std::string_view text, MutableBytes out);

bool is_base64url(std::string_view text);

}  // namespace ringway
