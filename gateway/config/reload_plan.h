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
// a listener or next hop that the file no longer names stays as a place that nothing new goes to
// (removed = true) until a restart. A next hop may take over such a place of another; a listener
// gets its own back if it returns with the same name, address and names for it.
struct ReloadPlan {
  Config next;
  std::vector<std::string> applied;  // "next_hop pbx: added", "timers: changed"
  std::vector<std::string> restart;  // "limits.flows: stays 20000 until a restart, then 30000"
};

// running: what is in force; wanted: a loaded file without mistakes. Both with TCP twins.
ReloadPlan plan_reload(const Config& running, const Config& wanted);

}  // namespace ringway
