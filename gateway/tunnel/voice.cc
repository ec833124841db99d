#include "gateway/tunnel/voice.h"

#include <cstdio>

namespace ringway::tunnel {

void Voice::say(const std::string& text, Instant now) {
  if (now - since_ >= 1s) {
    if (said_ > kLinesMax) {
      std::fprintf(stderr, "ringway tunnel: %u more lines were left out\n", said_ - kLinesMax);
    }
    since_ = now;
    said_ = 0;
  }
  if (++said_ <= kLinesMax) std::fprintf(stderr, "ringway tunnel: %s\n", text.c_str());
}

void Voice::say_now_and_then(const std::string& text, Instant now) {
  std::erase_if(remembered_, [&](const auto& one) { return now - one.second >= kPause; });
  if (remembered_.contains(text) || remembered_.size() == kRememberedMax) return;
  remembered_.emplace(text, now);
  say(text, now);
}

}  // namespace ringway::tunnel
