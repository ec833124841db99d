#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "gateway/tunnel/settings.h"

namespace ringway::tunnel {

// What a service manager is told: "READY=1".
using Notify = void (*)(std::string_view state);

// Opens the sockets, becomes an ordinary user, and runs this end on the calling thread until
// SIGTERM, SIGINT or SIGHUP. What happens is said on stderr, one line for each change.
// Errors: a sentence that says what to do.
[[nodiscard]] std::expected<void, std::string> run(Settings settings, Notify notify);

}  // namespace ringway::tunnel
