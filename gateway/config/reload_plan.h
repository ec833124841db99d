#pragma once

#include <string>
#include <vector>

#include "gateway/config/config.h"

namespace ringway {

// What a reload does: the configuration that will be in force, and in words what changes at once
// and what has to wait for a restart.
//
// Places in Config::listen, next_hops and media.relays are known to running shards, to tokens and
// to transactions, so they never move: what is kept keeps its place, what is new comes behind, and
// a next hop that the file no longer names stays as a place that nothing goes to (removed = true)
// until a restart. A later new one may take such a place over.
struct ReloadPlan {
  Config next;
  std::vector<std::string> applied;  // "next_hop pbx: added", "timers: changed"
  std::vector<std::string> restart;  // "limits.flows: stays 20000 until a restart, then 30000"
};

// running: what is in force; wanted: a loaded file without mistakes.
ReloadPlan plan_reload(const Config& running, const Config& wanted);

}  // namespace ringway
