#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gateway/base/endpoint.h"
#include "gateway/base/transport.h"
#include "protocol/base/time.h"

namespace ringway {

// One address that a name led to, in the order of RFC 3263 and RFC 2782 (weights already drawn).
struct ResolvedTarget {
  Transport transport = Transport::Udp;
  Endpoint endpoint;
  std::uint16_t priority = 0;  // RFC 2782; drawn by weight within a priority for each request
  std::uint16_t weight = 0;
};

// The answer to one lookup.
struct Resolution {
  enum class Outcome : std::uint8_t { Found, NoSuchName, Failed };
  Outcome outcome = Outcome::Failed;
  std::vector<ResolvedTarget> targets;  // at most 32
  Duration ttl = 30s;                   // how long it may be used
};

// What the control thread knows of the configured next hops: entry n belongs to
// Config::next_hops[n]. Immutable; replaced whole and published to every shard.
struct NextHopSnapshot {
  std::vector<Resolution> next_hops;
  // By next hop: the addresses of its members that are host names; may be shorter.
  std::vector<std::vector<Address>> members;
  std::uint64_t generation = 0;
};

}  // namespace ringway
