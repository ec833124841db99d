// The fuzz target's promises over streams of frames and over control messages with bytes changed.

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "gateway/tunnel/frame.h"
#include "tests/fuzz/tunnel_properties.h"

namespace ringway::tunnel {
namespace {

class Inputs {
 public:
  Inputs() : seed_(std::random_device{}()), random_(seed_) {}
  std::uint32_t seed() const { return seed_; }
  std::size_t below(std::size_t end) { return random_() % end; }

  // A frame as an end may send it, or nearly.
  std::string frame() {
    FrameHead head;
    head.kind = static_cast<FrameKind>(1 + below(7));
    head.first = below(2) == 0;
    head.last = below(2) == 0;
    const std::size_t sizes[] = {0, 1, 8, kHelloBytes, below(300), kFramePayloadMax};
    head.payload_bytes = static_cast<std::uint16_t>(sizes[below(below(8) == 0 ? 6 : 5)]);
    head.stream = static_cast<std::uint32_t>(below(3));
    head.message = static_cast<std::uint32_t>(below(3));
    std::string bytes(kFrameHeadBytes + head.payload_bytes, 'p');
    std::uint8_t written[kFrameHeadBytes];
    write_frame_head(head, written);
    bytes.replace(0, kFrameHeadBytes, as_text(written));
    return bytes;
  }

  std::string message() {
    static constexpr const char* kRests[] = {" d7:command4:pinge", " {\"command\":\"ping\"}",
                                             " VF 20040107", " ", "", "  d"};
    const std::size_t sizes[] = {below(12), 127, 128, 129, 4096, 4097};
    return std::string(sizes[below(6)], 'c') + kRests[below(6)];
  }

  void change(std::string& text) {
    for (std::size_t left = below(4); left > 0 && !text.empty(); --left) {
      const std::size_t at = below(std::min<std::size_t>(text.size(), 200));
      const char c = static_cast<char>(random_());
      switch (below(3)) {
        case 0:
          text[at] = c;
          break;
        case 1:
          text.insert(at, 1, c);
          break;
        default:
          text.erase(at, 1 + below(4));
      }
    }
  }

 private:
  std::uint32_t seed_;
  std::mt19937 random_;
};

TEST(TunnelMutations, FramesKeepTheirPromises) {
  Inputs inputs;
  SCOPED_TRACE(inputs.seed());
  RecordProperty("seed", std::to_string(inputs.seed()));
  for (int round = 0; round < 1500; ++round) {
    std::string stream;
    for (std::size_t left = 1 + inputs.below(8); left > 0; --left) stream += inputs.frame();
    inputs.change(stream);
    check_frames(as_bytes(stream));
  }
}

TEST(TunnelMutations, CookiesKeepTheirPromises) {
  Inputs inputs;
  SCOPED_TRACE(inputs.seed());
  RecordProperty("seed", std::to_string(inputs.seed()));
  for (int round = 0; round < 5000; ++round) {
    std::string message = inputs.message();
    inputs.change(message);
    check_cookies(as_bytes(message));
  }
}

}  // namespace
}  // namespace ringway::tunnel
