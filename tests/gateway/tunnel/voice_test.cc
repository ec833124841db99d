#include "gateway/tunnel/voice.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>

namespace ringway::tunnel {
namespace {

// Standard error is a pipe that holds two pages, for as long as this lives.
class PipeForErrors {
 public:
  PipeForErrors() : before_(dup(STDERR_FILENO)) {
    EXPECT_EQ(pipe(ends_.data()), 0);
    fcntl(ends_[1], F_SETPIPE_SZ, 8'192);
    fcntl(ends_[0], F_SETFL, O_NONBLOCK);
    dup2(ends_[1], STDERR_FILENO);
  }
  ~PipeForErrors() {
    dup2(before_, STDERR_FILENO);
    for (const int fd : {before_, ends_[0], ends_[1]}) close(fd);
  }
  std::string read_all() {
    std::string text;
    std::array<char, 4'096> piece;
    for (ssize_t size; (size = read(ends_[0], piece.data(), piece.size())) > 0;) {
      text.append(piece.data(), static_cast<std::size_t>(size));
    }
    return text;
  }

 private:
  int before_;
  std::array<int, 2> ends_{};
};

TEST(TunnelVoice, ALineThatWouldWaitForItsReaderIsLeftOutAndCounted) {
  std::string first, second;
  {
    PipeForErrors errors;
    Voice voice;
    Instant now = Instant{} + 10s;
    for (int i = 0; i < 15; ++i) voice.say(std::string(1'000, 'x'), now);
    first = errors.read_all();
    now += 2s;
    voice.say("there again", now);
    second = errors.read_all();
  }
  const auto lines = std::count(first.begin(), first.end(), '\n');
  EXPECT_GE(lines, 1);
  EXPECT_LT(lines, 15);
  EXPECT_EQ(second, "ringway tunnel: " + std::to_string(15 - lines) +
                        " more lines were left out\nringway tunnel: there again\n");
}

TEST(TunnelVoice, ALineIsCutToWhatAPipeTakesAtOnce) {
  std::string text;
  {
    PipeForErrors errors;
    Voice().say(std::string(100'000, 'x'), Instant{} + 10s);
    text = errors.read_all();
  }
  EXPECT_EQ(text.size(), 4'096u);
  EXPECT_TRUE(text.ends_with("x\n"));
}

}  // namespace
}  // namespace ringway::tunnel
