#pragma once

#include <expected>
#include <string>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/config/listener_info.h"
#include "gateway/transport/kept_sockets.h"
#include "gateway/transport/socket.h"

namespace ringway {

// The bound sockets of one shard and what they are: same order and size in both, and on all
// shards. Config::listen first, in its order, then the TCP twins (RFC 3261 18.2.1).
struct ShardListeners {
  std::vector<Socket> sockets;
  std::vector<ListenerInfo> infos;
  // Somebody else holds them too, so what arrives after our end waits for who comes next.
  bool kept = false;
};

// Binds every listening socket of every shard, so that a port that cannot be had is known before
// anything starts. Sockets of one port share it by SO_REUSEPORT, after a check that nobody else
// has it. A port of 0 is chosen by the kernel, once for all shards (with port_per_shard: one for
// each). Streams begin to listen here, so connections may queue up before a shard accepts.
//
// Errors: one sentence that names the listener, its address and the cure.
[[nodiscard]] std::expected<std::vector<ShardListeners>, std::string> open_listeners(
    const Config& config, unsigned shards, KeptSockets* kept = nullptr);

}  // namespace ringway
