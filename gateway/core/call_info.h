#pragma once

#include <string_view>

#include "gateway/base/flow_id.h"
#include "protocol/base/time.h"

namespace ringway {

// One line of /calls. Views are lent until the next call of the core.
struct CallInfo {
  std::string_view call_id, from, to;
  std::string_view state;  // "trying", "ringing", "answered"
  FlowId flow;
  bool media = false;
  Duration age{};
};

}  // namespace ringway
