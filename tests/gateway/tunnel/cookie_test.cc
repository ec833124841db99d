#include "gateway/tunnel/cookie.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "gateway/tunnel/frame.h"
#include "protocol/bencode/bencode.h"

namespace ringway::tunnel {
namespace {

constexpr HashKey kKey{1, 2};

std::string prefixed(std::string_view text, const CookiePrefix& prefix,
                     std::size_t bytes_max = kDatagramBytesMax) {
  const auto message = split_message(as_bytes(text));
  EXPECT_TRUE(message);
  std::vector<std::uint8_t> memory(kMessageBytesMax + 64);
  Writer out(memory);
  const auto cookie = write_with_prefix(*message, prefix, kKey, bytes_max, out);
  EXPECT_EQ(out.written_text().substr(0, cookie.size()), cookie);
  return std::string(out.written_text());
}

std::string error_of(Encoding encoding) {
  std::array<std::uint8_t, kErrorBytesMax> memory;
  Writer out(memory);
  write_error("5323_1", encoding, "tunnel: it is down", out);
  return std::string(out.written_text());
}

TEST(Cookie, EndsAtTheFirstSpaceAndTheNextByteIsTheEncoding) {
  const struct {
    const char* text;
    const char* cookie;
    Encoding encoding;
  } cases[] = {{"5323_1 d7:command4:pinge", "5323_1", Encoding::Bencode},
               {"5323_2 {\"command\":\"ping\"}", "5323_2", Encoding::Json},
               {"5323_3 VF 20081102", "5323_3", Encoding::Text},
               {"5323_4  d", "5323_4", Encoding::Text},
               {"x ", "x", Encoding::Text}};
  for (const auto& one : cases) {
    const auto message = split_message(as_bytes(one.text));
    ASSERT_TRUE(message) << one.text;
    EXPECT_EQ(message->cookie, one.cookie);
    EXPECT_EQ(message->encoding, one.encoding) << one.text;
    EXPECT_EQ(std::string(message->cookie) + std::string(message->rest), one.text);
  }
}

TEST(Cookie, WhatHasNoneIsNotSplit) {
  for (const std::string& text :
       {std::string(), std::string("garbage"), std::string(" d7:command4:pinge"),
        std::string("a\tb c"), std::string("a\0b c", 5), std::string("\x80 d"),
        std::string(kCookieBytesMax + 1, 'c') + " d"}) {
    EXPECT_FALSE(split_message(as_bytes(text))) << text;
  }
  EXPECT_TRUE(split_message(as_bytes(std::string(kCookieBytesMax, 'c') + " d")));
}

TEST(Cookie, CutAtEachByteNothingIsReadBeyondTheEnd) {
  const std::string whole = "5323_1 d7:command4:pinge";
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const std::vector<std::uint8_t> exact(whole.begin(), whole.begin() + static_cast<long>(size));
    EXPECT_EQ(split_message(exact).has_value(), size > 6) << size;
  }
}

TEST(Cookie, TwoControllersDoNotShareOneAndARetransmissionKeepsIts) {
  const auto one = make_prefix(kKey, as_bytes("127.0.0.1:1000"));
  const auto other = make_prefix(kKey, as_bytes("127.0.0.1:1001"));
  const auto elsewhere = make_prefix({3, 4}, as_bytes("127.0.0.1:1000"));
  EXPECT_NE(prefixed("1_1 d", one), prefixed("1_1 d", other));
  EXPECT_NE(prefixed("1_1 d", one), prefixed("1_1 d", elsewhere));
  EXPECT_EQ(prefixed("1_1 d", one), prefixed("1_1 d", one));
  EXPECT_TRUE(prefixed("1_1 d1:ae", one).ends_with(".1_1 d1:ae"));
}

TEST(Cookie, ALongOneGoesOutAsItsHash) {
  const auto one = make_prefix(kKey, as_bytes("a")), other = make_prefix(kKey, as_bytes("b"));
  for (const std::size_t size : {kShortCookieBytesMax + 1, std::size_t{200}, kCookieBytesMax}) {
    const std::string text = std::string(size, 'c') + " d1:a1:be";
    const std::string sent = prefixed(text, one);
    EXPECT_EQ(sent, prefixed(text, one));
    EXPECT_NE(sent, prefixed(text, other));
    EXPECT_NE(sent, prefixed("x" + text.substr(1), one));
    const auto answer = split_message(as_bytes(sent), kSentCookieBytesMax);
    ASSERT_TRUE(answer) << size;
    EXPECT_EQ(answer->rest, " d1:a1:be");
  }
}

TEST(Cookie, TheLongestShortOneComesBackWithItsPrefix) {
  const std::string cookie(kShortCookieBytesMax, 'c');
  const std::string sent = prefixed(cookie + " d", make_prefix(kKey, as_bytes("a")));
  const auto answer = split_message(as_bytes(sent), kSentCookieBytesMax);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->cookie.size(), kSentCookieBytesMax);
}

TEST(Cookie, AMessageThatFillsADatagramKeepsItsSize) {
  const auto one = make_prefix(kKey, as_bytes("a")), other = make_prefix(kKey, as_bytes("b"));
  for (const std::string& cookie :
       {std::string("1"), std::string("5323_1"), std::string(40, 'c')}) {
    for (const std::size_t left : {0u, 1u, 8u}) {
      const std::string text =
          cookie + " d" + std::string(kDatagramBytesMax - cookie.size() - 2 - left, 'x');
      const std::string sent = prefixed(text, one);
      EXPECT_EQ(sent.size(), text.size());
      EXPECT_EQ(sent.substr(cookie.size()), text.substr(cookie.size()));
      EXPECT_EQ(sent, prefixed(text, one));
      EXPECT_TRUE(cookie.size() == 1 || sent != prefixed(text, other));
      EXPECT_TRUE(split_message(as_bytes(sent)));
    }
    const std::string text =
        cookie + " d" + std::string(kDatagramBytesMax - cookie.size() - 2 - kPrefixBytes, 'x');
    EXPECT_EQ(prefixed(text, one).size(), kDatagramBytesMax);
  }
}

TEST(Cookie, AnErrorIsInTheControllersOwnEncoding) {
  EXPECT_EQ(error_of(Encoding::Bencode),
            "5323_1 d6:result5:error12:error-reason18:tunnel: it is downe");
  const std::string text = error_of(Encoding::Bencode).substr(7);
  const auto dictionary = bencode::Dictionary::parse(text);
  ASSERT_TRUE(dictionary);
  EXPECT_EQ(dictionary->find_string("result"), "error");
  EXPECT_EQ(error_of(Encoding::Json),
            R"(5323_1 {"result":"error","error-reason":"tunnel: it is down"})");
  EXPECT_EQ(error_of(Encoding::Text), "5323_1 E99 tunnel: it is down\n");
}

}  // namespace
}  // namespace ringway::tunnel
