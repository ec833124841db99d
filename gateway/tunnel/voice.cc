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

}  // namespace ringway::tunnel
