#pragma once

#include <expected>
#include <string>
#include <vector>

#include "gateway/base/outbox.h"
#include "gateway/config/config.h"
#include "gateway/config/listener_info.h"
#include "gateway/transport/kept_sockets.h"
#include "gateway/transport/socket.h"

namespace ringway {

// The bound sockets of one shard and what they are: in both the places of Config::listen, and the
// same ones on all shards.
struct ShardListeners {
  std::vector<Socket> sockets;  // invalid once a reload has taken the listener away
  std::vector<ListenerInfo> infos;
  // Somebody else holds them too, so what arrives after our end waits for who comes next.
  bool kept = false;
};

// Binds every listening socket of every shard, so that a port that cannot be had is known before
// anything starts. Sockets of one port share it by SO_REUSEPORT, after a check that nobody else
// has it. A port of 0 is chosen by the kernel, once for all shards (with port_per_shard: one for
// each). Streams begin to listen here, so connections may queue up before a shard accepts.
//
// Config::listen has its twins (add_tcp_twins). A twin has the address of its UDP listener.
// Errors: one sentence that names the listener, its address and the cure.
[[nodiscard]] std::expected<std::vector<ShardListeners>, std::string> open_listeners(
    const Config& config, unsigned shards, KeptSockets* kept = nullptr);

// What a reload adds to the listeners of one shard, behind them or at a place that was removed.
struct NewListener {
  ListenerIndex place = 0;
  ListenerInfo info;
  Socket socket;                     // bound, and listening if it is for streams; or invalid:
  ListenerIndex from = kNoListener;  // it has the socket of that place, which is removed
};

// What each shard has, as the control thread knows it: by shard, the places of Config::listen.
using HeldListeners = std::vector<std::vector<ListenerInfo>>;

// The places that a reload adds listeners at: those of next that held lacks or has as removed.
// Where next removes one of the same address and kind, `from` is its place: its socket stays, and
// what waits in it. held: of one shard, whichever; precondition: its places have not moved in next.
struct AddedPlace {
  ListenerIndex place = 0;
  ListenerIndex from = kNoListener;
};
std::vector<AddedPlace> added_places(const Config& next, const std::vector<ListenerInfo>& held);

// The same as open_listeners() for added_places(), by shard. Waits for no port but one that we
// ourselves are about to close.
[[nodiscard]] std::expected<std::vector<std::vector<NewListener>>, std::string> open_more_listeners(
    const Config& next, const HeldListeners& held);

}  // namespace ringway
