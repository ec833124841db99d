#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "protocol/base/time.h"

namespace ringway::tunnel {

// Lines on stderr; no more than kLinesMax in a second, whatever strangers do. How many were left
// out is said with the first line of a later second. Some are said once in kPause only.
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
  unsigned said_ = 0;
  std::map<std::string, Instant> remembered_;  // size() <= kRememberedMax
};

}  // namespace ringway::tunnel
