#pragma once

#include <cstdint>

#include "gateway/base/source_counts.h"
#include "gateway/transport/newcomers.h"
#include "gateway/transport/stream_environment.h"
#include "gateway/transport/stream_table.h"

namespace ringway {

// Who may be connected to this shard, and who has to go for others.
//
// A source (IPv4 address, IPv6 /64) has limits.flows_per_source connections at most. When more of
// them than may be are not open yet its oldest goes; when those of all sources are too many, the
// oldest of the heaviest source goes. Where places for flows run short, those go that are open and
// never sent a message. Nobody is dropped in its first moments. Each refusal and each drop counts.
class AcceptedStreams {
 public:
  // The references in environment, and table, outlive this object.
  AcceptedStreams(const StreamEnvironment& environment, StreamTable& table);

  // Bans and blocked prefixes keep that address out of that listener: it gets nothing of us, not
  // even a handshake. Listeners of the network side are open to all.
  bool is_shut_out(ListenerIndex listener, const Address& address, Instant now);
  // The stream of an accepted connection, in Connecting. nullptr: its source has too many, or there
  // are too many in all; fd is the caller's then. by_proxy: its source is not counted before
  // set_remote().
  Stream* add(int fd, ListenerIndex listener, const Endpoint& remote, bool by_proxy, Instant now);
  // A proxy said who the client is. False: that source is shut out, or has too many flows.
  bool set_remote(Stream& stream, const Endpoint& remote, Instant now);
  // Before its slot is freed: its source does not have it any more.
  void release(Stream& stream);

  // It has to finish a handshake or a header before it is open. Others may have to go for it: true
  // if so, or if there is room for no more.
  bool wait(Stream& stream, Instant now);
  // Its first byte.
  void spoke(Stream& stream) { newcomers_.spoke(stream); }
  // We answered: the peer's next flight is waited for from now on.
  void waits_for_peer(Stream& stream, Instant now) { newcomers_.waits_for_peer(stream, now); }
  // It is open, or closed.
  void leave(Stream& stream) { newcomers_.remove(stream); }
  const Newcomers& newcomers() const { return newcomers_; }

  // When expire() may find somebody who has to go; kNever: there is room.
  Instant next_deadline() const;
  // True if it was time for somebody to go.
  bool expire(Instant now);

 private:
  void make_room(Instant now);
  void close_mute(Instant now);
  void drop(Stream& stream, Instant now);

  const Config& config_;
  SourceGate* const gate_;
  const ShardListeners& listeners_;
  Counters& counters_;
  Log& log_;
  StreamTable& table_;
  SourceCounts flows_;  // accepted, until they are gone
  Newcomers newcomers_;
  Instant made_room_at_{}, closed_mute_at_{};
  Instant warned_at_{};  // of dropped connections
  std::uint64_t dropped_unsaid_ = 0;
};

}  // namespace ringway
