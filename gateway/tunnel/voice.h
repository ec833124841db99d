#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "protocol/base/time.h"

namespace ringway::tunnel {

// One line on stderr, with our name in front. False, and nothing is written, where that would wait
// for whoever reads: the loop that carries messages says this.
bool write_line(const std::string& text);

// Lines on stderr; no more than kLinesMax in a second, whatever strangers do, and none that would
// wait for a reader. How many were left out is said with the first line of a later second. Some are
// said once in kPause only.
class Voice {
 public:
  static constexpr unsigned kLinesMax = 20;

  static constexpr Duration kPause = 60s;
  static constexpr std::size_t kRememberedMax = 64;

  void say(const std::string& text, Instant now);
  // Nothing if the same was said less than kPause ago.
  void say_now_and_then(const std::string& text, Instant now);

 private:
  Instant since_{};
  unsigned said_ = 0;                          // in this second
  std::uint64_t left_out_ = 0;                 // and not told yet
  std::map<std::string, Instant> remembered_;  // size() <= kRememberedMax
};

}  // namespace ringway::tunnel
