#pragma once

#include "gateway/config/config.h"
#include "gateway/config/validate_peers.h"

namespace ringway {

// What [bans] asks for: prefixes, times.
void validate_admission(const Config& config, const AddMistake& add);

}  // namespace ringway
