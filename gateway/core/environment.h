#pragma once

#include <cstdint>
#include <vector>

#include "gateway/admission/call_caps.h"
#include "gateway/admission/source_gate.h"
#include "gateway/base/buffer_pool.h"
#include "gateway/base/counters.h"
#include "gateway/base/log.h"
#include "gateway/config/config.h"
#include "gateway/config/listener_info.h"
#include "protocol/base/time.h"
#include "tls/mac.h"

namespace ringway {

// What the core of one shard is made with. All references outlive it.
struct CoreEnvironment {
  const Config& config;
  ShardIndex shard = 0;
  ShardIndex shard_count = 1;           // shard < shard_count
  std::vector<ListenerInfo> listeners;  // same order on every shard
  tls::Mac& mac;                        // signs tokens; the same key on all shards
  std::uint64_t seed = 0;               // for tags, branches and nonces; differs by shard
  std::uint32_t epoch = 0;              // random at each start, the same on all shards
  BufferPool& buffers;
  Counters& counters;
  Log& log;
  // From the clock of Instant to a calendar that goes on over restarts; tokens bear its day.
  Duration calendar{};
  SourceGate* gate = nullptr;  // who may speak on the access side; nullptr: everybody
  CallCaps* caps = nullptr;    // of all shards; nullptr: of this one alone
};

}  // namespace ringway
