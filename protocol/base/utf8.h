#pragma once

#include "protocol/base/bytes.h"

namespace ringway {

// True if bytes is well-formed UTF-8 (RFC 3629 4): no overlong forms, no surrogates, nothing above
// U+10FFFF, nothing cut off at the end. Empty is valid.
// Cost: one pass; ASCII sixteen bytes at a time.
[[nodiscard]] bool valid_utf8(Bytes bytes);

}  // namespace ringway
