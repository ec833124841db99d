#pragma once

#include <cstdint>

#include "gateway/base/flow_info.h"
#include "gateway/base/outbox.h"
#include "protocol/base/bytes.h"

namespace ringway {

// What the streams report, one at a time. Bytes are lent until the next event is asked for.
struct StreamEvent {
  enum class Kind : std::uint8_t {
    None,            // nothing more for now
    Message,         // source and bytes: one SIP message
    FlowOpened,      // flow
    FlowClosed,      // flow.flow and end
    SendFailed,      // ticket and failure
    RelayConnected,  // relay
    RelayLost,       // relay
    RelayMessage,    // relay and bytes: one ng message
  };
  Kind kind = Kind::None;
  FlowEnd end = FlowEnd::Closed;
  TransportFailure failure = TransportFailure::None;
  std::uint8_t relay = 0;
  Ticket ticket = 0;
  FlowInfo flow;
  Source source;
  Bytes bytes;
};

}  // namespace ringway
