#pragma once

#include <cstdint>
#include <memory>

#include "gateway/admission/source_gate.h"
#include "gateway/base/buffer_pool.h"
#include "gateway/base/counters.h"
#include "gateway/base/flow_id.h"
#include "gateway/base/log.h"
#include "gateway/config/config.h"
#include "gateway/reactor/kernel.h"
#include "gateway/transport/listener.h"
#include "gateway/transport/static_pages.h"
#include "gateway/transport/tls_settings.h"
#include "protocol/base/keyed_hash.h"

namespace ringway {

// What the classes behind Streams work with. All of it outlives them; the kernel has ended before
// they go.
struct StreamEnvironment {
  const Config& config;
  ShardIndex shard = 0;
  const ShardListeners& listeners;
  Kernel& kernel;
  BufferPool& buffers;
  Counters& counters;
  Log& log;
  HashKey hash_key{};
  std::uint64_t seed = 0;  // for jitter
  SourceGate* gate = nullptr;  // who may come in on the access side; nullptr: everybody
};

// Replaced on reload; open connections keep what they began with.
struct StreamSnapshots {
  std::shared_ptr<const TlsSettings> tls;    // null: no TLS anywhere
  std::shared_ptr<const StaticPages> pages;  // null: none
};

}  // namespace ringway
