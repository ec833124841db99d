#include "gateway/tunnel/link.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace ringway::tunnel {
namespace {

struct Ear final : LinkOwner {
  void on_greeted(std::uint16_t) override { ++greeted; }
  void on_message(std::uint16_t, std::uint32_t stream, std::uint32_t, Bytes bytes) override {
    messages.emplace_back(stream, std::string(as_text(bytes)));
  }
  void on_refused(std::uint16_t, std::uint32_t stream, std::uint32_t, Refusal) override {
    refused.push_back(stream);
  }
  void on_target(std::uint16_t, bool serves) override { targets.push_back(serves); }
  void on_forget(std::uint16_t, std::uint32_t stream) override { forgotten.push_back(stream); }

  int greeted = 0;
  std::vector<std::pair<std::uint32_t, std::string>> messages;
  std::vector<std::uint32_t> refused, forgotten;
  std::vector<bool> targets;
};

constexpr Instant kStart = Instant(1000s);

struct OneEnd {
  explicit OneEnd(LinkSettings settings = {}) : link(3, settings, ear, numbers) {}
  std::vector<std::uint8_t> output() {
    std::vector<std::uint8_t> out;
    link.take_output(out);
    return out;
  }
  Ear ear;
  Numbers numbers;
  Link link;
};

struct Pair {
  explicit Pair(LinkSettings settings = {}) : a(settings), b(settings) {
    a.link.opened(kStart);
    b.link.opened(kStart);
    move(kStart);
  }
  // All that both have to say, until neither has.
  void move(Instant now) {
    while (a.link.has_output() || b.link.has_output()) {
      EXPECT_TRUE(b.link.received(a.output(), now));
      EXPECT_TRUE(a.link.received(b.output(), now));
    }
  }
  OneEnd a, b;
};

std::string text_of_size(std::size_t size, char seed) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i)
    text[i] = static_cast<char>(seed + static_cast<char>(i * 7));
  return text;
}

TEST(Link, MessagesOfEverySizeArriveAsTheyWent) {
  Pair pair;
  EXPECT_EQ(pair.a.ear.greeted, 1);
  const std::size_t sizes[] = {0,
                               1,
                               200,
                               kFramePayloadMax - 1,
                               kFramePayloadMax,
                               kFramePayloadMax + 1,
                               60'000,
                               kDatagramBytesMax,
                               kMessageBytesMax};
  std::uint32_t stream = 1;
  for (const std::size_t size : sizes) {
    const std::string text = text_of_size(size, 'a');
    ASSERT_EQ(pair.a.link.send(stream, as_bytes(text), kStart), Link::Sent::Yes);
    pair.move(kStart);
    ASSERT_EQ(pair.b.ear.messages.size(), stream);
    EXPECT_EQ(pair.b.ear.messages.back().first, stream);
    EXPECT_EQ(pair.b.ear.messages.back().second, text) << size;
    ++stream;
  }
}

TEST(Link, CutAtEachByteTheSameFramesCome) {
  OneEnd sender;
  sender.link.opened(kStart);
  OneEnd greeter;
  greeter.link.opened(kStart);
  ASSERT_TRUE(sender.link.received(greeter.output(), kStart));
  const std::string small = "5323_1 d7:command4:pinge", large = text_of_size(40'000, 'q');
  sender.link.send(1, as_bytes(small), kStart);
  sender.link.send(2, as_bytes(large), kStart);
  sender.link.send(3, {}, kStart);
  sender.link.send_forget(1);
  std::vector<std::uint8_t> stream;
  while (sender.link.has_output()) {
    const auto piece = sender.output();
    stream.insert(stream.end(), piece.begin(), piece.end());
  }
  std::size_t cuts = 0;
  for (std::size_t cut = 0; cut <= stream.size(); cut += cut < 300 ? 1 : 97, ++cuts) {
    OneEnd receiver;
    receiver.link.opened(kStart);
    ASSERT_TRUE(receiver.link.received(Bytes(stream).first(cut), kStart)) << cut;
    ASSERT_TRUE(receiver.link.received(Bytes(stream).subspan(cut), kStart)) << cut;
    ASSERT_EQ(receiver.ear.messages.size(), 3u) << cut;
    std::map<std::uint32_t, std::string> got(receiver.ear.messages.begin(),
                                             receiver.ear.messages.end());
    EXPECT_EQ(got[1], small) << cut;
    EXPECT_EQ(got[2], large) << cut;
    EXPECT_EQ(got[3], "") << cut;
    EXPECT_EQ(receiver.ear.forgotten, std::vector<std::uint32_t>{1}) << cut;
  }
  OneEnd drop;
  drop.link.opened(kStart);
  for (const std::uint8_t byte : stream) ASSERT_TRUE(drop.link.received({&byte, 1}, kStart));
  EXPECT_EQ(drop.ear.messages.size(), 3u);
}

TEST(Link, ASmallMessageDoesNotWaitForTheEndOfALargeOne) {
  Pair pair;
  const std::string large = text_of_size(kMessageBytesMax, 'l');
  pair.a.link.send(1, as_bytes(large), kStart);
  pair.a.link.send(2, as_bytes("small"), kStart);
  ASSERT_TRUE(pair.b.link.received(pair.a.output(), kStart));
  ASSERT_EQ(pair.b.ear.messages.size(), 1u);
  EXPECT_EQ(pair.b.ear.messages[0].second, "small");
  pair.move(kStart);
  ASSERT_EQ(pair.b.ear.messages.size(), 2u);
  EXPECT_EQ(pair.b.ear.messages[1].second, large);
}

TEST(Link, AFullQueueRefusesAndKeepsWhatItHas) {
  Pair pair({.queue_bytes_max = 200'000});
  const std::string text = text_of_size(90'000, 'f');
  EXPECT_EQ(pair.a.link.send(1, as_bytes(text), kStart), Link::Sent::Yes);
  EXPECT_EQ(pair.a.link.send(2, as_bytes(text), kStart), Link::Sent::Yes);
  EXPECT_EQ(pair.a.link.send(3, as_bytes(text), kStart), Link::Sent::QueueFull);
  pair.move(kStart);
  EXPECT_EQ(pair.b.ear.messages.size(), 2u);
  EXPECT_EQ(pair.a.link.queued_bytes(), 0u);
}

TEST(Link, AMessageLongerThanTheFarEndTakesIsRefusedHere) {
  Pair pair({.message_bytes_max = 1000});
  EXPECT_EQ(pair.a.link.send(1, as_bytes(std::string(1000, 'x')), kStart), Link::Sent::Yes);
  EXPECT_EQ(pair.a.link.send(1, as_bytes(std::string(1001, 'x')), kStart), Link::Sent::TooLong);
}

// --- A far end that is none, or hostile

std::vector<std::uint8_t> frame(FrameHead head, std::string_view payload) {
  head.payload_bytes = static_cast<std::uint16_t>(payload.size());
  std::vector<std::uint8_t> bytes(kFrameHeadBytes);
  write_frame_head(head, bytes);
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  return bytes;
}

TEST(Link, WhoDoesNotGreetFirstIsClosed) {
  const std::vector<std::uint8_t> beginnings[] = {
      frame({.kind = FrameKind::Data, .first = true, .last = true, .stream = 1}, "x"),
      frame({.kind = FrameKind::Hello}, "RWtnxxxxxxxx"),
      frame({.kind = FrameKind::Ping}, "12345678")};
  for (const auto& bytes : beginnings) {
    OneEnd end;
    end.link.opened(kStart);
    const auto done = end.link.received(bytes, kStart);
    ASSERT_FALSE(done);
    EXPECT_EQ(done, std::unexpected(LinkError::NoTunnelEnd));
    EXPECT_TRUE(end.ear.messages.empty());
  }
  OneEnd end;
  end.link.opened(kStart);
  EXPECT_EQ(end.link.received(as_bytes("GET / HTTP/1.1\r\n\r\n"), kStart),
            std::unexpected(LinkError::BadFrame));
}

TEST(Link, EndsOfDifferentKindsDoNotSpeak) {
  OneEnd control, datagrams({.carries = Carries::Datagrams});
  control.link.opened(kStart);
  datagrams.link.opened(kStart);
  EXPECT_EQ(control.link.received(datagrams.output(), kStart),
            std::unexpected(LinkError::OtherKind));
}

TEST(Link, FragmentsThatDoNotBelongTogetherCloseTheConnection) {
  const FrameHead part{.kind = FrameKind::Data, .stream = 1, .message = 5};
  FrameHead first = part;
  first.first = true;
  {
    Pair pair;
    EXPECT_EQ(pair.a.link.received(frame(part, "x"), kStart),
              std::unexpected(LinkError::BadFragment));
  }
  {
    Pair pair;
    ASSERT_TRUE(pair.a.link.received(frame(first, "x"), kStart));
    EXPECT_EQ(pair.a.link.received(frame(first, "x"), kStart),
              std::unexpected(LinkError::BadFragment));
  }
  {
    Pair pair;
    EXPECT_EQ(pair.a.link.received(frame({.kind = FrameKind::Hello}, ""), kStart),
              std::unexpected(LinkError::BadFrame));
  }
}

TEST(Link, UnfinishedMessagesAreBoundedInSizeInNumberAndTogether) {
  const std::string payload(kFramePayloadMax, 'x');
  {
    Pair pair({.message_bytes_max = 40'000});
    FrameHead head{.kind = FrameKind::Data, .first = true, .stream = 1, .message = 1};
    ASSERT_TRUE(pair.a.link.received(frame(head, payload), kStart));
    head.first = false;
    ASSERT_TRUE(pair.a.link.received(frame(head, payload), kStart));
    EXPECT_EQ(pair.a.link.received(frame(head, payload), kStart),
              std::unexpected(LinkError::TooMuch));
  }
  for (const std::size_t size : {std::size_t{1}, kFramePayloadMax}) {
    Pair pair;
    std::size_t sent = 0;
    FrameHead head{.kind = FrameKind::Data, .first = true, .stream = 1};
    while (pair.a.link.received(frame(head, payload.substr(0, size)), kStart)) {
      ++head.message;
      ASSERT_LE(++sent, Link::kPartialsMax);
    }
    EXPECT_LE(sent * size, Link::kPartialBytesMax);
  }
}

TEST(Link, WhoAsksAndNeverReadsMakesNothingGrow) {
  Pair pair;
  const auto ping = frame({.kind = FrameKind::Ping}, "12345678");
  for (int i = 0; i < 100'000; ++i) ASSERT_TRUE(pair.a.link.received(ping, kStart));
  EXPECT_LE(pair.a.output().size(), 2 * Link::kOutputMax + 64);
}

// --- Silence

TEST(Link, AFarEndThatOwesAnAnswerForSoLongIsGone) {
  Pair pair({.silence = 700ms});
  Instant now = kStart + 500ms;
  pair.a.link.send(1, as_bytes("request"), now);
  EXPECT_LE(pair.a.link.next_deadline(), now + 700ms);
  EXPECT_TRUE(pair.a.link.expire(now + 699ms));
  EXPECT_EQ(pair.a.link.expire(now + 700ms), std::unexpected(LinkError::Silent));
}

TEST(Link, WhatIsHeardPutsTheEndOff) {
  Pair pair({.silence = 700ms});
  const Instant now = kStart + 500ms;
  pair.a.link.send(1, as_bytes("request"), now);
  pair.b.link.send(1, as_bytes("answer"), now);
  ASSERT_TRUE(pair.a.link.received(pair.b.output(), now + 600ms));
  EXPECT_TRUE(pair.a.link.expire(now + 1200ms));
  EXPECT_FALSE(pair.a.link.expire(now + 1300ms));
}

TEST(Link, ARequestSoonAfterAPingHasItsOwnAMomentLater) {
  Pair pair({.silence = 700ms});
  const Instant now = kStart + 500ms, probe = now + Link::kProbeEvery;
  pair.a.link.send(1, as_bytes("request"), now);
  pair.move(now + 10ms);
  pair.a.link.send(1, as_bytes("request"), now + 50ms);
  ASSERT_TRUE(pair.a.link.expire(probe));
  EXPECT_TRUE(pair.a.link.expire(probe + 699ms));
  EXPECT_EQ(pair.a.link.expire(probe + 700ms), std::unexpected(LinkError::Silent));
}

TEST(Link, AnIdleConnectionPingsOnceASecondAndMeasures) {
  Pair pair;
  Instant now = kStart;
  for (int i = 0; i < 20; ++i) {
    now = pair.a.link.next_deadline();
    ASSERT_TRUE(pair.a.link.expire(now));
    ASSERT_TRUE(pair.b.link.received(pair.a.output(), now));
    now += 30ms;
    ASSERT_TRUE(pair.a.link.received(pair.b.output(), now));
    EXPECT_EQ(pair.a.numbers.round_trip_us.value(), 30'000u);
  }
  EXPECT_LT(now - kStart, 23s);
}

TEST(Link, AConnectionOnWhichNobodyGreetsEnds) {
  OneEnd end({.greeting = 3s});
  end.link.opened(kStart);
  EXPECT_EQ(end.link.next_deadline(), kStart + 3s);
  EXPECT_TRUE(end.link.expire(kStart + 2999ms));
  EXPECT_EQ(end.link.expire(kStart + 3s), std::unexpected(LinkError::NoGreeting));
}

}  // namespace
}  // namespace ringway::tunnel
