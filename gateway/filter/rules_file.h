#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/config/document.h"
#include "gateway/filter/filter.h"

namespace ringway {

// Reads a set of filter rules: [[rule]] tables with name, field, match, text and action.
struct LoadedRules {
  std::vector<FilterRules::Rule> rules;
  std::vector<Mistake> mistakes;  // empty: rules may be used
};
LoadedRules parse_rules(std::string_view text);

// The text of configs/scanners.toml, built into the program.
std::string_view built_in_rules();

// The words of the file, also used in metrics.
std::string_view text_of(FilterRules::Action action);

}  // namespace ringway
