#pragma once

#include <string_view>

#include "gateway/admission/prefix_list.h"

namespace ringway {

// Does the text begin as JSON does? "[2001:db8::1]" is an address, "[ "192.0.2.1" ]" is not.
bool is_json(std::string_view text);

// A list of prefixes as JSON, as parse_prefix_list() takes it.
LoadedPrefixes parse_json_prefixes(std::string_view text);

}  // namespace ringway
