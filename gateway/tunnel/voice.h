#pragma once

#include <string>

#include "protocol/base/time.h"

namespace ringway::tunnel {

// Lines on stderr; no more than kLinesMax in a second, whatever strangers do. How many were left
// out is said with the first line of a later second.
class Voice {
 public:
  static constexpr unsigned kLinesMax = 20;

  void say(const std::string& text, Instant now);

 private:
  Instant since_{};
  unsigned said_ = 0;
};

}  // namespace ringway::tunnel
