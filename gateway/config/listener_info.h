#pragma once

#include "gateway/base/endpoint.h"
#include "gateway/config/config.h"

namespace ringway {

// A listener as one shard sees it: the config's entry with the real local address. A shard's list
// holds Config::listen in its order, then the TCP twins of UDP listeners.
struct ListenerInfo {
  ListenConfig config;
  Endpoint local;  // bound address and port of this shard's socket
};

}  // namespace ringway
