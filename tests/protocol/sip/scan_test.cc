#include "protocol/sip/scan.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/protocol/sip/guarded.h"
#include "tests/protocol/sip/messages.h"

namespace ringway::sip {
namespace {

struct Result {
  LineScan scan;
  std::vector<std::uint16_t> ends;
  friend bool operator==(const Result&, const Result&) = default;
};

using Scan = LineScan (*)(Bytes, std::uint16_t*, std::size_t);

Result run(Scan scan, std::string_view text, std::size_t capacity = 600) {
  Result out;
  out.ends.resize(capacity);
  out.scan = scan(as_bytes(text), out.ends.data(), capacity);
  out.ends.resize(out.scan.count);
  return out;
}

// What the header promises, one byte at a time.
Result reference(std::string_view text, std::size_t capacity = 600) {
  Result out;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size() && out.ends.size() < capacity; ++i) {
    if (text[i] != '\n') continue;
    out.ends.push_back(static_cast<std::uint16_t>(i));
    for (std::size_t at = begin; at <= i; ++at) {
      const bool cr = text[at] == '\r';
      if (cr != (at + 1 == i) && (cr || at + 1 == i)) out.scan.regular = false;
      if (at == i && begin == i) out.scan.regular = false;
      if (static_cast<unsigned char>(text[at]) < 0x20 && text[at] != '\t' && !cr && at != i) {
        out.scan.controls = true;
      }
    }
    const std::string_view line = text.substr(begin, i - begin);
    begin = i + 1;
    if (line.empty() || line == "\r") {
      out.scan.complete = true;
      break;
    }
  }
  out.scan.count = out.ends.size();
  return out;
}

TEST(Scan, FindsLineEnds) {
  const Result result = run(scan_lines, "ab\r\nc\r\n\r\nbody\r\n");
  EXPECT_EQ(result.ends, (std::vector<std::uint16_t>{3, 6, 8}));
  EXPECT_TRUE(result.scan.complete);
  EXPECT_TRUE(result.scan.regular);
  EXPECT_FALSE(result.scan.controls);
}

TEST(Scan, TellsBareLineEndsAndControls) {
  EXPECT_FALSE(run(scan_lines, "ab\nc\r\n\r\n").scan.regular);
  EXPECT_FALSE(run(scan_lines, "a\rb\r\nc\r\n\r\n").scan.regular);
  EXPECT_FALSE(run(scan_lines, "ab\r\n\n").scan.regular);
  EXPECT_TRUE(run(scan_lines, std::string_view("a\0b\r\n\r\n", 7)).scan.controls);
  EXPECT_FALSE(run(scan_lines, "a\tb\r\n\r\n\x01").scan.controls);
  EXPECT_TRUE(run(scan_lines, "a\r\n\r\n\r x \n").scan.regular);
}

TEST(Scan, StopsAtCapacity) {
  const std::string text = "a\r\nb\r\nc\r\n\r\n";
  for (std::size_t capacity = 0; capacity < 6; ++capacity) {
    const Result result = run(scan_lines, text, capacity);
    EXPECT_EQ(result.scan.count, std::min<std::size_t>(capacity, 4));
    EXPECT_EQ(result.scan.complete, capacity >= 4);
  }
}

TEST(Scan, EveryCutOfAMessageAgainstAGuardPage) {
  const std::string text = test::browser_invite();
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    const test::Guarded copy(text.substr(0, cut));
    const Result expected = reference(copy.text());
    EXPECT_EQ(run(scan_lines, copy.text()), expected) << cut;
    EXPECT_EQ(run(scan_lines_avx2, copy.text()), expected) << cut;
    EXPECT_EQ(run(scan_lines_baseline, copy.text()), expected) << cut;
    EXPECT_EQ(run(scan_lines_scalar, copy.text()), expected) << cut;
  }
}

TEST(Scan, AllVariantsAgreeOnRandomText) {
  const auto seed = std::random_device{}();
  RecordProperty("seed", std::to_string(seed));
  std::mt19937 random(seed);
  constexpr std::string_view kAlphabet(
      "\r\r\r\n\n\t\0\x01 \x1f\x20\x7f\xff"
      "aaaaaaaa",
      21);
  for (int round = 0; round < 20'000; ++round) {
    // Text with few and with many line ends, of every size around the blocks of 64.
    const std::size_t size = random() % 300;
    const std::size_t plain = random() % 60;
    std::string text;
    for (std::size_t i = 0; i < size; ++i) {
      text += random() % (plain + 1) == 0 ? kAlphabet[random() % kAlphabet.size()] : 'x';
      if (text.back() == '\r' && random() % 2 == 0 && text.size() < size) text += '\n', ++i;
    }
    const std::size_t capacity = random() % 40;
    const Result expected = reference(text, capacity);
    ASSERT_EQ(run(scan_lines, text, capacity), expected) << "seed " << seed;
    ASSERT_EQ(run(scan_lines_avx2, text, capacity), expected) << "seed " << seed;
    ASSERT_EQ(run(scan_lines_baseline, text, capacity), expected) << "seed " << seed;
    ASSERT_EQ(run(scan_lines_scalar, text, capacity), expected) << "seed " << seed;
    const Result whole = reference(text);
    if (whole.ends.empty() || whole.ends[0] <= 1) continue;  // no start line
    const std::size_t end = find_head_end(text, 0);
    ASSERT_EQ(end != text.npos, whole.scan.complete) << "seed " << seed;
    if (end != text.npos) {
      ASSERT_EQ(end, whole.ends.back() + 1U) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace ringway::sip
