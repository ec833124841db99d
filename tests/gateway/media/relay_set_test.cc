#include "gateway/media/relay_set.h"

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/transaction/layer.h"

namespace ringway {
namespace {

constexpr std::uint64_t kSeed = 2223;
constexpr SlotId kOwner{7, 9};

class RelaySetTest : public ::testing::Test {
 protected:
  RelaySetTest() { use(3); }
  ~RelaySetTest() override {
    relays_.reset();
    outbox_.clear();
    EXPECT_EQ(buffers_.in_use(), 0u);
  }

  void use(std::size_t count) {
    config_.media.relays.assign(count, *parse_endpoint("127.0.0.1:2223"));
    relays_ =
        std::make_unique<RelaySet>(config_, 5, 0xabc, wheel_, buffers_, *counters_, log_, random_);
  }
  bool send(std::uint8_t relay, RelayCommand command = RelayCommand::Ping) {
    RelayRequest request;
    request.command = command;
    return relays_->send(relay, request, kOwner, now_, outbox_);
  }
  // The cookies of what was emitted since the last call.
  std::vector<std::string> cookies() {
    std::vector<std::string> result;
    for (const Output& output : outbox_.items()) {
      EXPECT_EQ(output.kind, Output::Kind::RelayRequest);
      const std::string_view text = as_text(output.buffer.bytes());
      result.emplace_back(text.substr(0, text.find(' ')));
    }
    outbox_.clear();
    return result;
  }
  std::string cookie_of_next(std::uint8_t relay) {
    EXPECT_TRUE(send(relay));
    const auto all = cookies();
    return all.size() == 1 ? all.front() : "";
  }
  std::optional<RelaySet::Completion> reply(std::uint8_t relay, const std::string& cookie,
                                            const std::string& body = "d6:result4:ponge") {
    text_ = cookie + " " + body;
    return relays_->receive(relay, as_bytes(text_), now_);
  }
  std::vector<RelaySet::Completion> run(Duration duration) {
    std::vector<RelaySet::Completion> done;
    now_ += duration;
    wheel_.expire(now_, [&](std::uint64_t payload) {
      EXPECT_EQ(subject_of(payload), Subject::Relay);
      if (const auto completion = relays_->expire(payload, now_, outbox_))
        done.push_back(*completion);
    });
    return done;
  }

  Config config_;
  std::unique_ptr<Counters> counters_ = std::make_unique<Counters>();
  Log::Queue queue_{256};
  Log log_{0, LogLevel::Info, queue_, *counters_};
  TimerWheel wheel_{32'768};
  BufferPool buffers_{std::size_t{1} << 26};
  Random random_{kSeed};
  Outbox outbox_;
  Instant now_{1000s};
  std::string text_;
  std::unique_ptr<RelaySet> relays_;
};

TEST_F(RelaySetTest, ARequestGetsItsAnswer) {
  relays_->connected(1, outbox_);
  const std::string cookie = cookie_of_next(1);
  EXPECT_EQ(relays_->pending(), 1u);
  now_ += 3ms;
  const auto completion = reply(1, cookie);
  ASSERT_TRUE(completion);
  EXPECT_TRUE(completion->answered);
  EXPECT_EQ(completion->owner, kOwner);
  EXPECT_EQ(completion->command, RelayCommand::Ping);
  EXPECT_EQ(completion->reply.result, RelayReply::Result::Pong);
  EXPECT_EQ(relays_->pending(), 0u);
  EXPECT_EQ(wheel_.size(), 0u);
  EXPECT_EQ(counters_->ng_latency_microseconds.value(), 3'000u);
}

TEST_F(RelaySetTest, RequestsArePipelinedAndAnsweredInAnyOrder) {
  relays_->connected(0, outbox_);
  std::vector<std::string> all;
  for (int i = 0; i < 5; ++i) all.push_back(cookie_of_next(0));
  for (const std::size_t i : {3u, 0u, 4u, 2u, 1u}) {
    EXPECT_TRUE(reply(0, all[i]));
    EXPECT_FALSE(reply(0, all[i])) << "answered twice";
  }
}

TEST_F(RelaySetTest, CookiesAreNeverUsedAgain) {
  relays_->connected(0, outbox_);
  std::set<std::string> seen;
  for (int round = 0; round < 3'000; ++round) {
    const std::string cookie = cookie_of_next(0);
    ASSERT_TRUE(seen.insert(cookie).second) << cookie;
    if (round % 3 != 0) {
      ASSERT_TRUE(reply(0, cookie));
    } else if (round % 7 == 0) {
      run(2s);
    }
    if (round % 100 == 0) {
      relays_->lost(0, now_);
      relays_->connected(0, outbox_);
      for (const std::string& again : cookies()) EXPECT_TRUE(seen.contains(again)) << "its own";
    }
  }
  run(10s);
  // Another shard of the same process, and the same shard of another process.
  for (const auto& [shard, epoch] : {std::pair{6, 0xabc}, std::pair{5, 0xabd}}) {
    RelaySet set(config_, static_cast<ShardIndex>(shard), static_cast<std::uint32_t>(epoch), wheel_,
                 buffers_, *counters_, log_, random_);
    set.connected(0, outbox_);
    ASSERT_TRUE(set.send(0, {}, kOwner, now_, outbox_));
    EXPECT_FALSE(seen.contains(cookies().front()));
    run(10s);
  }
}

TEST_F(RelaySetTest, UnknownCookiesAreEventsOfTheRelay) {
  relays_->connected(0, outbox_);
  relays_->connected(1, outbox_);
  const std::string cookie = cookie_of_next(0);
  std::string other_process = cookie, other_generation = cookie;
  other_process[7] = other_process[7] == '0' ? '1' : '0';
  other_generation.back() = other_generation.back() == '0' ? '1' : '0';
  for (const std::string& stranger :
       {std::string("x"), std::string(), std::string(24, 'f'), std::string(24, 'g'),
        cookie.substr(1), cookie + "0", other_process, other_generation}) {
    EXPECT_FALSE(reply(0, stranger)) << stranger;
  }
  EXPECT_FALSE(reply(1, cookie)) << "another relay's";
  for (const std::string_view text : {"", " ", "nothing", "\xff\xff"}) {
    EXPECT_FALSE(relays_->receive(0, as_bytes(text), now_));
  }
  EXPECT_FALSE(relays_->receive(0, as_bytes(cookie), now_)) << "no dictionary";
  EXPECT_EQ(relays_->pending(), 1u);
  EXPECT_EQ(counters_->ng_unknown_cookies.value(), 14u);
  EXPECT_TRUE(reply(0, cookie));
}

TEST_F(RelaySetTest, AnAnswerThatCannotBeReadIsAnError) {
  relays_->connected(0, outbox_);
  const auto completion = reply(0, cookie_of_next(0), "d6:resul");
  ASSERT_TRUE(completion);
  EXPECT_TRUE(completion->answered);
  EXPECT_EQ(completion->reply.result, RelayReply::Result::Error);
  EXPECT_EQ(counters_->ng_errors[static_cast<std::size_t>(RelayCommand::Ping)].value(), 1u);
}

TEST_F(RelaySetTest, WhatIsNotAnsweredTimesOut) {
  relays_->connected(0, outbox_);
  const std::string cookie = cookie_of_next(0);
  EXPECT_TRUE(run(999ms).empty());
  const auto done = run(10ms);
  ASSERT_EQ(done.size(), 1u);
  EXPECT_FALSE(done[0].answered);
  EXPECT_EQ(done[0].owner, kOwner);
  EXPECT_EQ(relays_->pending(), 0u);
  EXPECT_FALSE(reply(0, cookie)) << "too late";
  EXPECT_EQ(counters_->ng_timeouts.value(), 1u);
}

TEST_F(RelaySetTest, WhatWaitsIsSentWithTheConnectionAndAgainUnderItsCookie) {
  EXPECT_TRUE(send(2));
  EXPECT_EQ(cookies().size(), 0u) << "not connected";
  relays_->connected(1, outbox_);
  EXPECT_EQ(cookies().size(), 0u) << "another one";
  relays_->connected(2, outbox_);
  const auto first = cookies();
  ASSERT_EQ(first.size(), 1u);
  for (int i = 0; i < 2; ++i) {
    relays_->lost(2, now_);
    relays_->connected(2, outbox_);
    EXPECT_EQ(cookies(), first);
  }
  relays_->lost(2, now_);
  relays_->connected(2, outbox_);
  EXPECT_EQ(cookies().size(), 0u) << "three times are enough";
  EXPECT_EQ(counters_->ng_resends.value(), 2u);
  EXPECT_TRUE(reply(2, first.front()));
}

TEST_F(RelaySetTest, PendingRequestsOfOneRelayAreBounded) {
  relays_->connected(0, outbox_);
  std::size_t sent = 0;
  while (sent < 20'000 && send(0)) ++sent;
  EXPECT_EQ(sent, RelaySet::kPendingMaxOfRelay);
  EXPECT_TRUE(send(1)) << "another one's";
  EXPECT_EQ(run(2s).size(), sent + 1);
  EXPECT_TRUE(send(0));
}

TEST_F(RelaySetTest, AnOfferDoesNotWaitLongForALostRelayWhereThereIsAnother) {
  relays_->connected(0, outbox_);
  relays_->connected(1, outbox_);
  ASSERT_TRUE(send(0, RelayCommand::Offer));
  ASSERT_TRUE(send(0, RelayCommand::Delete));
  relays_->lost(0, now_);
  const auto done = run(300ms);
  ASSERT_EQ(done.size(), 1u);
  EXPECT_EQ(done[0].command, RelayCommand::Offer);
  EXPECT_FALSE(done[0].answered);
  EXPECT_EQ(run(1s).size(), 1u) << "the other request waits its time";
}

TEST_F(RelaySetTest, AnOfferWaitsForTheOnlyRelay) {
  relays_->connected(0, outbox_);
  ASSERT_TRUE(send(0, RelayCommand::Offer));
  const auto first = cookies();
  relays_->lost(0, now_);
  EXPECT_TRUE(run(900ms).empty());
  relays_->connected(0, outbox_);
  EXPECT_EQ(cookies(), first) << "again, under its cookie";
  EXPECT_TRUE(reply(0, first.front(), "d3:sdp1:x6:result2:oke"));
}

// A datagram may be lost, either way.
TEST_F(RelaySetTest, ByUdpARequestIsSentAgainUnderItsCookie) {
  config_.media.relays[1].transport = Transport::Udp;
  relays_->connected(1, outbox_);
  const std::string cookie = cookie_of_next(1);
  EXPECT_TRUE(run(190ms).empty());
  EXPECT_TRUE(cookies().empty());
  EXPECT_TRUE(run(20ms).empty());
  EXPECT_EQ(cookies(), std::vector<std::string>{cookie});
  EXPECT_TRUE(run(410ms).empty());
  EXPECT_EQ(cookies(), std::vector<std::string>{cookie});
  EXPECT_TRUE(run(300ms).empty());
  EXPECT_TRUE(cookies().empty()) << "three times are enough";
  EXPECT_EQ(run(100ms).size(), 1u);
  EXPECT_EQ(wheel_.size(), 0u);
}

TEST_F(RelaySetTest, WhatFitsNoDatagramIsRefused) {
  config_.media.relays[0].transport = Transport::Udp;
  relays_->connected(0, outbox_);
  const std::string huge(65'500, 'x');
  RelayRequest request;
  request.command = RelayCommand::Offer;
  request.sdp = huge;
  EXPECT_FALSE(relays_->send(0, request, kOwner, now_, outbox_));
  EXPECT_EQ(relays_->pending(), 0u);
}

TEST_F(RelaySetTest, ARequestThatFitsNoMessageIsRefusedAndLeavesNothing) {
  relays_->connected(0, outbox_);
  const std::string huge(70'000, 'x');
  RelayRequest request;
  request.command = RelayCommand::Offer;
  request.sdp = huge;
  EXPECT_FALSE(relays_->send(0, request, kOwner, now_, outbox_));
  EXPECT_EQ(relays_->pending(), 0u);
  EXPECT_EQ(wheel_.size(), 0u);
  EXPECT_TRUE(outbox_.empty());
}

TEST_F(RelaySetTest, TheLongestTextsOfAValidMessageFit) {
  relays_->connected(0, outbox_);
  const std::string sdp(49'151, 'x'), token(512, 'y');
  RelayRequest request;
  request.command = RelayCommand::Answer;
  request.sdp = sdp;
  request.call_id = request.from_tag = request.to_tag = token;
  EXPECT_TRUE(relays_->send(0, request, kOwner, now_, outbox_));
}

TEST_F(RelaySetTest, WithoutRelaysItIsNotConfigured) {
  EXPECT_TRUE(relays_->configured());
  use(0);
  EXPECT_FALSE(relays_->configured());
}

}  // namespace
}  // namespace ringway
