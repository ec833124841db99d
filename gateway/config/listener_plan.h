#pragma once

#include "gateway/config/reload_plan.h"

namespace ringway {

// The listeners' part of plan_reload(): plan.next.listen holds those that the file wants, and then
// the places that will be in force.
void plan_listeners(const Config& running, ReloadPlan& plan);

}  // namespace ringway
