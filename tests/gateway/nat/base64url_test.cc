#include "gateway/nat/base64url.h"

#include <array>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ringway {
namespace {

std::string encoded(std::string_view bytes) {
  std::array<std::uint8_t, 512> memory;
  Writer out(memory);
  write_base64url(as_bytes(bytes), out);
  return std::string(out.written_text());
}

TEST(Base64url, Rfc4648_10_VectorsWithoutPadding) {
  const struct {
    std::string_view plain, text;
  } kCases[] = {
      {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
      {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff\xfe", "-__-"},
  };
  for (const auto& [plain, text] : kCases) {
    EXPECT_EQ(encoded(plain), text);
    std::array<std::uint8_t, 16> memory;
    const std::size_t size = read_base64url(text, memory);
    EXPECT_EQ(as_text(Bytes(memory).first(size)), plain);
  }
}

TEST(Base64url, RefusesOtherSpellings) {
  std::array<std::uint8_t, 16> memory;
  for (const std::string_view text :
       {"Zg==", "Zh", "Zm9", "Zm9v Yg", "Zm9+", "Zm9/", "Z", "Zm9vY", "Zm9v\xc3"}) {
    EXPECT_EQ(read_base64url(text, memory), 0u) << text;
  }
  EXPECT_EQ(read_base64url(std::string_view("Zg\0", 3), memory), 0u);
  EXPECT_TRUE(is_base64url("aZ09-_"));
  EXPECT_FALSE(is_base64url("a+"));
  EXPECT_FALSE(is_base64url("a="));
}

TEST(Base64url, FillsItsMemoryAndNeverMore) {
  std::array<std::uint8_t, 3> memory;
  EXPECT_EQ(read_base64url("Zm9v", memory), 3u);
  EXPECT_EQ(read_base64url("Zm9vYg", memory), 0u);
  EXPECT_EQ(read_base64url("Zg", MutableBytes{}), 0u);
}

TEST(Base64url, EachTextHasOneValueAndEachValueOneText) {
  constexpr unsigned kSeed = 4648;
  std::mt19937 random(kSeed);
  for (int round = 0; round < 2'000; ++round) {
    std::string bytes(random() % 100 + 1, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    const std::string text = encoded(bytes);
    std::array<std::uint8_t, 128> memory;
    const std::size_t size = read_base64url(text, memory);
    ASSERT_EQ(as_text(Bytes(memory).first(size)), bytes) << "seed " << kSeed;
    // Another last character is another value or none.
    std::string other = text;
    other.back() = other.back() == 'A' ? 'B' : 'A';
    const std::size_t other_size = read_base64url(other, memory);
    ASSERT_NE(as_text(Bytes(memory).first(other_size)), bytes) << "seed " << kSeed;
  }
}

}  // namespace
}  // namespace ringway
