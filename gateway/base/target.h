#pragma once

#include <cstdint>

#include "gateway/base/buffer_pool.h"
#include "gateway/base/endpoint.h"
#include "gateway/base/flow_id.h"
#include "gateway/base/outbox.h"
#include "gateway/base/transport.h"

namespace ringway {

// Where one request goes: down a flow of the access side, or to an address of the network side.
struct Target {
  Transport transport = Transport::Udp;
  ListenerIndex listener = kNoListener;  // sent from; its address stands in our Via
  std::uint16_t next_hop = 0xffff;       // entry of Config::next_hops; 0xffff: none of them
  bool to_access = false;
  bool tcp_for_size = false;  // TCP only because the request is large (RFC 3261 18.1.1)
  Endpoint remote;
  FlowId flow;                   // set: this connection and no other
  std::uint64_t user_agent = 0;  // whose flow it is, if known
  BufferRef name;                // TLS: name to verify, where no next hop says it

  // To where place is: a Source, the way back; another Target, the way there.
  template <typename Place>
  void aim_at(const Place& place) {
    transport = place.transport;
    listener = place.listener;
    remote = place.remote;
    flow = place.flow;
  }
};

}  // namespace ringway
