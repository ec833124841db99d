#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "gateway/base/buffer_pool.h"
#include "gateway/base/counters.h"
#include "gateway/base/log.h"
#include "gateway/base/outbox.h"
#include "gateway/base/random.h"
#include "gateway/base/slot_table.h"
#include "gateway/base/subject.h"
#include "gateway/base/timer_wheel.h"
#include "gateway/config/config.h"
#include "gateway/media/relay_pool.h"
#include "gateway/media/relay_protocol.h"

namespace ringway {

// The media relays of one shard and the requests that wait for their answers. Requests are
// pipelined; each has a cookie that is never used again, because the relay caches its replies by
// cookie. A request whose connection breaks is sent again, under the same cookie, on the next one;
// by UDP one that has no answer is sent again after a fifth and two fifths more of its time.
class RelaySet {
 public:
  static constexpr std::size_t kPendingMax = 16'384;
  static constexpr std::uint32_t kPendingMaxOfRelay = 1'024;  // what is beyond fails at once

  RelaySet(const Config& config, ShardIndex shard, std::uint32_t epoch, TimerWheel& wheel,
           BufferPool& buffers, Counters& counters, Log& log, Random& random);

  bool configured() const { return pool_.size() != 0; }

  RelayPool& pool() { return pool_; }
  const RelayPool& pool() const { return pool_; }

  // Sends request to relay; owner comes back with the outcome (an empty one: nobody waits).
  // False if the table or the pool is full, too much waits for this relay, or the request does not
  // fit a message.
  bool send(std::uint8_t relay, const RelayRequest& request, SlotId owner, Instant now,
            Outbox& outbox);

  // What became of one request.
  struct Completion {
    SlotId owner;
    RelayCommand command = RelayCommand::Ping;
    std::uint8_t relay = 0;
    bool answered = false;  // false: timed out
    RelayReply reply;       // borrows from the message
  };
  // nullopt: an event of the relay's own, or a reply that came too late.
  std::optional<Completion> receive(std::uint8_t relay, Bytes message, Instant now);
  // A deadline with Subject::Relay. nullopt: nobody waits any more.
  std::optional<Completion> expire(std::uint64_t payload, Instant now, Outbox& outbox);

  void connected(std::uint8_t relay, Outbox& outbox);
  // Offers that could go to another relay wait only a moment for this one's return.
  void lost(std::uint8_t relay, Instant now);

  std::uint32_t pending() const { return pending_.size(); }

 private:
  struct Pending {
    SlotId owner;
    RelayCommand command = RelayCommand::Ping;
    std::uint8_t relay = 0;
    std::uint8_t sends = 0;
    BufferRef message;
    Instant since{};
    Instant until{};
    TimerWheel::Handle timer = 0;
  };

  void emit(Pending& pending, Outbox& outbox);
  void arm(SlotId id, Pending& pending, Instant now);
  void release(SlotId id, Pending& pending);
  bool is_datagram(std::uint8_t relay) const {
    return config_.media.relays[relay].transport == Transport::Udp;
  }

  const Config& config_;
  TimerWheel& wheel_;
  BufferPool& buffers_;
  Counters& counters_;
  RelayPool pool_;
  std::uint32_t cookie_prefix_;
  ShardIndex shard_;
  std::array<bool, RelayPool::kRelaysMax> up_{};  // it can be sent to
  std::array<std::uint32_t, RelayPool::kRelaysMax> pending_of_{};
  SlotTable<Pending> pending_;
};

}  // namespace ringway
