#include "protocol/base/writer.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace ringway {
namespace {

TEST(Writer, WritesTextNumbersAndHex) {
  std::array<std::uint8_t, 128> memory;
  Writer writer(memory);
  writer.text("CSeq: ").number(0).character(' ').number(4711).character(' ');
  writer.number(std::numeric_limits<std::uint64_t>::max()).character(' ');
  writer.hex(0).character(' ').hex(0xbeef).character(' ').hex(0xbeef, 8).character(' ');
  writer.hex(std::numeric_limits<std::uint64_t>::max(), 16);
  EXPECT_EQ(writer.written_text(),
            "CSeq: 0 4711 18446744073709551615 0 beef 0000beef ffffffffffffffff");
  EXPECT_FALSE(writer.overflowed());
  EXPECT_EQ(writer.size() + writer.space(), memory.size());
}

TEST(Writer, FillsItsMemoryExactly) {
  std::array<std::uint8_t, 4> memory{};
  Writer writer(MutableBytes{memory}.first(3));
  writer.text("abc");
  EXPECT_FALSE(writer.overflowed());
  EXPECT_EQ(writer.space(), 0u);
  EXPECT_EQ(memory[3], 0);
  writer.text("");
  EXPECT_FALSE(writer.overflowed());
}

TEST(Writer, OverflowWritesNothingOfThePieceAndIsSticky) {
  std::array<std::uint8_t, 4> memory{};
  Writer writer(memory);
  writer.text("ab").text("cde");
  EXPECT_TRUE(writer.overflowed());
  EXPECT_EQ(writer.written_text(), "ab");
  EXPECT_EQ(memory[2], 0);
  writer.character('c').text("").number(1);
  EXPECT_TRUE(writer.overflowed());
  EXPECT_EQ(writer.written_text(), "ab");
}

TEST(Writer, HasNoMemoryAtAll) {
  Writer writer(MutableBytes{});
  writer.bytes({});
  EXPECT_FALSE(writer.overflowed());
  writer.character('x');
  EXPECT_TRUE(writer.overflowed());
  EXPECT_EQ(writer.size(), 0u);
}

TEST(Bytes, NetworkOrder) {
  std::array<std::uint8_t, 8> memory{};
  write_u16(memory, 0x0102);
  EXPECT_EQ(memory[0], 1);
  EXPECT_EQ(memory[1], 2);
  EXPECT_EQ(read_u16(memory), 0x0102);
  write_u32(memory, 0xfffefdfc);
  EXPECT_EQ(memory[0], 0xff);
  EXPECT_EQ(read_u32(memory), 0xfffefdfc);
  write_u64(memory, 0x8001020304050607);
  EXPECT_EQ(memory[0], 0x80);
  EXPECT_EQ(memory[7], 7);
  EXPECT_EQ(read_u64(memory), 0x8001020304050607);
}

}  // namespace
}  // namespace ringway
