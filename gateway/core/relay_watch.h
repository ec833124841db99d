#pragma once

#include <array>
#include <cstdint>

#include "gateway/base/outbox.h"
#include "gateway/core/calls.h"
#include "gateway/core/services.h"
#include "gateway/media/relay_set.h"

namespace ringway {

// What a shard asks its media relays beside its calls.
//
// Pings: one that is silent comes back by itself, one that died is known before a call finds out.
//
// Orphans: sessions that are ours by name and that no call of this shard is for, because a process
// was killed or a relay did not hear Delete. A call that outlived a restart is not known before its
// next message, so a session counts as an orphan only when no RTP has come in it between two
// sweeps. Then it is deleted: at the latest kSweep * 3 after its last packet.
class RelayWatch {
 public:
  static constexpr Duration kPing = 5s, kPingSilent = 500ms, kSweep = 15s;
  static constexpr std::uint32_t kListedMax = 256;    // ids in one sweep of one relay
  static constexpr std::uint32_t kSuspectsMax = 256;  // those beyond wait for a later sweep

  // All outlive this object.
  RelayWatch(Services& core, RelaySet& relays, Calls& calls)
      : core_(core), relays_(relays), calls_(calls) {}

  void connected(std::uint8_t relay, Instant now);
  void lost(std::uint8_t relay) { watched_[relay].here = false; }
  // A ping leaves at once, unless one waits for its answer.
  void probe(std::uint8_t relay, Instant now, Outbox& outbox);
  // What it holds of the shard's deadlines, and its pings and lists without an answer.
  std::uint32_t deadlines() const { return timer_ != 0 ? 1 : 0; }
  std::uint32_t asking() const;
  // Its deadline.
  void expired(Instant now, Outbox& outbox);
  // Of a request that no call has sent.
  void completed(const RelaySet::Completion& completion, Instant now, Outbox& outbox);

 private:
  struct Watched {
    bool here = false;
    bool pinging = false, listing = false;  // have no answer yet
    Instant ping_at{}, sweep_at{};
  };
  // A session that may be an orphan.
  struct Suspect {
    std::uint64_t name = 0;  // hash of its id; 0: the place is free
    std::uint64_t packets = 0;
    Instant since{};    // packets are the same since then
    Instant seen_at{};  // in a list
    std::uint8_t relay = 0;
    bool counted = false;  // packets and since are known
    BufferRef id;
  };

  void arm(Instant now);
  void sweep(std::uint8_t relay, std::string_view list, Instant now, Outbox& outbox);
  Suspect* suspect(std::uint8_t relay, std::string_view id, Instant now);
  void judge(Suspect& suspect, const RelaySet::Completion& completion, Instant now, Outbox& outbox);

  Services& core_;
  RelaySet& relays_;
  Calls& calls_;
  TimerWheel::Handle timer_ = 0;
  std::array<Watched, RelayPool::kRelaysMax> watched_{};
  std::array<Suspect, kSuspectsMax> suspects_{};
};

}  // namespace ringway
