#include "protocol/sip/stream_framer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "protocol/sip/limits.h"
#include "tests/protocol/sip/guarded.h"
#include "tests/protocol/sip/messages.h"

namespace ringway::sip {
namespace {

using Kind = StreamFramer::Kind;
using Keepalive = StreamFramer::Keepalive;

struct Piece {
  Kind kind;
  std::string text;
  friend bool operator==(const Piece&, const Piece&) = default;
};

void PrintTo(const Piece& piece, std::ostream* out) {
  *out << static_cast<int>(piece.kind) << ":" << piece.text.substr(0, 40);
}

// Feeds stream in parts of the given size, as a connection would.
std::vector<Piece> frames(std::string_view stream, std::size_t part,
                          Keepalive keepalive = Keepalive::Answer) {
  StreamFramer framer(keepalive);
  std::vector<Piece> out;
  std::size_t begin = 0;
  for (std::size_t end = 0; end < stream.size();) {
    end = std::min(end + part, stream.size());
    while (true) {
      const auto frame = framer.next(as_bytes(stream.substr(begin, end - begin)));
      if (frame.kind == Kind::Incomplete) break;
      out.push_back({frame.kind, std::string(stream.substr(begin, frame.size))});
      if (frame.kind == Kind::Broken) return out;
      begin += frame.size;
    }
  }
  return out;
}

Kind first(const std::string& stream) {
  StreamFramer framer;
  return framer.next(as_bytes(stream)).kind;
}

std::string message(const std::string& headers, const std::string& body = "") {
  return "OPTIONS sip:a SIP/2.0\r\n" + headers + "\r\n" + body;
}

TEST(StreamFramer, SameFramesForEveryPartSize) {
  const std::string one = message("To: t\r\nl: 4\r\n", "a\r\n\r");
  const std::string two = message("Content-Length :\r\n 0\r\n");
  const std::string three = test::browser_invite();
  const std::string stream = "\r\n\r\n" + one + "\r\n" + two + three + "\r\n\r\n\r\n" + one;
  const std::vector<Piece> expected = {
      {Kind::Ping, "\r\n\r\n"}, {Kind::Message, one},   {Kind::Pong, "\r\n"},
      {Kind::Message, two},     {Kind::Message, three}, {Kind::Ping, "\r\n\r\n"},
      {Kind::Pong, "\r\n"},     {Kind::Message, one},
  };
  for (std::size_t part = 1; part <= stream.size(); ++part) {
    ASSERT_EQ(frames(stream, part), expected) << part;
  }
}

TEST(StreamFramer, EveryCutInTwoAgainstAGuardPage) {
  const std::string stream = message("l: 2\r\n", "ab") + message("l: 0\r\n");
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    const test::Guarded head(stream.substr(0, cut));
    StreamFramer framer;
    std::size_t begin = 0;
    int messages = 0;
    for (auto frame = framer.next(head.bytes()); frame.kind != Kind::Incomplete;
         frame = framer.next(head.bytes().subspan(begin))) {
      ASSERT_EQ(frame.kind, Kind::Message);
      begin += frame.size;
      ++messages;
    }
    for (auto frame = framer.next(as_bytes(stream).subspan(begin)); frame.kind != Kind::Incomplete;
         frame = framer.next(as_bytes(stream).subspan(begin))) {
      begin += frame.size;
      ++messages;
    }
    EXPECT_EQ(messages, 2) << cut;
    EXPECT_EQ(begin, stream.size()) << cut;
  }
}

TEST(StreamFramer, KeepaliveOnOurOwnConnectionRfc5626_3_5_1) {
  EXPECT_EQ(frames("\r\n\r\n", 4, Keepalive::Await),
            (std::vector<Piece>{{Kind::Pong, "\r\n"}, {Kind::Pong, "\r\n"}}));
  EXPECT_EQ(frames("\r\n", 1, Keepalive::Await), (std::vector<Piece>{{Kind::Pong, "\r\n"}}));
  EXPECT_EQ(frames("\r\n", 1, Keepalive::Answer), (std::vector<Piece>{}));
  EXPECT_EQ(frames("\r\n\r\n", 1, Keepalive::Answer),
            (std::vector<Piece>{{Kind::Ping, "\r\n\r\n"}}));
}

// What some phones send as keepalives (RFC 5626 3.5.1 knows CRLF only), at and below what is
// allowed of it.
TEST(StreamFramer, PaddingBeforeAMessageIsSkipped) {
  const std::string one = "OPTIONS sip:a SIP/2.0\r\nContent-Length: 0\r\n\r\n";
  const std::string most(StreamFramer::kPaddingBytesMax, ' ');
  for (const std::string& padding :
       {std::string(1, '\0'), std::string("\n"), std::string("  \n\0", 4), most}) {
    StreamFramer framer;
    const std::string text = padding + one;
    const auto skipped = framer.next(as_bytes(text));
    EXPECT_EQ(skipped.kind, Kind::Padding);
    EXPECT_EQ(skipped.size, padding.size());
    const auto message = framer.next(as_bytes(text).subspan(skipped.size));
    EXPECT_EQ(message.kind, Kind::Message);
    EXPECT_EQ(message.size, one.size());
  }
}

TEST(StreamFramer, LostFramingIsBroken) {
  for (const std::string& bad :
       {message("To: t\r\n"), message("l: -1\r\n"), message("l: 1, 1\r\n"),
        message("l: 0\r\nl: 0\r\n"), message("l: 0\r\nContent-Length: 0\r\n"), message("l: x\r\n"),
        message("l:\r\n"), message("l: 99999999999\r\n"), message("To: t\nl: 0\r\n"),
        message("To: \rt\r\nl: 0\r\n"), message("l: 0\r\n \n"), std::string("\r\r\n"),
        std::string("\x16\x03"), std::string("\rx"), std::string("\x01"),
        std::string(StreamFramer::kPaddingBytesMax + 1, '\0')}) {
    EXPECT_EQ(first(bad), Kind::Broken) << bad;
  }
  // A header that only looks like the length, and one in a fold.
  EXPECT_EQ(first(message("Subject: a\r\n Content-Length: 5\r\nl: 0\r\n")), Kind::Message);
  EXPECT_EQ(first(message("Content-Lengt: 5\r\nl: 0\r\n")), Kind::Message);
  EXPECT_EQ(first(""), Kind::Incomplete);
}

TEST(StreamFramer, LimitsAtAndAbove) {
  const std::string length = "l: " + std::to_string(kBodyBytesMax) + "\r\n";
  EXPECT_EQ(first(message(length)), Kind::Incomplete);
  EXPECT_EQ(first(message(length, std::string(kBodyBytesMax, 'b'))), Kind::Message);
  EXPECT_EQ(first(message("l: " + std::to_string(kBodyBytesMax + 1) + "\r\n")), Kind::Broken);

  const std::size_t rest = message("X: \r\nl: 0\r\n").size();
  const auto head = [&](std::size_t size) {
    return message("X: " + std::string(size - rest, 'x') + "\r\nl: 0\r\n");
  };
  EXPECT_EQ(first(head(kHeadBytesMax)), Kind::Message);
  EXPECT_EQ(first(head(kHeadBytesMax + 1)), Kind::Broken);
  EXPECT_EQ(first(std::string(kHeadBytesMax, 'x')), Kind::Incomplete);
  EXPECT_EQ(first(std::string(kHeadBytesMax + 1, 'x')), Kind::Broken);
  // A dribbled head that is too large breaks at the same byte.
  const std::string large = head(kHeadBytesMax + 1);
  StreamFramer framer;
  for (std::size_t size = 1; size <= large.size(); ++size) {
    const auto frame = framer.next(as_bytes(std::string_view(large).substr(0, size)));
    ASSERT_EQ(frame.kind, size > kHeadBytesMax ? Kind::Broken : Kind::Incomplete) << size;
  }
}

TEST(StreamFramer, Rfc4475OverAStream) {
  // Two requests with a CRLF between and bytes behind them.
  const auto pieces = frames(test::read_corpus("rfc4475/dblreq.dat"), 7);
  ASSERT_GE(pieces.size(), 3U);
  EXPECT_TRUE(pieces[0].text.starts_with("REGISTER"));
  EXPECT_EQ(pieces[1].kind, Kind::Pong);
  EXPECT_TRUE(pieces[2].text.starts_with("INVITE"));
  EXPECT_EQ(first(test::read_corpus("rfc4475/clerr.dat")), Kind::Incomplete);
  EXPECT_EQ(first(test::read_corpus("rfc4475/ncl.dat")), Kind::Broken);
  EXPECT_EQ(first(test::read_corpus("rfc4475/mcl01.dat")), Kind::Broken);
  EXPECT_EQ(first(test::read_corpus("rfc4475/inv2543.dat")), Kind::Broken);
  EXPECT_EQ(first(test::read_corpus("rfc4475/baddn.dat")), Kind::Incomplete);
  EXPECT_EQ(first(test::read_corpus("rfc4475/wsinv.dat")), Kind::Message);
  EXPECT_EQ(first(test::read_corpus("rfc4475/mpart01.dat")), Kind::Message);
}

}  // namespace
}  // namespace ringway::sip
