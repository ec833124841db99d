#include "gateway/tunnel/voice.h"

#include <limits.h>
#include <poll.h>
#include <unistd.h>

namespace ringway::tunnel {

// A pipe that can be written to takes this much at once (pipe(7)).
bool write_line(const std::string& text) {
  constexpr std::size_t kBytesMax = PIPE_BUF;
  std::string line = "ringway tunnel: " + text;
  if (line.size() >= kBytesMax) line.resize(kBytesMax - 1);
  line += '\n';
  pollfd ready{STDERR_FILENO, POLLOUT, 0};
  if (poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) return false;
  return write(STDERR_FILENO, line.data(), line.size()) == static_cast<ssize_t>(line.size());
}

void Voice::say(const std::string& text, Instant now) {
  if (now - since_ >= 1s) {
    if (left_out_ != 0 && write_line(std::to_string(left_out_) + " more lines were left out")) {
      left_out_ = 0;
    }
    since_ = now;
    said_ = 0;
  }
  if (++said_ > kLinesMax || !write_line(text)) ++left_out_;
}

void Voice::say_now_and_then(const std::string& text, Instant now) {
  std::erase_if(remembered_, [&](const auto& one) { return now - one.second >= kPause; });
  if (remembered_.contains(text) || remembered_.size() == kRememberedMax) return;
  remembered_.emplace(text, now);
  say(text, now);
}

}  // namespace ringway::tunnel
