#include "protocol/websocket/connection.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include "tests/protocol/base/guarded.h"

// The groups are those of the Autobahn test suite: 1 framing, 2 pings, 3 reserved bits, 4 opcodes,
// 5 fragmentation, 6 UTF-8, 7 close. Each stream is also fed in two pieces, cut at every byte, and
// byte by byte; what comes out must be the same.

namespace ringway::websocket {
namespace {

using namespace std::string_literals;

constexpr std::uint8_t kFinal = 0x80;

// A frame as a client sends it, its first byte given whole.
std::string raw_frame(std::uint8_t first, std::string_view payload) {
  const Mask mask{0x37, 0xfa, 0x21, 0x3d};
  std::vector<std::uint8_t> memory(payload.size() + kFrameHeaderBytesMax);
  Writer writer(memory);
  write_masked_frame_header(Opcode::Text, payload.size(), mask, writer);
  const std::size_t header_size = writer.size();
  writer.text(payload);
  apply_mask(MutableBytes{memory}.subspan(header_size, payload.size()), mask, 0);
  memory[0] = first;
  return std::string(writer.written_text());
}

std::string frame(Opcode opcode, std::string_view payload) {
  return raw_frame(static_cast<std::uint8_t>(kFinal | static_cast<std::uint8_t>(opcode)), payload);
}
std::string fragment(Opcode opcode, std::string_view payload) {  // not the last one
  return raw_frame(static_cast<std::uint8_t>(opcode), payload);
}
std::string close_frame(std::uint16_t code, std::string_view reason = "") {
  std::string payload{static_cast<char>(code >> 8), static_cast<char>(code)};
  return frame(Opcode::Close, payload.append(reason));
}

std::string text_of(const Event& event) {
  const std::string payload(as_text(event.payload));
  switch (event.kind) {
    case Event::Kind::None:
      return "None";
    case Event::Kind::Message:
      return (event.opcode == Opcode::Text ? "Text:" : "Binary:") + payload;
    case Event::Kind::Ping:
      return "Ping:" + payload;
    case Event::Kind::Pong:
      return "Pong:" + payload;
    case Event::Kind::Close:
      return "Close " + std::to_string(event.code) + ":" + payload;
    case Event::Kind::Violation:
      return "Violation " + std::to_string(event.code);
  }
  return "?";
}

using Events = std::vector<std::string>;

void feed(Connection& connection, std::string_view piece, Events& events) {
  Guarded guarded(piece);
  MutableBytes input = guarded.bytes();
  while (true) {
    const Event event = connection.next(input);
    if (event.kind == Event::Kind::None) break;
    events.push_back(text_of(event));
  }
  EXPECT_TRUE(input.empty());
}

Events events_of(const std::vector<std::string_view>& pieces, std::uint32_t message_bytes_max) {
  Connection connection(Role::Server, message_bytes_max);
  Events events;
  for (const std::string_view piece : pieces) feed(connection, piece, events);
  if (!connection.in_message()) {
    EXPECT_EQ(connection.buffered_bytes(), 0u);
  }
  return events;
}

// Checks a stream whole and in pieces.
void expect_events(const std::string& stream, const Events& expected,
                   std::uint32_t message_bytes_max = kMessageBytesMax) {
  const std::string_view view = stream;
  EXPECT_EQ(events_of({view}, message_bytes_max), expected);
  const std::size_t step = stream.size() < 600 ? 1 : stream.size() / 97;
  for (std::size_t cut = 0; cut <= stream.size(); cut += step) {
    ASSERT_EQ(events_of({view.substr(0, cut), view.substr(cut)}, message_bytes_max), expected)
        << "cut at " << cut;
  }
  std::vector<std::string_view> bytes;
  for (std::size_t i = 0; i < stream.size(); ++i) bytes.push_back(view.substr(i, 1));
  EXPECT_EQ(events_of(bytes, message_bytes_max), expected) << "byte by byte";
}

TEST(Connection1, MessagesOfEachSize) {
  for (const std::size_t size : {0u, 1u, 125u, 126u, 127u, 128u, 65535u}) {
    const std::string payload(size, '*');
    expect_events(frame(Opcode::Text, payload), {"Text:" + payload});
    expect_events(frame(Opcode::Binary, payload), {"Binary:" + payload});
  }
}

TEST(Connection1, SeveralMessagesInOneInput) {
  expect_events(frame(Opcode::Text, "one") + frame(Opcode::Binary, "") + frame(Opcode::Text, "3"),
                {"Text:one", "Binary:", "Text:3"});
}

TEST(Connection1, WholeMessageIsLentFromTheInput) {
  std::string stream = frame(Opcode::Text, "OPTIONS") + frame(Opcode::Ping, "p");
  MutableBytes input{reinterpret_cast<std::uint8_t*>(stream.data()), stream.size()};
  const std::uint8_t* const start = input.data();
  Connection connection;
  const Event message = connection.next(input);
  EXPECT_EQ(message.payload.data(), start + 6);
  EXPECT_EQ(connection.next(input).payload.data(), start + 6 + 7 + 6);
  EXPECT_EQ(connection.buffered_bytes(), 0u);
}

TEST(Connection1, TooBigIsSaidAsSoonAsItIsKnown) {
  const std::string stream = frame(Opcode::Text, std::string(101, 'x'));
  expect_events(stream, {"Violation 1009"}, 100);
  expect_events(stream.substr(0, 6), {"Violation 1009"}, 100);
  expect_events(frame(Opcode::Text, std::string(100, 'x')), {"Text:" + std::string(100, 'x')}, 100);
  expect_events(frame(Opcode::Text, std::string(65536, 'x')).substr(0, 14), {"Violation 1009"});
  const std::string huge =
      "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff"
      "mask"s;
  expect_events(huge, {"Violation 1009"});
  expect_events(huge, {"Violation 1009"}, 0xffffffff);
  // In fragments: the one that goes beyond is refused by its header.
  expect_events(fragment(Opcode::Text, std::string(60, 'x')) +
                    frame(Opcode::Continuation, std::string(41, 'x')).substr(0, 6),
                {"Violation 1009"}, 100);
  expect_events(fragment(Opcode::Text, std::string(60, 'x')) +
                    frame(Opcode::Continuation, std::string(40, 'x')),
                {"Text:" + std::string(100, 'x')}, 100);
}

TEST(Connection1, ServerWantsMasksAndClientWantsNone) {
  expect_events("\x81\x01x"s, {"Violation 1002"});
  expect_events("\x89\x00"s, {"Violation 1002"});
  Connection client(Role::Client);
  Events events;
  feed(client, "\x81\x02hi\x89\x00"s, events);
  feed(client, frame(Opcode::Text, "x"), events);
  EXPECT_EQ(events, (Events{"Text:hi", "Ping:", "Violation 1002"}));
}

TEST(Connection1, LengthHasOneForm) {
  expect_events("\x81\xfe\x00\x01mask-"s, {"Violation 1002"});
  expect_events("\x81\xff\x00\x00\x00\x00\x00\x00\x00\x01mask-"s, {"Violation 1002"});
  expect_events("\x81\xff\x80\x00\x00\x00\x00\x00\x00\x01mask-"s, {"Violation 1002"});
}

TEST(Connection2, PingsAndPongs) {
  const std::string longest(125, '\xfe');
  expect_events(frame(Opcode::Ping, ""), {"Ping:"});
  expect_events(frame(Opcode::Ping, "Hello"), {"Ping:Hello"});
  expect_events(frame(Opcode::Ping, longest), {"Ping:" + longest});
  expect_events(frame(Opcode::Ping, std::string(126, 'x')), {"Violation 1002"});
  expect_events(frame(Opcode::Pong, "unasked"), {"Pong:unasked"});
  std::string stream;
  Events expected;
  for (int i = 0; i < 10; ++i) {
    stream += frame(Opcode::Ping, std::to_string(i));
    expected.push_back("Ping:" + std::to_string(i));
  }
  expect_events(stream, expected);
}

TEST(Connection3, ReservedBits) {
  for (const std::uint8_t bits :
       std::initializer_list<std::uint8_t>{0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70}) {
    for (const std::uint8_t opcode :
         std::initializer_list<std::uint8_t>{0x81, 0x82, 0x88, 0x89, 0x8a}) {
      const auto first = static_cast<std::uint8_t>(bits | opcode);
      expect_events(frame(Opcode::Text, "a") + raw_frame(first, "b") + frame(Opcode::Ping, "c"),
                    {"Text:a", "Violation 1002"});
    }
  }
}

TEST(Connection4, UnknownOpcodes) {
  for (const std::uint8_t opcode :
       std::initializer_list<std::uint8_t>{3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
    const auto first = static_cast<std::uint8_t>(kFinal | opcode);
    expect_events(frame(Opcode::Text, "a") + raw_frame(first, "b") + frame(Opcode::Ping, "c"),
                  {"Text:a", "Violation 1002"});
  }
}

TEST(Connection5, Fragments) {
  expect_events(fragment(Opcode::Text, "frag1") + frame(Opcode::Continuation, "frag2"),
                {"Text:frag1frag2"});
  expect_events(fragment(Opcode::Binary, "") + fragment(Opcode::Continuation, "") +
                    frame(Opcode::Continuation, ""),
                {"Binary:"});
  expect_events(fragment(Opcode::Text, "") + fragment(Opcode::Continuation, "middle") +
                    frame(Opcode::Continuation, ""),
                {"Text:middle"});
}

TEST(Connection5, ControlFramesBetweenFragments) {
  expect_events(
      fragment(Opcode::Text, "frag1") + frame(Opcode::Ping, "ping") +
          fragment(Opcode::Continuation, "frag2") + frame(Opcode::Pong, "") +
          frame(Opcode::Ping, std::string(125, 'p')) + frame(Opcode::Continuation, "frag3") +
          frame(Opcode::Text, "next"),
      {"Ping:ping", "Pong:", "Ping:" + std::string(125, 'p'), "Text:frag1frag2frag3", "Text:next"});
  expect_events(fragment(Opcode::Text, std::string(65535, 'x')) +
                    frame(Opcode::Ping, std::string(125, 'p')) + frame(Opcode::Continuation, ""),
                {"Ping:" + std::string(125, 'p'), "Text:" + std::string(65535, 'x')});
}

TEST(Connection5, ControlFramesAreNotFragmented) {
  expect_events(fragment(Opcode::Ping, "a") + frame(Opcode::Continuation, "b"), {"Violation 1002"});
  expect_events(fragment(Opcode::Pong, "a"), {"Violation 1002"});
  expect_events(fragment(Opcode::Close, ""), {"Violation 1002"});
}

TEST(Connection5, ContinuationWithoutStart) {
  expect_events(frame(Opcode::Continuation, "a"), {"Violation 1002"});
  expect_events(fragment(Opcode::Continuation, "a"), {"Violation 1002"});
  expect_events(fragment(Opcode::Text, "a") + frame(Opcode::Continuation, "b") +
                    frame(Opcode::Continuation, "c"),
                {"Text:ab", "Violation 1002"});
}

TEST(Connection5, NewMessageInsideFragments) {
  expect_events(fragment(Opcode::Text, "a") + frame(Opcode::Text, "b"), {"Violation 1002"});
  expect_events(fragment(Opcode::Text, "a") + fragment(Opcode::Binary, "b"), {"Violation 1002"});
}

TEST(Connection5, LimitOfFragments) {
  const auto in_fragments = [](int count) {
    std::string stream = fragment(Opcode::Text, "x");
    for (int i = 2; i < count; ++i) stream += fragment(Opcode::Continuation, "x");
    return stream + frame(Opcode::Continuation, "x");
  };
  expect_events(in_fragments(63), {"Text:" + std::string(63, 'x')});
  expect_events(in_fragments(64), {"Text:" + std::string(64, 'x')});
  expect_events(in_fragments(65), {"Violation 1008"});
  expect_events(in_fragments(64) + in_fragments(64),
                {"Text:" + std::string(64, 'x'), "Text:" + std::string(64, 'x')});
}

TEST(Connection6, Utf8) {
  const std::string greek = "\u03ba\u1f79\u03c3\u03bc\u03b5";
  expect_events(frame(Opcode::Text, greek), {"Text:" + greek});
  expect_events(
      fragment(Opcode::Text, greek.substr(0, 1)) + frame(Opcode::Continuation, greek.substr(1)),
      {"Text:" + greek});
  for (const std::string& bad :
       {greek + "\xed\xa0\x80" + "edited", "\xc0\x80"s, "\xf4\x90\x80\x80"s, "\xff"s,
        greek.substr(0, 3), "\xed\xbf\xbf"s, "\x80"s}) {
    expect_events(frame(Opcode::Text, bad), {"Violation 1007"});
    expect_events(fragment(Opcode::Text, bad) + frame(Opcode::Continuation, ""),
                  {"Violation 1007"});
    expect_events(frame(Opcode::Binary, bad), {"Binary:" + bad});
  }
}

TEST(Connection7, CloseAndWhatFollows) {
  expect_events(frame(Opcode::Close, ""), {"Close 1005:"});
  expect_events(close_frame(1000), {"Close 1000:"});
  expect_events(close_frame(1000, "bye"), {"Close 1000:bye"});
  expect_events(close_frame(1000, std::string(123, '*')), {"Close 1000:" + std::string(123, '*')});
  expect_events(frame(Opcode::Text, "a") + close_frame(1001) + frame(Opcode::Text, "b") +
                    close_frame(1002) + "garbage",
                {"Text:a", "Close 1001:"});
  expect_events(fragment(Opcode::Text, "a") + close_frame(1000) + frame(Opcode::Continuation, "b"),
                {"Close 1000:"});
}

TEST(Connection7, MalformedClose) {
  expect_events(frame(Opcode::Close, "x"), {"Violation 1002"});
  expect_events(close_frame(1000, std::string(124, '*')), {"Violation 1002"});
  expect_events(close_frame(1000, "\xce\xba\xe1\xbd"), {"Violation 1007"});
}

TEST(Connection7, CloseCodes) {
  for (const std::uint16_t code :
       std::initializer_list<std::uint16_t>{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011,
                                            1012, 1013, 1014, 3000, 3999, 4000, 4999}) {
    expect_events(close_frame(code), {"Close " + std::to_string(code) + ":"});
  }
  for (const std::uint16_t code : std::initializer_list<std::uint16_t>{
           0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535}) {
    expect_events(close_frame(code), {"Violation 1002"});
  }
}

TEST(ConnectionMemory, IdleConnectionIsSmallAndHasNoBuffer) {
  EXPECT_LE(sizeof(Connection), 64u);
  Connection connection;
  Events events;
  const std::string stream = frame(Opcode::Text, std::string(1000, 'x'));
  feed(connection, std::string_view{stream}.substr(0, 500), events);
  EXPECT_TRUE(connection.in_message());
  EXPECT_GT(connection.buffered_bytes(), 0u);
  feed(connection, std::string_view{stream}.substr(500), events);
  EXPECT_EQ(events.size(), 1u);
  EXPECT_FALSE(connection.in_message());
  EXPECT_EQ(connection.buffered_bytes(), 0u);
}

TEST(ConnectionMemory, AnnouncedSizeTakesNoMemory) {
  Connection connection;
  Events events;
  const std::string stream = frame(Opcode::Text, std::string(65535, 'x'));
  feed(connection, std::string_view{stream}.substr(0, 100), events);
  EXPECT_LE(connection.buffered_bytes(), 512u);
  feed(connection, std::string_view{stream}.substr(100, 10'000), events);
  EXPECT_LE(connection.buffered_bytes(), 2 * 10'100u);
}

TEST(ConnectionMemory, BufferOfTheViolatorIsFreedAtOnce) {
  Connection connection;
  std::string stream = fragment(Opcode::Text, "abc") + "\xff";
  MutableBytes input{reinterpret_cast<std::uint8_t*>(stream.data()), stream.size()};
  EXPECT_EQ(connection.next(input).kind, Event::Kind::Violation);
  EXPECT_EQ(connection.buffered_bytes(), 0u);
  EXPECT_FALSE(connection.in_message());
}

// Whatever comes, in whatever pieces: no memory beyond the limit, the same events, and an end.
TEST(ConnectionRandom, DamagedStreamsInRandomPieces) {
  const std::uint64_t seed = 6455;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 3000; ++round) {
    std::string stream;
    for (std::size_t i = random() % 8; i > 0; --i) {
      const std::uint8_t opcodes[] = {0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a, 0x88};
      stream += raw_frame(opcodes[random() % 9], std::string(random() % 200, 'x'));
    }
    if (!stream.empty() && random() % 2 == 0) {
      stream[random() % stream.size()] = static_cast<char>(random());
    }
    const Events whole = events_of({stream}, 300);
    Connection connection(Role::Server, 300);
    Events pieces;
    for (std::size_t start = 0; start < stream.size();) {
      const std::size_t size = std::min<std::size_t>(random() % 60 + 1, stream.size() - start);
      feed(connection, std::string_view{stream}.substr(start, size), pieces);
      EXPECT_LE(connection.buffered_bytes(), 300 + kControlPayloadMax);
      start += size;
    }
    ASSERT_EQ(pieces, whole) << "round " << round;
  }
}

}  // namespace
}  // namespace ringway::websocket
