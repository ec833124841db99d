#pragma once

#include <span>
#include <string>

#include "gateway/base/counters.h"
#include "gateway/filter/filter.h"

namespace ringway {

// The Prometheus text of /metrics: the sum of all shards' counters. rules may be null.
std::string metrics_page(std::span<const Counters* const> shards, const FilterRules* rules,
                         double start_seconds);

}  // namespace ringway
