#pragma once

#include <cstdint>
#include <vector>

#include "gateway/base/buffer_pool.h"
#include "gateway/base/counters.h"
#include "gateway/base/log.h"
#include "gateway/base/random.h"
#include "gateway/base/timer_wheel.h"
#include "gateway/config/config.h"
#include "gateway/config/listener_info.h"
#include "gateway/nat/own_uris.h"
#include "protocol/base/keyed_hash.h"
#include "protocol/sip/message.h"
#include "protocol/sip/validate.h"
#include "tls/mac.h"

namespace ringway {

// What every part of one shard's core uses. One object for each core; outlives all its parts.
struct Services {
  const Config& config;
  ShardIndex shard;
  std::uint32_t epoch;                  // random at each start, the same on all shards
  std::vector<ListenerInfo> listeners;  // same order on every shard
  const tls::Mac& mac;
  HashKey hash_key;  // the same on all shards and after a restart
  OwnUris own;
  BufferPool& buffers;
  Counters& counters;
  Log& log;
  Random random;
  TimerWheel wheel;

  const ListenConfig& listener(ListenerIndex index) const { return listeners[index].config; }
  void drop(DropReason reason) { counters.drops[static_cast<std::size_t>(reason)].add(); }
};

// A message with what was read of it; valid during one turn.
struct Incoming {
  const sip::MessageView& view;
  const sip::Essentials& essentials;
};

}  // namespace ringway
