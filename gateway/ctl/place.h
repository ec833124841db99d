#pragma once

#include <expected>
#include <string>

#include "gateway/ctl/ctl.h"
#include "gateway/ctl/http_client.h"

namespace ringway::ctl {

// Where the gateway listens that options mean: by its socket, its admin address, its configuration,
// or the usual places, in this order. Errors: what to name, one line.
[[nodiscard]] std::expected<Place, std::string> find_place(const Options& options);

}  // namespace ringway::ctl
