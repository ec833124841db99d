#include "protocol/bencode/bencode.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

namespace ringway::bencode {
namespace {

using State = Scanner::State;

constexpr std::string_view kReply = "5323_1 d6:result2:ok3:sdp6:v=0\r\n\r4:tagsd1:al1:x0:eee";

TEST(Encoder, WritesWhatTheRelayReads) {
  std::uint8_t memory[200];
  Writer writer(memory);
  Encoder(writer)
      .begin_dictionary()
      .pair("command", "offer")
      .pair("n", -12)
      .key("flags")
      .begin_list()
      .string("trust-address")
      .string("")
      .end()
      .pair("min", std::numeric_limits<std::int64_t>::min())
      .end();
  EXPECT_EQ(writer.written_text(),
            "d7:command5:offer1:ni-12e5:flagsl13:trust-address0:e3:mini-9223372036854775808ee");
  const auto dictionary = Dictionary::parse(writer.written_text());
  ASSERT_TRUE(dictionary.has_value());
  EXPECT_EQ(dictionary->find_integer("n"), -12);
  EXPECT_EQ(dictionary->find_integer("min"), std::numeric_limits<std::int64_t>::min());
}

TEST(Encoder, OverflowIsTheWriters) {
  std::uint8_t memory[5];
  Writer writer(memory);
  Encoder(writer).begin_dictionary().pair("command", "ping").end();
  EXPECT_TRUE(writer.overflowed());
}

TEST(Scanner, Verdicts) {
  const struct {
    std::string_view text;
    State state;
    std::size_t size;
  } kCases[] = {
      {"de", State::Complete, 2},
      {"le", State::Complete, 2},
      {"0:", State::Complete, 2},
      {"3:abcrest", State::Complete, 5},
      {"i0e", State::Complete, 3},
      {"i-1e", State::Complete, 4},
      {"i9223372036854775807e", State::Complete, 21},
      {"d1:ai1ee", State::Complete, 8},
      {"d1:a0:1:bleede", State::Complete, 12},
      {"", State::Incomplete, 0},
      {"d1:a", State::Incomplete, 0},
      {"5:abc", State::Incomplete, 0},
      {"i", State::Incomplete, 0},
      {"x", State::Malformed, 0},
      {"e", State::Malformed, 0},
      {"d1:ae", State::Malformed, 0},
      {"di1e1:ae", State::Malformed, 0},
      {"dle0:e", State::Malformed, 0},
      {"ie", State::Malformed, 0},
      {"i-e", State::Malformed, 0},
      {"i--1e", State::Malformed, 0},
      {"i-0e", State::Malformed, 0},
      {"i01e", State::Malformed, 0},
      {"i1.5e", State::Malformed, 0},
      {"i12345678901234567890e", State::Malformed, 0},
      {"03:abc", State::Malformed, 0},
      {"00:", State::Malformed, 0},
      {"-1:a", State::Malformed, 0},
      {"131073:", State::Malformed, 0},
      {"99999999999999999999999:", State::Malformed, 0},
  };
  for (const auto& each : kCases) {
    Scanner scanner;
    EXPECT_EQ(scanner.scan(each.text), each.state) << each.text;
    if (each.state == State::Complete) {
      EXPECT_EQ(scanner.size(), each.size) << each.text;
    }
  }
}

TEST(Scanner, DepthAtAndAboveTheLimit) {
  for (const std::size_t depth : {kDepthMax - 1, kDepthMax, kDepthMax + 1}) {
    const std::string text = std::string(depth, 'l') + std::string(depth, 'e');
    Scanner scanner;
    EXPECT_EQ(scanner.scan(text), depth <= kDepthMax ? State::Complete : State::Malformed) << depth;
  }
}

TEST(MessageFramer, CutAtEveryByte) {
  const std::string text = std::string(kReply) + std::string(kReply);
  for (std::size_t cut = 0; cut < kReply.size(); ++cut) {
    MessageFramer framer;
    // A copy of exactly this size, so that the sanitizer sees any step beyond.
    const std::vector<std::uint8_t> part(text.begin(), text.begin() + static_cast<long>(cut));
    EXPECT_EQ(framer.next(part).state, State::Incomplete) << cut;
    const MessageFramer::Frame frame = framer.next(as_bytes(text));
    ASSERT_EQ(frame.state, State::Complete) << cut;
    EXPECT_EQ(frame.size, kReply.size());
    EXPECT_EQ(frame.cookie, "5323_1");
    EXPECT_EQ(frame.dictionary, kReply.substr(7));
    EXPECT_EQ(framer.next(as_bytes(text).subspan(frame.size)).size, kReply.size());
  }
}

TEST(MessageFramer, ByteByByteAndPipelined) {
  const std::string text = std::string(kReply) + "77 de" + std::string(kReply);
  MessageFramer framer;
  std::vector<std::string> cookies;
  std::size_t start = 0;
  for (std::size_t end = 1; end <= text.size(); ++end) {
    const auto frame = framer.next(as_bytes(text).subspan(start, end - start));
    ASSERT_NE(frame.state, State::Malformed);
    if (frame.state == State::Complete) {
      cookies.emplace_back(frame.cookie);
      EXPECT_EQ(start + frame.size, end);
      start = end;
    }
  }
  EXPECT_EQ(cookies, (std::vector<std::string>{"5323_1", "77", "5323_1"}));
}

TEST(MessageFramer, LostFraming) {
  for (const std::string_view text :
       {" de", "cookie i1e", "cookie {}", "c\nd de", "cookie  de", "cookie d1:ax"}) {
    MessageFramer framer;
    EXPECT_EQ(framer.next(as_bytes(text)).state, State::Malformed) << text;
  }
}

TEST(MessageFramer, CookieAtAndAboveTheLimit) {
  for (const std::size_t size : {kCookieBytesMax, kCookieBytesMax + 1}) {
    const std::string text = std::string(size, 'c') + " de";
    MessageFramer framer;
    EXPECT_EQ(framer.next(as_bytes(text)).state,
              size <= kCookieBytesMax ? State::Complete : State::Malformed);
  }
}

TEST(MessageFramer, SizeAtAndAboveTheLimit) {
  // "c d1:a" + digits + ":" + bytes + "e"
  const std::size_t overhead = std::string_view("c d1:a131000:e").size();
  for (const std::size_t size : {kMessageBytesMax, kMessageBytesMax + 1}) {
    const std::size_t bytes = size - overhead;
    const std::string text = "c d1:a" + std::to_string(bytes) + ":" + std::string(bytes, 'x') + "e";
    ASSERT_EQ(text.size(), size);
    MessageFramer framer;
    EXPECT_EQ(framer.next(as_bytes(text)).state,
              size <= kMessageBytesMax ? State::Complete : State::Malformed);
  }
}

TEST(MessageFramer, TakesTheCallersLimits) {
  const MessageFramer::Limits limits{.cookie_bytes_max = 5, .message_bytes_max = 20};
  const auto state_of = [&](std::string_view text) {
    return MessageFramer(limits).next(as_bytes(text)).state;
  };
  EXPECT_EQ(state_of("ccccc de"), State::Complete);
  EXPECT_EQ(state_of("cccccc de"), State::Malformed);
  EXPECT_EQ(state_of("ccccc d1:a7:1234567e"), State::Complete);
  EXPECT_EQ(state_of("ccccc d1:a8:12345678e"), State::Malformed);
  // The limits hold for the messages behind the first one too, and above the usual ones.
  const std::size_t bytes = 200 * 1024;
  const std::string one =
      std::string(100, 'c') + " d1:a" + std::to_string(bytes) + ":" + std::string(bytes, 'x') + "e";
  const std::string two = one + one;
  MessageFramer framer({.cookie_bytes_max = 100, .message_bytes_max = one.size()});
  ASSERT_EQ(framer.next(as_bytes(two)).size, one.size());
  EXPECT_EQ(framer.next(as_bytes(two).subspan(one.size())).size, one.size());
}

TEST(Dictionary, Lookups) {
  const auto dictionary = Dictionary::parse(kReply.substr(7));
  ASSERT_TRUE(dictionary.has_value());
  EXPECT_EQ(dictionary->find_string("result"), "ok");
  EXPECT_EQ(dictionary->find_string("sdp"), "v=0\r\n\r");
  EXPECT_FALSE(dictionary->find_integer("result").has_value());
  EXPECT_FALSE(dictionary->find("v=0").has_value());
  EXPECT_FALSE(dictionary->find_string("tags").has_value());
  const auto tags = dictionary->find_dictionary("tags");
  ASSERT_TRUE(tags.has_value());
  auto list = tags->find_list("a");
  ASSERT_TRUE(list.has_value());
  EXPECT_EQ(list->next()->string(), "x");
  EXPECT_EQ(list->next()->string(), "");
  EXPECT_FALSE(list->next().has_value());
}

TEST(Dictionary, RefusesWhatIsNone) {
  for (const std::string_view text : {"", "le", "1:a", "d", "de ", "d1:ae", "dede"}) {
    EXPECT_FALSE(Dictionary::parse(text).has_value()) << text;
  }
}

TEST(Dictionary, IntegerOutOfRange) {
  const auto dictionary = Dictionary::parse("d1:ai9223372036854775808e1:bi-9223372036854775808ee");
  ASSERT_TRUE(dictionary.has_value());
  EXPECT_FALSE(dictionary->find_integer("a").has_value());
  EXPECT_EQ(dictionary->find_integer("b"), std::numeric_limits<std::int64_t>::min());
}

}  // namespace
}  // namespace ringway::bencode
