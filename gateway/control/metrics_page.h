#pragma once

#include <span>
#include <string>

#include "gateway/base/counters.h"
#include "gateway/control/conditions.h"
#include "gateway/filter/filter.h"

namespace ringway {

// What the control thread knows beside the shards' counters.
struct ProcessFacts {
  std::uint64_t generation = 1;         // of the configuration in force
  std::uint64_t log_lines_dropped = 0;  // found no place in the writer's queue
  bool ready = true;
  std::span<const Condition> conditions{};
  std::span<const CertificateEnd> certificates{};
  std::uint64_t bans_remembered = 0, bans_cut_short = 0, evidence_overlooked = 0;
  std::uint64_t lists_refused = 0;  // readings of block lists that kept the old ones in use
  std::uint64_t admin_misdirected = 0;
};

// The Prometheus text of /metrics: the sum of all shards' counters. rules may be null.
std::string metrics_page(std::span<const Counters* const> shards, const FilterRules* rules,
                         double start_seconds, const ProcessFacts& facts = {});

}  // namespace ringway
