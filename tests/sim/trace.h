#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tests/sim/clock.h"

namespace ringway::sim {

// What happened, line by line. Lines are printed only where one seed is replayed; their digest is
// always kept, because two runs of one seed must have the same.
class Trace {
 public:
  Trace(const Clock& clock, bool printing) : clock_(clock), printing_(printing) {}

  // who: "shard 0", "u3 wss". Long texts are messages and are printed indented.
  void line(std::string_view who, std::string_view what, std::string_view text = {});
  std::uint64_t digest() const { return digest_; }
  bool printing() const { return printing_; }

 private:
  const Clock& clock_;
  bool printing_;
  std::uint64_t digest_ = 0xcbf2'9ce4'8422'2325;
};

}  // namespace ringway::sim
