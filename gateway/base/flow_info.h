#pragma once

#include <cstdint>

#include "gateway/base/endpoint.h"
#include "gateway/base/flow_id.h"
#include "gateway/base/outbox.h"
#include "gateway/base/transport.h"

namespace ringway {

// A connection that was just established (handshakes and upgrade done).
struct FlowInfo {
  FlowId flow;
  Transport transport = Transport::Tcp;
  ListenerIndex listener = kNoListener;  // accepted on, or sent from for one that we opened
  Endpoint remote;
  bool opened_by_us = false;
};

enum class FlowEnd : std::uint8_t { Closed, Reset, TimedOut, ProtocolError, ShuttingDown };

}  // namespace ringway
