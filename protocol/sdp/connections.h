#pragma once

#include <string_view>

#include "protocol/base/writer.h"
#include "protocol/sdp/slim.h"

namespace ringway::sdp {

// Writes the session's c= line into each section that has none and leaves it out above (RFC 8866
// 5.7 says the same of both). A media relay then finds every address where it rewrites ports.
// Unchanged where there is no section, or no c= line above.
[[nodiscard]] SlimResult write_media_connections(std::string_view body, Writer& out);

}  // namespace ringway::sdp
