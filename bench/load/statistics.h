#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bench/load/histogram.h"

namespace ringway::load {

// One second of a run.
struct Interval {
  std::uint64_t completed = 0;
  std::uint64_t lost = 0;
  std::uint64_t p50 = 0;
  std::uint64_t p99 = 0;
  std::uint64_t max = 0;
};

struct Statistics {
  std::uint64_t started = 0;
  std::uint64_t completed = 0;  // units: transactions, calls, handshakes
  std::uint64_t lost = 0;       // no final answer in time
  std::uint64_t refused = 0;    // final answer other than 2xx
  std::uint64_t retransmissions = 0;
  std::uint64_t strays = 0;         // messages that match nothing we wait for
  std::uint64_t flow_failures = 0;  // connections that failed or closed
  std::uint64_t skipped = 0;        // open loop: no free slot
  std::uint64_t resumed = 0;
  std::map<int, std::uint64_t> statuses;  // refusals by status code
  Histogram first;                        // request to final answer; INVITE to 200; connect to open
  Histogram bye;                          // of calls
};

}  // namespace ringway::load
