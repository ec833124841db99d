#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "protocol/base/time.h"

namespace ringway::bounds {

// Everything that others can make us hold or do has a bound. table() has them all: what is counted,
// how many of them there may be, what becomes of the next, and which metric says so.
struct Bound {
  enum class Unit : std::uint8_t { Bytes, Count, Milliseconds };

  std::string_view what;
  std::uint64_t value = 0;  // for configured ones the default
  Unit unit = Unit::Count;
  std::string_view beyond;   // what happens to what is more
  std::string_view counter;  // the metric, without its prefix ringway_
  std::string_view setting;  // the configuration's key; empty: fixed
};
std::span<const Bound> table();

// What one shard's streams may take.

// Sending. A queue is also bounded by limits.send_queue_bytes, in which each item counts as
// kSendItemCharge bytes beside its own.
inline constexpr std::uint32_t kSendItemsMax = 262'144;
inline constexpr std::uint32_t kSendItemsReserved = kSendItemsMax / 16;    // next hops and relays
inline constexpr std::uint32_t kSendItemsCrowded = kSendItemsMax / 8 * 7;  // hoarders are closed
inline constexpr std::uint32_t kSendItemCharge = 256;
// What one turn asks of a flow may be more than its queue holds, and nothing has left before the
// turn's end: until a peer has had this time, the bound is so many times as large.
inline constexpr Duration kSendGrace = 100ms;
inline constexpr std::uint32_t kSendBurst = 16;
inline constexpr std::size_t kRecordMax = 16'384;  // plaintext of one TLS record
inline constexpr Duration kSendStallMax = 10s;     // for a send to make progress
inline constexpr Duration kFlushMax = 2s;          // for what is queued to leave at close
inline constexpr Duration kLingerMax = 1s;         // for the peer to read it and close
static_assert(kSendItemsCrowded < kSendItemsMax - kSendItemsReserved);

// Accepted and not open yet.
inline constexpr std::uint32_t kWaitingMax = 4'096;
inline constexpr std::uint32_t kWaitingOfSourceMax = 64;
inline constexpr Duration kWaitingMin = 1s;  // nobody is dropped sooner

inline constexpr std::size_t kSpareDescriptors = 4;  // of a shard, for next hops and relays

}  // namespace ringway::bounds
