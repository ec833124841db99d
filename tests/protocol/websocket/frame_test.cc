#include "protocol/websocket/frame.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/protocol/base/guarded.h"

namespace ringway::websocket {
namespace {

using Octets = std::vector<std::uint8_t>;

auto parse(const Octets& octets) {
  return parse_frame_header(Guarded(Bytes{octets}).bytes());
}

TEST(FrameHeader52, EachFormOfTheLength) {
  struct Case {
    const char* name;
    Octets octets;
    std::uint64_t size;
  };
  const Case cases[] = {
      {"zero", {0x82, 0x00}, 0},
      {"125", {0x82, 0x7d}, 125},
      {"126", {0x82, 0x7e, 0x00, 0x7e}, 126},
      {"65535", {0x82, 0x7e, 0xff, 0xff}, 65535},
      {"65536", {0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0}, 65536},
      {"2^63-1", {0x82, 0x7f, 0x7f, 255, 255, 255, 255, 255, 255, 255}, 0x7fffffffffffffff},
  };
  for (const Case& c : cases) {
    for (std::size_t size = 0; size < c.octets.size(); ++size) {
      const auto cut = parse(Octets(c.octets.begin(), c.octets.begin() + static_cast<int>(size)));
      ASSERT_TRUE(cut.has_value()) << c.name << " cut at " << size;
      EXPECT_FALSE(cut->has_value()) << c.name << " cut at " << size;
    }
    const auto header = parse(c.octets);
    ASSERT_TRUE(header && *header) << c.name;
    EXPECT_EQ((*header)->payload_size, c.size) << c.name;
    EXPECT_EQ((*header)->size, c.octets.size()) << c.name;
    EXPECT_EQ((*header)->opcode, Opcode::Binary);
    EXPECT_TRUE((*header)->final);
    EXPECT_FALSE((*header)->masked);
  }
}

TEST(FrameHeader52, Masked) {
  const Octets octets{0x01, 0xfe, 0x01, 0x00, 0xa1, 0xa2, 0xa3, 0xa4, 'x'};
  for (std::size_t size = 0; size < 8; ++size) {
    const auto cut = parse(Octets(octets.begin(), octets.begin() + static_cast<int>(size)));
    ASSERT_TRUE(cut.has_value());
    EXPECT_FALSE(cut->has_value());
  }
  const auto header = parse(octets);
  ASSERT_TRUE(header && *header);
  EXPECT_EQ((*header)->size, 8);
  EXPECT_EQ((*header)->payload_size, 256u);
  EXPECT_EQ((*header)->mask, (Mask{0xa1, 0xa2, 0xa3, 0xa4}));
  EXPECT_FALSE((*header)->final);
  EXPECT_TRUE((*header)->masked);
}

TEST(FrameHeader52, Errors) {
  struct Case {
    const char* name;
    Octets octets;
    FrameError error;
  };
  const Case cases[] = {
      {"RSV1", {0xc1}, FrameError::ReservedBits},
      {"RSV2", {0xa1}, FrameError::ReservedBits},
      {"RSV3", {0x91}, FrameError::ReservedBits},
      {"fragmented ping", {0x09}, FrameError::FragmentedControl},
      {"fragmented close", {0x08, 0x00}, FrameError::FragmentedControl},
      {"large ping", {0x89, 0xfe}, FrameError::LargeControl},
      {"huge close", {0x88, 0xff}, FrameError::LargeControl},
      {"125 in two bytes", {0x82, 0x7e, 0x00, 0x7d}, FrameError::LengthForm},
      {"zero in two bytes", {0x82, 0x7e, 0x00, 0x00}, FrameError::LengthForm},
      {"65535 in eight bytes", {0x82, 0x7f, 0, 0, 0, 0, 0, 0, 255, 255}, FrameError::LengthForm},
      {"top bit", {0x82, 0x7f, 0x80, 0, 0, 0, 0, 1, 0, 0}, FrameError::LengthForm},
  };
  for (const Case& c : cases) {
    const auto header = parse(c.octets);
    ASSERT_FALSE(header.has_value()) << c.name;
    EXPECT_EQ(header.error(), c.error) << c.name;
  }
  for (const int opcode : {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    const auto header = parse({static_cast<std::uint8_t>(0x80 | opcode)});
    ASSERT_FALSE(header.has_value()) << opcode;
    EXPECT_EQ(header.error(), FrameError::UnknownOpcode) << opcode;
  }
}

TEST(Mask53, EachSizeOffsetAndAlignment) {
  const Mask mask{0x12, 0x34, 0x56, 0x78};
  for (std::size_t size = 0; size <= 70; ++size) {
    for (std::size_t offset = 0; offset < 8; ++offset) {
      Octets octets(size);
      for (std::size_t i = 0; i < size; ++i) octets[i] = static_cast<std::uint8_t>(i * 7);
      Guarded guarded{Bytes{octets}};
      apply_mask(guarded.bytes(), mask, offset);
      for (std::size_t i = 0; i < size; ++i) {
        ASSERT_EQ(guarded.bytes()[i], octets[i] ^ mask[(offset + i) % 4])
            << size << ' ' << offset << ' ' << i;
      }
    }
  }
}

TEST(Mask53, InPiecesAsAtOnce) {
  const std::uint64_t seed = 53;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  Octets whole(1000);
  for (std::uint8_t& octet : whole) octet = static_cast<std::uint8_t>(random());
  Octets pieces = whole;
  const Mask mask{1, 2, 4, 8};
  apply_mask(whole, mask, 0);
  for (std::size_t start = 0; start < pieces.size();) {
    const std::size_t size = std::min<std::size_t>(random() % 40, pieces.size() - start);
    apply_mask(MutableBytes{pieces}.subspan(start, size), mask, start);
    start += size;
  }
  EXPECT_EQ(pieces, whole);
}

TEST(WriteFrame, IsReadBack) {
  for (const std::uint64_t size : {0u, 1u, 125u, 126u, 65535u, 65536u, 0xffffffffu}) {
    std::array<std::uint8_t, kFrameHeaderBytesMax> memory;
    Writer plain(memory);
    write_frame_header(Opcode::Text, size, plain);
    auto header = parse_frame_header(plain.written());
    ASSERT_TRUE(header && *header) << size;
    EXPECT_EQ((*header)->payload_size, size);
    EXPECT_EQ((*header)->size, plain.size());
    EXPECT_TRUE((*header)->final && !(*header)->masked);

    Writer masked(memory);
    write_masked_frame_header(Opcode::Binary, size, {9, 8, 7, 6}, masked);
    header = parse_frame_header(masked.written());
    ASSERT_TRUE(header && *header) << size;
    EXPECT_EQ((*header)->payload_size, size);
    EXPECT_EQ((*header)->mask, (Mask{9, 8, 7, 6}));
  }
}

TEST(WriteFrame, ControlFrames) {
  std::array<std::uint8_t, 64> memory;
  Writer writer(memory);
  write_control_frame(Opcode::Pong, as_bytes("abc"), writer);
  EXPECT_EQ(writer.written_text(),
            "\x8a\x03"
            "abc");
  Writer close(memory);
  write_close(close_code::kTooBig, close);
  EXPECT_EQ(close.written_text(), "\x88\x02\x03\xf1");
  Writer without_code(memory);
  write_close(close_code::kNone, without_code);
  EXPECT_EQ(without_code.written_text(), std::string_view("\x88\x00", 2));
}

}  // namespace
}  // namespace ringway::websocket
