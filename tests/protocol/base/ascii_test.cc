#include "protocol/base/ascii.h"

#include <gtest/gtest.h>

#include <string>

namespace ringway::ascii {
namespace {

// The characters of a class, in order, as the table has them.
std::string members(std::uint8_t classes) {
  std::string text;
  for (int i = 0; i < 256; ++i) {
    if (is(static_cast<char>(i), classes)) text.push_back(static_cast<char>(i));
  }
  return text;
}

const std::string kDigits = "0123456789";
const std::string kUpper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const std::string kLower = "abcdefghijklmnopqrstuvwxyz";

TEST(Ascii, ClassesOfRfc3261Section251) {
  EXPECT_EQ(members(kDigit), kDigits);
  EXPECT_EQ(members(kAlpha), kUpper + kLower);
  EXPECT_EQ(members(kHex), kDigits + "ABCDEFabcdef");
  EXPECT_EQ(members(kSpace), "\t ");
  EXPECT_EQ(members(kToken), "!%'*+-." + kDigits + kUpper + "_`" + kLower + "~");
  EXPECT_EQ(members(kUser), "!$%&'()*+,-./" + kDigits + ";=?" + kUpper + "_" + kLower + "~");
  EXPECT_EQ(members(kHostname), "-." + kDigits + kUpper + kLower);
  EXPECT_EQ(members(kParamChar), "!$%&'()*+-./" + kDigits + ":" + kUpper + "[]_" + kLower + "~");
}

TEST(Ascii, ToLowerChangesLettersOnly) {
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    const bool upper = c >= 'A' && c <= 'Z';
    EXPECT_EQ(to_lower(c), upper ? static_cast<char>(c + 32) : c) << i;
  }
}

TEST(Ascii, EqualIgnoringCase) {
  EXPECT_TRUE(equal_ignoring_case("", ""));
  EXPECT_TRUE(equal_ignoring_case("Call-ID", "cALL-id"));
  EXPECT_FALSE(equal_ignoring_case("Call-ID", "Call-I"));
  EXPECT_FALSE(equal_ignoring_case("Call-ID", "Call-IE"));
  EXPECT_FALSE(equal_ignoring_case("@", "`"));  // differ by the bit that letters differ by
  EXPECT_FALSE(equal_ignoring_case("[", "{"));
}

// Texts are compared in words of several sizes: each pair of bytes, at each place of each size.
TEST(Ascii, EqualIgnoringCaseAgreesWithToLowerForEachPairOfBytes) {
  for (const std::size_t size : {1, 3, 4, 7, 8, 9, 16, 19}) {
    for (std::size_t place = 0; place < size; ++place) {
      std::string a(size, 'x'), b(size, 'X');
      for (int left = 0; left < 256; ++left) {
        for (int right = 0; right < 256; ++right) {
          a[place] = static_cast<char>(left);
          b[place] = static_cast<char>(right);
          const bool same = to_lower(a[place]) == to_lower(b[place]);
          if (equal_ignoring_case(a, b) == same) continue;
          FAIL() << size << " " << place << " " << left << " " << right;
        }
      }
    }
  }
}

TEST(Ascii, StartsWithIgnoringCase) {
  EXPECT_TRUE(starts_with_ignoring_case("SIP/2.0", "sip/"));
  EXPECT_TRUE(starts_with_ignoring_case("x", ""));
  EXPECT_FALSE(starts_with_ignoring_case("si", "sip"));
}

TEST(Ascii, AllWantsAtLeastOne) {
  EXPECT_TRUE(all("12", kDigit));
  EXPECT_TRUE(all("1a", kDigit | kAlpha));
  EXPECT_FALSE(all("1a", kDigit));
  EXPECT_FALSE(all("", kDigit));
}

TEST(Ascii, Trim) {
  EXPECT_EQ(trim(" \t a b\t "), "a b");
  EXPECT_EQ(trim(" \t "), "");
  EXPECT_EQ(trim(""), "");
  EXPECT_EQ(trim("\r\na"), "\r\na");
}

TEST(Ascii, ParseNumber) {
  struct Case {
    const char* name;
    std::string_view text;
    std::uint32_t max;
    std::optional<std::uint32_t> number;
  };
  const Case cases[] = {
      {"zero", "0", 10, 0},
      {"leading zeros", "007", 10, 7},
      {"at the limit", "65535", 65535, 65535},
      {"above the limit", "65536", 65535, std::nullopt},
      {"largest", "4294967295", 0xffffffff, 0xffffffff},
      {"wraps in 32 bits", "4294967296", 0xffffffff, std::nullopt},
      {"ten digits", "9999999999", 0xffffffff, std::nullopt},
      {"eleven digits", "00000000001", 10, std::nullopt},
      {"empty", "", 10, std::nullopt},
      {"sign", "+1", 10, std::nullopt},
      {"minus", "-1", 10, std::nullopt},
      {"space before", " 1", 10, std::nullopt},
      {"space behind", "1 ", 10, std::nullopt},
      {"hex", "0x1", 10, std::nullopt},
      {"letter", "1a", 100, std::nullopt},
  };
  for (const Case& c : cases) EXPECT_EQ(parse_number(c.text, c.max), c.number) << c.name;
}

}  // namespace
}  // namespace ringway::ascii
