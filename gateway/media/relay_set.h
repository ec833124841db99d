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
#include "gateway/media/relay_protocol.h"

namespace ringway {

// The media relays of one shard and the requests that wait for their answers. Requests are
// pipelined; each has a cookie that is never used again, because the relay caches its replies by
// cookie. A request whose connection breaks is sent again, under the same cookie, on the next one.
class RelaySet {
 public:
  static constexpr std::size_t kPendingMax = 16'384;
  static constexpr std::size_t kRelaysMax = 32;

  RelaySet(const Config& config, ShardIndex shard, std::uint32_t epoch, TimerWheel& wheel,
           BufferPool& buffers, Counters& counters, Log& log, Random& random);

  bool configured() const { return relay_count_ != 0; }

  // The relay for a new media session: one that is connected, drawn at random; without any, still
  // one, whose requests then wait for its connection until they time out.
  std::uint8_t choose();

  // Sends request to relay; owner comes back with the outcome (an empty one: nobody waits).
  // False if the table or the pool is full, or the request does not fit a message.
  bool send(std::uint8_t relay, const RelayRequest& request, SlotId owner, Instant now,
            Outbox& outbox);

  // What became of one request.
  struct Completion {
    SlotId owner;
    RelayCommand command = RelayCommand::Ping;
    bool answered = false;  // false: timed out
    RelayReply reply;       // borrows from the message
  };
  // nullopt: an event of the relay's own, or a reply that came too late.
  std::optional<Completion> receive(std::uint8_t relay, Bytes message, Instant now);
  // A deadline with Subject::Relay. nullopt: nobody waits any more.
  std::optional<Completion> expire(std::uint64_t payload, Instant now);

  void connected(std::uint8_t relay, Outbox& outbox);
  void lost(std::uint8_t relay);

  std::uint32_t pending() const { return pending_.size(); }

 private:
  struct Pending {
    SlotId owner;
    RelayCommand command = RelayCommand::Ping;
    std::uint8_t relay = 0;
    std::uint8_t sends = 0;
    BufferRef message;
    Instant since{};
    TimerWheel::Handle timer = 0;
  };
  struct Relay {
    bool up = false;
    std::uint8_t timeouts = 0;  // in a row
  };

  void emit(Pending& pending, Outbox& outbox);

  const Config& config_;
  TimerWheel& wheel_;
  BufferPool& buffers_;
  Counters& counters_;
  Log& log_;
  Random& random_;
  std::uint32_t cookie_prefix_;
  ShardIndex shard_;
  std::size_t relay_count_;
  std::array<Relay, kRelaysMax> relays_{};
  SlotTable<Pending> pending_;
};

}  // namespace ringway
