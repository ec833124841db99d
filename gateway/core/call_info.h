#pragma once

#include <string_view>

#include "gateway/base/flow_id.h"
#include "gateway/base/outbox.h"
#include "gateway/base/target.h"
#include "gateway/base/transport.h"
#include "protocol/base/time.h"

namespace ringway {

// One line of /calls. Views are lent until the next call of the core.
struct CallInfo {
  std::string_view call_id, from, to;
  std::string_view state;  // "trying", "ringing", "challenged", "answered"
  Transport transport = Transport::Udp;  // of the caller
  std::string_view next_hop;             // its name; empty: none
  FlowId flow;                           // of the user agent, if it has one
  std::uint32_t dialogs = 0;             // that are confirmed
  bool media = false;
  std::string_view relay;  // its address; empty: none
  bool away = false;       // one side has lost its connection and may come back
  bool resumed = false;    // taken up after a restart
  Duration age{};
};

// One line of /agents: a user agent that this shard has seen registering.
struct AgentInfo {
  std::string_view aor;  // "bob@example.org", cut after UserAgent::kNameMax
  Source source;
  std::string_view next_hop;  // the first of the group that granted it
  bool away = false;          // its connection ended; it may come back within the grace
  Duration expires{};         // from now
};

// One address of a next hop, as this shard sees it.
struct NextHopInfo {
  std::string_view name;
  Target target;
  bool up = true;
  bool held_off = false;  // it asked to be left alone for a while (503 with Retry-After)
  bool held = false;      // by command
};

}  // namespace ringway
