#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "gateway/admission/bans.h"
#include "gateway/admission/call_caps.h"
#include "gateway/base/counters.h"
#include "gateway/base/flow_id.h"
#include "gateway/base/log.h"
#include "gateway/base/spsc_queue.h"
#include "gateway/config/config.h"
#include "gateway/reactor/kernel_choice.h"
#include "gateway/shard/shard_message.h"
#include "gateway/transport/listener.h"
#include "tls/mac.h"

namespace ringway {

class Exchange;  // gateway/shard/exchange.h

// How the control thread and one shard speak. The methods below are the control thread's.
class ControlPort {
 public:
  // False if the shard's queue is full: try again later, nothing was lost. Wakes the shard.
  bool send(ToShard&& message);

  // The oldest message from the shard, or nullptr; valid until pop().
  FromShard* front() { return from_shard_.front(); }
  void pop() { from_shard_.pop(); }

  ControlPort();
  ~ControlPort();
  ControlPort(const ControlPort&) = delete;
  ControlPort& operator=(const ControlPort&) = delete;

 private:
  friend class ShardThread;
  SpscQueue<ToShard> to_shard_{1024};
  SpscQueue<FromShard> from_shard_{1024};
  int wake_fd_;  // eventfd that the shard reads
};

// What main hands to a shard. References outlive it.
struct ShardSetup {
  const Config& config;  // copied: the shard's own may be replaced (PublishConfig)
  ShardIndex index = 0;
  int cpu = -1;  // the core it is pinned to; -1: none
  ShardListeners listeners;
  Exchange& exchange;
  std::shared_ptr<const TlsSettings> tls;            // null: no TLS anywhere
  std::shared_ptr<const StaticPages> pages;          // null: none
  std::shared_ptr<const FilterRules> filter;         // null: none
  std::shared_ptr<const NextHopSnapshot> next_hops;  // null: published later
  tls::MacKey token_key{};                           // the same on all shards
  Log::Queue& log;                                   // read by the control thread
  std::function<void()> wake_control;                // called after a message to it was queued
  KernelFactory make_kernel = kernels_of(KernelKind::IoUring);  // the same for all shards
  Bans* bans = nullptr;                      // of all shards; null: nobody is ever banned
  std::shared_ptr<const SourceLists> lists{};  // null: none
  std::shared_ptr<const FraudRules> fraud{};   // null: none
  CallCaps* caps = nullptr;                    // of all shards; null: of this one alone
};

// One core's thread: reactor, transport, buffers and signalling core, which nobody else touches.
class Shard {
 public:
  explicit Shard(ShardSetup setup);
  // Stops the thread and joins it. All shards of an exchange are joined before one is destroyed.
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  // Starts the thread, with all signals blocked, and waits until it serves.
  // Errors: io_uring is missing, forbidden or too old, memory limits: what and what to do.
  [[nodiscard]] std::expected<void, std::string> start();
  // Returns when the thread has ended: after Stop, or after a failure told by ShardFailed.
  void join();

  ControlPort& control();
  const Counters& counters() const;

 private:
  std::unique_ptr<class ShardThread> thread_;
};

}  // namespace ringway
