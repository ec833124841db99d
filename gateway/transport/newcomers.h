#pragma once

#include <cstdint>

#include "gateway/base/source_counts.h"
#include "gateway/transport/stream_table.h"

namespace ringway {

// Accepted connections that are not open yet, in the order in which we began to wait for their
// peers, and who has to go where there are too many. A connection that says nothing takes no place
// of a handshake: those begin with the first byte.
class Newcomers {
 public:
  // handshakes_max: limits.handshakes, which those that spoke may reach before accepts slow down.
  Newcomers(const StreamEnvironment& environment, StreamTable& table);

  void add(Stream& stream, Instant now);
  // Its first byte.
  void spoke(Stream& stream);
  // We answered: the peer's next flight is waited for from now on.
  void waits_for_peer(Stream& stream, Instant now);
  // A proxy said who the client is.
  void set_source(Stream& stream, const Address& source);
  void remove(Stream& stream);

  std::uint32_t count() const { return count_; }
  std::uint32_t handshakes() const { return handshakes_; }
  bool is_full() const;
  // When the one that waits longest may go; kNever: nobody waits.
  Instant next_surplus() const;
  // With less than a quarter of the handshakes that may be, and room in the list.
  bool is_quiet() const;

  // Who has to go for the newest of this source: its oldest, if it has more than may wait.
  Stream* find_surplus(const Address& source, Instant now);
  // Who has to go when there are too many in all: the oldest of the heaviest source.
  Stream* find_heaviest(Instant now);

 private:
  bool may_go(const Stream& stream, Instant now) const;
  void append(Stream& stream);
  void unlink(Stream& stream);

  const std::uint32_t handshakes_max_;
  Counters& counters_;
  StreamTable& table_;
  SourceCounts sources_;
  std::uint32_t first_ = 0, last_ = 0, count_ = 0;  // slots; first waits longest
  std::uint32_t handshakes_ = 0;                    // of these, those that spoke
};

}  // namespace ringway
