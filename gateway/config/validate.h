#pragma once

#include <vector>

#include "gateway/config/config.h"
#include "gateway/config/document.h"
#include "gateway/config/table_reader.h"

namespace ringway {

// Checks how settings fit each other; ranges of single ones are the loader's. Adds to mistakes,
// each at the place of the setting to change. Opens no files and asks no network.
void validate(const Config& config, const Locations& locations, std::vector<Mistake>& mistakes);

// Whether a listener may carry requests to a next hop (transport and address family as far as they
// are known).
bool fits(const ListenConfig& listen, const NextHopConfig& next_hop);

}  // namespace ringway
