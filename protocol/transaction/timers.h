#pragma once

#include <cstdint>

#include "protocol/base/time.h"

// The timers of RFC 3261 17, table 4, with RFC 6026 (L, M) and RFC 4320 (the late 100). Each
// function gives one timer; on a reliable transport those that only absorb or drive
// retransmissions are zero, which the machines take as "do not start" or "over at once".

namespace ringway::transaction {

enum class Reliability : std::uint8_t { Unreliable, Reliable };

// Invariant: 0 < t1 < t2, 0 < t4.
struct Timers {
  Duration t1 = 500ms;  // RFC 3261 17.1.1.1: round-trip time estimate
  Duration t2 = 4s;     // RFC 3261 17.1.2.2: ceiling of the interval of non-INVITE and responses
  Duration t4 = 5s;     // RFC 3261 17.1.2.2: how long a message stays in the network
};

// How often an interval may double: 2^6 * T1 is the life of every transaction that retransmits.
inline constexpr std::uint8_t kDoublingsMax = 6;

// T1 doubled so many times.
constexpr Duration doubled(const Timers& timers, std::uint8_t doublings) {
  return timers.t1 * (1 << (doublings < kDoublingsMax ? doublings : kDoublingsMax));
}
constexpr Duration doubled_to_t2(const Timers& timers, std::uint8_t doublings) {
  const Duration interval = doubled(timers, doublings);
  return interval < timers.t2 ? interval : timers.t2;
}
constexpr Duration unless_reliable(Reliability reliability, Duration delay) {
  return reliability == Reliability::Reliable ? Duration::zero() : delay;
}

// INVITE client, 17.1.1.2. A: the next retransmission; doubles without a ceiling.
constexpr Duration timer_a(const Timers& timers, std::uint8_t doublings) {
  return doubled(timers, doublings);
}
// B: no response to INVITE at all.
constexpr Duration timer_b(const Timers& timers) {
  return 64 * timers.t1;
}
// D: absorbs repeated final responses; at least 32 s on unreliable transports, whatever T1.
constexpr Duration timer_d(const Timers& timers, Reliability reliability) {
  const Duration delay = 64 * timers.t1;
  return unless_reliable(reliability, delay < 32s ? Duration{32s} : delay);
}
// M: further 2xx of a fork, RFC 6026 7.2; the same on each transport.
constexpr Duration timer_m(const Timers& timers) {
  return 64 * timers.t1;
}

// Non-INVITE client, 17.1.2.2. E: the next retransmission.
constexpr Duration timer_e(const Timers& timers, std::uint8_t doublings) {
  return doubled_to_t2(timers, doublings);
}
// F: no final response.
constexpr Duration timer_f(const Timers& timers) {
  return 64 * timers.t1;
}
// K: absorbs repeated responses.
constexpr Duration timer_k(const Timers& timers, Reliability reliability) {
  return unless_reliable(reliability, timers.t4);
}

// INVITE server, 17.2.1. G: the next retransmission of a final non-2xx response.
constexpr Duration timer_g(const Timers& timers, std::uint8_t doublings) {
  return doubled_to_t2(timers, doublings);
}
// H: the ACK did not come.
constexpr Duration timer_h(const Timers& timers) {
  return 64 * timers.t1;
}
// I: absorbs repeated ACKs.
constexpr Duration timer_i(const Timers& timers, Reliability reliability) {
  return unless_reliable(reliability, timers.t4);
}
// L: absorbs repeated INVITEs after a 2xx, RFC 6026 7.1; the same on each transport.
constexpr Duration timer_l(const Timers& timers) {
  return 64 * timers.t1;
}

// Non-INVITE server, 17.2.2. J: absorbs repeated requests.
constexpr Duration timer_j(const Timers& timers, Reliability reliability) {
  return unless_reliable(reliability, 64 * timers.t1);
}
// From the request until the client's timer E is set to T2: 3.5 s with the defaults. Before it a
// 100 must not be sent on an unreliable transport, at it one must be sent on any (RFC 4320 4.1).
constexpr Duration late_trying(const Timers& timers) {
  Duration sum{};
  for (Duration interval = timers.t1; interval < timers.t2; interval *= 2) sum += interval;
  return sum;
}

}  // namespace ringway::transaction
