#pragma once

#include <array>
#include <cstdint>

#include "gateway/base/counters.h"

namespace ringway::tunnel {

// Everything that one tunnel end counts. Gauges say so; the rest only grows.
// Out of the tunnel's view: "in" comes from datagram sockets, "out" goes to them.
struct Numbers {
  Counter messages_in, messages_out, bytes_in, bytes_out;
  Counter frames_in, frames_out, tunnel_bytes_in, tunnel_bytes_out;
  Counter errors_answered;  // error replies that this end wrote itself
  // Dropped without an answer: too long for the datagram socket, from a socket without a name, a
  // reply that nobody waits for (late, doubled, or none of ours), the local socket was full or
  // failed, the tunnel was down (datagrams only), no place in a table, not a whole message.
  Counter dropped_too_long, dropped_unnamed, dropped_unexpected, dropped_socket, dropped_down,
      dropped_full, dropped_malformed;
  Counter timeouts;         // requests that the far end never answered
  Counter targets_refused;  // the target's port was closed
  Counter connections_made, connections_broken, connections_refused;
  Counter failovers;                                    // from one relay end to another
  Counter sources, pending, connections, queued_bytes;  // gauges
  Counter target_serves;     // gauge, relay end: 1 while the target answers
  Counter round_trip_us;     // gauge: the last measured, through the tunnel and back
  CounterArray<16> latency;  // answers: bucket i: below 2^i * 64 microseconds; the last: all others
  Counter latency_us;        // their sum
};

}  // namespace ringway::tunnel
