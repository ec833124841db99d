#include "gateway/tunnel/frame.h"

#include <gtest/gtest.h>

#include <array>

namespace ringway::tunnel {
namespace {

TEST(Frame, HeadComesBackAsItWasWritten) {
  const FrameHead heads[] = {
      {.kind = FrameKind::Hello, .payload_bytes = 12},
      {.kind = FrameKind::Data, .first = true, .payload_bytes = 16'000, .stream = 7, .message = 9},
      {.kind = FrameKind::Data, .last = true, .stream = 0xffff'ffff, .message = 0x0102'0304},
      {.kind = FrameKind::Forget, .stream = 1}};
  for (const FrameHead& head : heads) {
    std::array<std::uint8_t, kFrameHeadBytes> bytes;
    write_frame_head(head, bytes);
    const auto read = read_frame_head(bytes);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->kind, head.kind);
    EXPECT_EQ(read->first, head.first);
    EXPECT_EQ(read->last, head.last);
    EXPECT_EQ(read->payload_bytes, head.payload_bytes);
    EXPECT_EQ(read->stream, head.stream);
    EXPECT_EQ(read->message, head.message);
  }
}

TEST(Frame, BytesStandWhereTheFigureSays) {
  std::array<std::uint8_t, kFrameHeadBytes> bytes;
  write_frame_head({.kind = FrameKind::Data,
                    .first = true,
                    .last = true,
                    .payload_bytes = 0x0102,
                    .stream = 0x0304'0506,
                    .message = 0x0708'090a},
                   bytes);
  const std::array<std::uint8_t, 12> expected{2, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  EXPECT_EQ(bytes, expected);
}

TEST(Frame, RefusesKindsFlagsAndLengthsThatAreNone) {
  std::array<std::uint8_t, kFrameHeadBytes> bytes{};
  for (const int kind : {0, 8, 71 /* 'G' of GET */, 255}) {
    bytes[0] = static_cast<std::uint8_t>(kind);
    ASSERT_FALSE(read_frame_head(bytes)) << kind;
    EXPECT_EQ(read_frame_head(bytes).error(), FrameError::UnknownKind);
  }
  bytes[0] = 2;
  bytes[1] = 4;
  ASSERT_FALSE(read_frame_head(bytes));
  EXPECT_EQ(read_frame_head(bytes).error(), FrameError::UnknownFlags);
  bytes[1] = 3;
  write_u16(MutableBytes(bytes).subspan(2), kFramePayloadMax);
  EXPECT_TRUE(read_frame_head(bytes));
  write_u16(MutableBytes(bytes).subspan(2), kFramePayloadMax + 1);
  ASSERT_FALSE(read_frame_head(bytes));
  EXPECT_EQ(read_frame_head(bytes).error(), FrameError::TooLong);
}

TEST(Frame, HelloNamesVersionKindAndLargestMessage) {
  std::array<std::uint8_t, kHelloBytes> bytes;
  write_hello({.carries = Carries::Datagrams, .message_bytes_max = 65'507}, bytes);
  const auto hello = read_hello(bytes);
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->carries, Carries::Datagrams);
  EXPECT_EQ(hello->message_bytes_max, 65'507u);
  for (std::size_t i = 0; i < 6; ++i) {
    auto changed = bytes;
    changed[i] ^= 0x40;
    EXPECT_FALSE(read_hello(changed)) << i;
  }
  for (std::size_t size = 0; size < kHelloBytes; ++size) {
    EXPECT_FALSE(read_hello(Bytes(bytes).first(size))) << size;
  }
}

TEST(Frame, AHelloThatClaimsMoreThanATunnelCarriesIsCutDown) {
  std::array<std::uint8_t, kHelloBytes> bytes;
  write_hello({.message_bytes_max = 0xffff'ffff}, bytes);
  EXPECT_EQ(read_hello(bytes)->message_bytes_max, kMessageBytesMax);
}

}  // namespace
}  // namespace ringway::tunnel
