#pragma once

#include <functional>
#include <string>

#include "gateway/config/config.h"
#include "gateway/config/table_reader.h"

namespace ringway {

// Notes a mistake at a setting's path, like "listen[0].side".
using AddMistake = std::function<void(std::string path, std::string text)>;

// What validate() checks of those who speak to us: sides and admission of listeners, from and
// members of next hops, [[trusted]] and [[header]].
void validate_peers(const Config& config, const Locations& locations, const AddMistake& add);

}  // namespace ringway
