#include "protocol/base/utf8.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/protocol/base/guarded.h"

namespace ringway {
namespace {

// Decodes by the definition (RFC 3629 3): code point, shortest form, range. Slow and independent.
bool valid_by_definition(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(text[at]); };
    const std::uint8_t lead = byte(i);
    std::size_t size = 0;
    std::uint32_t code = 0;
    if (lead < 0x80) {
      size = 1;
      code = lead;
    } else if (lead >> 5 == 6) {
      size = 2;
      code = lead & 0x1f;
    } else if (lead >> 4 == 14) {
      size = 3;
      code = lead & 0x0f;
    } else if (lead >> 3 == 30) {
      size = 4;
      code = lead & 0x07;
    } else {
      return false;
    }
    if (text.size() - i < size) return false;
    for (std::size_t j = 1; j < size; ++j) {
      if (byte(i + j) >> 6 != 2) return false;
      code = code << 6 | (byte(i + j) & 0x3fu);
    }
    const std::uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < smallest[size] || code > 0x10ffff) return false;
    if (code >= 0xd800 && code <= 0xdfff) return false;
    i += size;
  }
  return true;
}

bool valid(std::string_view text) {
  return valid_utf8(Guarded(text).bytes());
}

TEST(Utf8, AgreesWithTheDefinitionOnAllPairs) {
  for (int a = 0; a < 256; ++a) {
    for (int b = 0; b < 256; ++b) {
      const char text[] = {static_cast<char>(a), static_cast<char>(b)};
      const std::string_view view{text, 2};
      ASSERT_EQ(valid_utf8(as_bytes(view)), valid_by_definition(view)) << a << ' ' << b;
    }
  }
}

TEST(Utf8, AgreesWithTheDefinitionAroundEachBound) {
  const int interesting[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0,
                             0xc1, 0xc2, 0xdf, 0xe0, 0xec, 0xed, 0xee, 0xef, 0xf0,
                             0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xfc, 0xfe, 0xff};
  for (const int a : interesting) {
    for (const int b : interesting) {
      for (const int c : interesting) {
        for (const int d : interesting) {
          const char text[] = {static_cast<char>(a), static_cast<char>(b), static_cast<char>(c),
                               static_cast<char>(d)};
          for (std::size_t size = 3; size <= 4; ++size) {
            const std::string_view view{text, size};
            ASSERT_EQ(valid_utf8(as_bytes(view)), valid_by_definition(view))
                << a << ' ' << b << ' ' << c << ' ' << d << " size " << size;
          }
        }
      }
    }
  }
}

TEST(Utf8, FindsTheBadByteAtEachPlaceAndSize) {
  for (std::size_t size = 1; size <= 70; ++size) {
    std::string text(size, 'a');
    ASSERT_TRUE(valid(text)) << size;
    for (std::size_t i = 0; i < size; ++i) {
      text[i] = '\xff';
      ASSERT_FALSE(valid(text)) << size << ' ' << i;
      text[i] = 'a';
    }
  }
}

TEST(Utf8, CutInsideASequenceIsInvalid) {
  const std::string text = "sixteen bytes of ASCII, \u00e4 \u20ac \U0001f600 and more";
  ASSERT_TRUE(valid(text));
  for (std::size_t size = 0; size < text.size(); ++size) {
    const std::string_view cut = std::string_view{text}.substr(0, size);
    EXPECT_EQ(valid(cut), valid_by_definition(cut)) << size;
  }
}

TEST(Utf8, EmptyAndNulAreValid) {
  EXPECT_TRUE(valid(""));
  EXPECT_TRUE(valid(std::string_view{"\0", 1}));
}

TEST(Utf8, AgreesWithTheDefinitionOnDamagedText) {
  const std::uint64_t seed = 3629;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  const std::string pieces[] = {
      "plain text of some length ", "\u00df", "\u20ac", "\ufffd", "\U0010ffff", "\u0800"};
  int valid_count = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (std::size_t j = random() % 12; j > 0; --j) text += pieces[random() % 6];
    if (!text.empty() && random() % 2 == 0) {
      text[random() % text.size()] = static_cast<char>(random());
    }
    const bool expected = valid_by_definition(text);
    valid_count += expected;
    ASSERT_EQ(valid_utf8(as_bytes(text)), expected) << i;
  }
  EXPECT_GT(valid_count, 5000);
  EXPECT_LT(valid_count, 19000);
}

}  // namespace
}  // namespace ringway
