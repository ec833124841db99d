#include "gateway/transaction/layer.h"

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ringway {
namespace {

using sip::Method;
using Outcome = TransactionLayer::Outcome;

constexpr Duration kLate = TimerWheel::kTick;

// The layer under a clock of its own: what it sends is kept as text, with the moment.
class LayerTest : public ::testing::Test {
 protected:
  LayerTest() {
    config_.limits.transactions = 4;
    config_.limits.client_transactions = 4;
    layer_ = std::make_unique<TransactionLayer>(config_, 3, wheel_, *counters_);
    udp_.remote = *parse_endpoint("198.51.100.7:5060");
    tcp_.transport = Transport::Tcp;
    tcp_.flow = FlowId(3, 1, 1);
  }
  ~LayerTest() override {
    layer_.reset();
    outbox_.clear();
    EXPECT_EQ(buffers_.in_use(), 0u) << "a message was kept";
  }

  static transaction::TransactionKey key(std::uint64_t n) { return {n, 8}; }  // one bucket for all
  BufferRef message(std::string_view text) { return buffers_.copy(as_bytes(text)); }

  SlotId open(std::uint64_t n, Method method, const Source& source) {
    outcome_ = {};
    return layer_->open_server(key(n), method, source, now_, outbox_, outcome_);
  }
  Outcome respond(SlotId id, sip::Status status, std::string_view text) {
    return layer_->respond(id, status, message(text), now_, outbox_);
  }
  SlotId start(Method method, const Target& target, std::string_view text) {
    const SlotId id = layer_->reserve_client(method, target, 0x1234);
    if (id) layer_->start_client(id, message(text), now_, outbox_);
    return id;
  }
  Target target(Transport transport) const {
    Target target;
    target.transport = transport;
    target.remote = *parse_endpoint("198.51.100.8:5060");
    return target;
  }

  // Takes what was sent since the last call.
  std::vector<std::string> sent() {
    std::vector<std::string> texts;
    for (const Output& output : outbox_.items()) texts.emplace_back(as_text(output.buffer.bytes()));
    outbox_.clear();
    return texts;
  }
  struct Event {
    Duration at;  // since the last call of run()
    Outcome outcome;
    std::size_t sends;
  };
  // Lets time pass and tells what expired. A terminated client is released, as its owner does.
  std::vector<Event> run(Duration duration) {
    std::vector<Event> events;
    const Instant start = now_, end = now_ + duration;
    for (Instant next = wheel_.next_deadline(); next <= end; next = wheel_.next_deadline()) {
      now_ = std::max(now_, next);
      wheel_.expire(now_, [&](std::uint64_t payload) {
        SlotId id;
        const std::size_t before = outbox_.items().size();
        const Outcome outcome = layer_->expire(payload, now_, outbox_, id);
        events.push_back({now_ - start, outcome, outbox_.items().size() - before});
        const Subject subject = subject_of(payload);
        const bool of_client =
            subject == Subject::ClientRetransmit || subject == Subject::ClientLifetime;
        if (outcome.terminated && of_client) layer_->release_client(id);
      });
    }
    now_ = end;
    return events;
  }
  // The moments of sends, in milliseconds rounded down to 50.
  std::vector<int> send_times(Duration duration) {
    std::vector<int> times;
    for (const Event& event : run(duration)) {
      if (event.sends != 0) times.push_back(static_cast<int>(event.at / 50ms) * 50);
    }
    outbox_.clear();
    return times;
  }
  // When the transaction ended, or a negative number.
  static Duration end_of(const std::vector<Event>& events) {
    for (const Event& event : events) {
      if (event.outcome.terminated) return event.at;
    }
    return -1s;
  }
  static void expect_about(Duration found, Duration expected) {
    EXPECT_GE(found, expected);
    EXPECT_LE(found, expected + 2 * kLate);
  }

  Config config_;
  std::unique_ptr<Counters> counters_ = std::make_unique<Counters>();
  TimerWheel wheel_{64};
  BufferPool buffers_{std::size_t{1} << 20};
  Outbox outbox_;
  Source udp_, tcp_;
  Instant now_{1000s};
  Outcome outcome_;
  std::unique_ptr<TransactionLayer> layer_;
};

using Texts = std::vector<std::string>;

TEST_F(LayerTest, Rfc3261_17_2_3_OpensAndFindsByKey) {
  EXPECT_FALSE(layer_->find_server(key(1)));
  const SlotId first = open(1, Method::Invite, udp_), second = open(2, Method::Options, udp_);
  EXPECT_EQ(layer_->find_server(key(1)), first);
  EXPECT_EQ(layer_->find_server(key(2)), second);
  EXPECT_FALSE(layer_->find_server(key(3)));
  EXPECT_FALSE(layer_->find_server({1, 16})) << "both halves count";
  EXPECT_EQ(layer_->live_servers(), 2u);
  EXPECT_EQ(counters_->server_transactions.value(), 2u);
}

TEST_F(LayerTest, Rfc3261_17_2_1_InviteIsAnsweredAtOnceAndRepeated) {
  const SlotId id = open(1, Method::Invite, udp_);
  EXPECT_TRUE(outcome_.send_100);
  EXPECT_TRUE(outcome_.to_user);
  layer_->send_100(id, message("100"), outbox_);
  EXPECT_EQ(sent(), Texts{"100"});
  EXPECT_FALSE(layer_->request_repeated(id, now_, outbox_).to_user);
  EXPECT_EQ(sent(), Texts{"100"});
  EXPECT_TRUE(respond(id, 180, "180").sent);
  layer_->request_repeated(id, now_, outbox_);
  EXPECT_EQ(sent(), (Texts{"180", "180"}));
  EXPECT_EQ(counters_->retransmissions_absorbed.value(), 2u);
}

TEST_F(LayerTest, ResponsesGoBackWhereTheRequestCameFrom) {
  udp_.listener = 2;
  respond(open(1, Method::Invite, udp_), 180, "180");
  Output& datagram = outbox_.items().back();
  EXPECT_EQ(datagram.kind, Output::Kind::SendDatagram);
  EXPECT_EQ(datagram.remote, udp_.remote);
  EXPECT_EQ(datagram.listener, 2u);
  EXPECT_EQ(subject_of(datagram.ticket), Subject::ServerSend);
  respond(open(2, Method::Invite, tcp_), 180, "180");
  Output& stream = outbox_.items().back();
  EXPECT_EQ(stream.kind, Output::Kind::SendFlow);
  EXPECT_EQ(stream.flow, tcp_.flow);
}

TEST_F(LayerTest, Rfc3261_17_2_1_TimersGAndHOverUdp) {
  const SlotId id = open(1, Method::Invite, udp_);
  respond(id, 486, "486");
  outbox_.clear();
  const auto events = run(40s);
  std::vector<int> times;
  for (const Event& event : events) {
    if (event.sends != 0) times.push_back(static_cast<int>(event.at / 50ms) * 50);
  }
  EXPECT_EQ(times,
            (std::vector<int>{500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500}));
  EXPECT_TRUE(events.back().outcome.timeout) << "H: no ACK";
  expect_about(end_of(events), 32s);
  EXPECT_FALSE(layer_->find_server(key(1)));
  for (const std::string& text : sent()) EXPECT_EQ(text, "486");
}

TEST_F(LayerTest, Rfc3261_17_2_1_AckStopsGAndTimerIAbsorbs) {
  const SlotId id = open(1, Method::Invite, udp_);
  respond(id, 486, "486");
  sent();
  EXPECT_FALSE(layer_->ack_received(id, now_, outbox_).to_user);
  EXPECT_FALSE(layer_->ack_received(id, now_, outbox_).to_user);
  layer_->request_repeated(id, now_, outbox_);
  EXPECT_EQ(sent(), Texts{});
  const auto events = run(40s);
  expect_about(end_of(events), 5s);
  EXPECT_EQ(sent(), Texts{});
}

TEST_F(LayerTest, Rfc3261_17_2_1_OverTcpNothingRepeatsAndTheAckEndsIt) {
  const SlotId id = open(1, Method::Invite, tcp_);
  respond(id, 486, "486");
  sent();
  EXPECT_EQ(send_times(20s), std::vector<int>{});
  EXPECT_TRUE(layer_->ack_received(id, now_, outbox_).terminated);
  EXPECT_FALSE(layer_->find_server(key(1)));
  EXPECT_EQ(wheel_.size(), 0u);
}

TEST_F(LayerTest, Rfc6026_7_1_AcceptedPassesAcksAndMore2xxUntilTimerL) {
  for (const Source& source : {udp_, tcp_}) {
    const SlotId id = open(1, Method::Invite, source);
    EXPECT_TRUE(respond(id, 200, "200").sent);
    EXPECT_TRUE(layer_->ack_received(id, now_, outbox_).to_user);
    EXPECT_TRUE(respond(id, 200, "200").sent) << "repeated by the user agent server";
    sent();
    layer_->request_repeated(id, now_, outbox_);
    EXPECT_FALSE(respond(id, 486, "486").sent);
    EXPECT_EQ(sent(), Texts{}) << "absorbed in silence";
    const auto events = run(40s);
    expect_about(end_of(events), 32s);
    EXPECT_FALSE(events.back().outcome.timeout);
  }
}

TEST_F(LayerTest, Rfc3261_17_2_2_NonInviteAbsorbsUntilTimerJ) {
  const SlotId id = open(1, Method::Options, udp_);
  EXPECT_TRUE(outcome_.to_user);
  EXPECT_FALSE(outcome_.send_100);
  layer_->request_repeated(id, now_, outbox_);
  EXPECT_EQ(sent(), Texts{}) << "nothing to repeat yet";
  EXPECT_FALSE(respond(id, 180, "180").sent) << "RFC 4320: no provisional";
  EXPECT_TRUE(respond(id, 200, "200").sent);
  EXPECT_FALSE(respond(id, 200, "again").sent);
  layer_->request_repeated(id, now_, outbox_);
  EXPECT_EQ(sent(), (Texts{"200", "200"}));
  expect_about(end_of(run(40s)), 32s);
  EXPECT_TRUE(respond(open(2, Method::Options, tcp_), 200, "200").terminated) << "J is zero";
  EXPECT_EQ(wheel_.size(), 0u);
}

TEST_F(LayerTest, Rfc4320_4_1_TheLate100ComesAfterThreeAndAHalfSeconds) {
  const SlotId id = open(1, Method::Options, udp_);
  auto events = run(10s);
  ASSERT_EQ(events.size(), 1u);
  expect_about(events[0].at, 3'500ms);
  EXPECT_TRUE(events[0].outcome.send_100);
  layer_->send_100(id, message("100"), outbox_);
  layer_->request_repeated(id, now_, outbox_);
  EXPECT_EQ(sent(), (Texts{"100", "100"}));
  respond(id, 200, "200");
  EXPECT_EQ(sent(), Texts{"200"});
}

TEST_F(LayerTest, Rfc4320_4_2_AbandonedGoesWithoutAWord) {
  const SlotId id = open(1, Method::Options, udp_);
  layer_->abandon(id, now_, outbox_);
  EXPECT_EQ(layer_->server(id), nullptr);
  EXPECT_EQ(sent(), Texts{});
  EXPECT_EQ(wheel_.size(), 0u);
  const SlotId invite = open(2, Method::Invite, udp_);
  layer_->abandon(invite, now_, outbox_);
  EXPECT_NE(layer_->server(invite), nullptr) << "an INVITE always has an answer";
}

TEST_F(LayerTest, AFullTableRefusesAndFinishedOnesMakeRoomOldestFirst) {
  std::vector<SlotId> ids;
  for (std::uint64_t n = 1; n <= 4; ++n) ids.push_back(open(n, Method::Options, udp_));
  EXPECT_FALSE(open(5, Method::Options, udp_));
  EXPECT_EQ(counters_->transactions_refused.value(), 1u);
  respond(ids[2], 200, "200");
  respond(ids[0], 200, "200");
  EXPECT_EQ(layer_->live_servers(), 2u);
  EXPECT_TRUE(open(5, Method::Options, udp_));
  EXPECT_FALSE(layer_->find_server(key(3))) << "the one that finished first";
  EXPECT_TRUE(layer_->find_server(key(1)));
  EXPECT_TRUE(open(6, Method::Options, udp_));
  EXPECT_FALSE(layer_->find_server(key(1)));
  EXPECT_FALSE(open(7, Method::Options, udp_));
  EXPECT_EQ(counters_->transactions_cut_short.value(), 2u);
  EXPECT_EQ(layer_->server(ids[2]), nullptr) << "an old id finds nothing";
  for (const std::uint64_t n : {2u, 4u, 5u, 6u}) EXPECT_TRUE(layer_->find_server(key(n))) << n;
}

TEST_F(LayerTest, FinishedOnesThatEndByThemselvesLeaveTheListInOrder) {
  const SlotId first = open(1, Method::Invite, tcp_), second = open(2, Method::Invite, tcp_);
  const SlotId third = open(3, Method::Invite, tcp_);
  open(4, Method::Invite, tcp_);
  for (const SlotId id : {first, second, third}) respond(id, 486, "486");
  EXPECT_TRUE(layer_->ack_received(second, now_, outbox_).terminated);  // from the middle
  EXPECT_TRUE(open(5, Method::Invite, tcp_));                           // its place
  EXPECT_TRUE(open(6, Method::Invite, tcp_));
  EXPECT_EQ(layer_->server(first), nullptr);
  EXPECT_TRUE(layer_->ack_received(third, now_, outbox_).terminated);
  EXPECT_EQ(layer_->live_servers(), 3u);
  EXPECT_EQ(layer_->servers(), 3u);
}

TEST_F(LayerTest, Rfc3261_17_1_1_TimersAAndBOverUdp) {
  const SlotId id = start(Method::Invite, target(Transport::Udp), "INVITE");
  EXPECT_EQ(sent(), Texts{"INVITE"});
  const auto events = run(40s);
  std::vector<int> times;
  for (const Event& event : events) {
    if (event.sends != 0) times.push_back(static_cast<int>(event.at / 50ms) * 50);
  }
  EXPECT_EQ(times, (std::vector<int>{500, 1500, 3500, 7500, 15500, 31500}));
  EXPECT_TRUE(events.back().outcome.timeout);
  expect_about(end_of(events), 32s);
  EXPECT_EQ(counters_->retransmissions_sent.value(), 6u);
  EXPECT_EQ(layer_->client(id), nullptr);
  EXPECT_EQ(wheel_.size(), 0u);
}

TEST_F(LayerTest, Rfc3261_17_1_1_AProvisionalStopsAAndTimerDAbsorbs) {
  const SlotId id = start(Method::Invite, target(Transport::Udp), "INVITE");
  EXPECT_TRUE(layer_->response_received(id, 180, now_, outbox_).to_user);
  EXPECT_TRUE(layer_->client(id)->provisional);
  sent();
  EXPECT_EQ(send_times(60s), std::vector<int>{}) << "timer C is the user's";
  const Outcome outcome = layer_->response_received(id, 486, now_, outbox_);
  EXPECT_TRUE(outcome.to_user);
  EXPECT_TRUE(outcome.send_ack);
  layer_->send_ack(id, message("ACK"), outbox_);
  EXPECT_EQ(sent(), Texts{"ACK"});
  const Outcome repeated = layer_->response_received(id, 486, now_, outbox_);
  EXPECT_FALSE(repeated.to_user);
  EXPECT_FALSE(repeated.send_ack) << "the layer has it";
  EXPECT_EQ(sent(), Texts{"ACK"});
  expect_about(end_of(run(40s)), 32s);
}

TEST_F(LayerTest, Rfc6026_7_2_Further2xxPassUntilTimerM) {
  for (const Transport transport : {Transport::Udp, Transport::Tcp}) {
    const SlotId id = start(Method::Invite, target(transport), "INVITE");
    for (int i = 0; i < 3; ++i) {
      const Outcome outcome = layer_->response_received(id, 200, now_, outbox_);
      EXPECT_TRUE(outcome.to_user);
      EXPECT_FALSE(outcome.send_ack);
    }
    EXPECT_FALSE(layer_->response_received(id, 486, now_, outbox_).to_user);
    const auto events = run(40s);
    expect_about(end_of(events), 32s);
    EXPECT_FALSE(events.back().outcome.timeout);
  }
}

TEST_F(LayerTest, Rfc3261_17_1_2_TimersEAndFOverUdp) {
  start(Method::Options, target(Transport::Udp), "OPTIONS");
  const auto events = run(40s);
  std::vector<int> times;
  for (const Event& event : events) {
    if (event.sends != 0) times.push_back(static_cast<int>(event.at / 50ms) * 50);
  }
  EXPECT_EQ(times,
            (std::vector<int>{500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500}));
  EXPECT_TRUE(events.back().outcome.timeout);
  expect_about(end_of(events), 32s);
}

TEST_F(LayerTest, Rfc3261_17_1_2_TimerKAbsorbsOverUdpAndIsZeroOverTcp) {
  const SlotId id = start(Method::Options, target(Transport::Udp), "OPTIONS");
  EXPECT_TRUE(layer_->response_received(id, 200, now_, outbox_).to_user);
  EXPECT_FALSE(layer_->response_received(id, 200, now_, outbox_).to_user);
  expect_about(end_of(run(40s)), 5s);
  const SlotId stream = start(Method::Options, target(Transport::Tcp), "OPTIONS");
  EXPECT_EQ(wheel_.size(), 1u) << "F only";
  const Outcome outcome = layer_->response_received(stream, 200, now_, outbox_);
  EXPECT_TRUE(outcome.to_user);
  EXPECT_TRUE(outcome.terminated);
  layer_->release_client(stream);
  EXPECT_EQ(wheel_.size(), 0u);
}

TEST_F(LayerTest, Rfc3261_17_1_3_TheBranchFindsItsTransactionAndNoOther) {
  const SlotId id = start(Method::Invite, target(Transport::Udp), "INVITE");
  const sip::Branch branch = layer_->branch_of(id);
  EXPECT_EQ(branch.shard, 3u);
  EXPECT_EQ(branch.loop_hash, 0x1234u);
  EXPECT_EQ(layer_->find_client(branch, Method::Invite), id);
  EXPECT_FALSE(layer_->find_client(branch, Method::Bye));
  sip::Branch other = branch;
  other.loop_hash ^= 1;
  EXPECT_FALSE(layer_->find_client(other, Method::Invite));
  other = branch;
  ++other.generation;
  EXPECT_FALSE(layer_->find_client(other, Method::Invite));
  other = branch;
  other.slot = 0xff'ffff;
  EXPECT_FALSE(layer_->find_client(other, Method::Invite));

  layer_->release_client(id);
  const SlotId next = start(Method::Invite, target(Transport::Udp), "INVITE");
  EXPECT_EQ(next.slot, id.slot);
  EXPECT_FALSE(layer_->find_client(branch, Method::Invite)) << "a stale branch finds nothing";
  layer_->release_client(id);
  EXPECT_NE(layer_->client(next), nullptr) << "nor does a stale id release";
}

TEST_F(LayerTest, Rfc3261_9_1_TheResponseOfACancelFindsTheCancel) {
  const SlotId invite = start(Method::Invite, target(Transport::Udp), "INVITE");
  const sip::Branch branch = layer_->branch_of(invite);
  EXPECT_FALSE(layer_->find_client(branch, Method::Cancel)) << "none was sent";
  const SlotId cancel = start(Method::Cancel, target(Transport::Udp), "CANCEL");
  layer_->client(invite)->cancel = cancel;
  EXPECT_EQ(layer_->find_client(branch, Method::Cancel), cancel);
  EXPECT_EQ(layer_->find_client(branch, Method::Invite), invite);
  layer_->release_client(cancel);
  EXPECT_FALSE(layer_->find_client(branch, Method::Cancel));
}

TEST_F(LayerTest, Rfc3261_17_1_4_AFailedSendIsReportedAndEndsTheClient) {
  for (const Method method : {Method::Invite, Method::Options}) {
    const SlotId id = start(method, target(Transport::Udp), "request");
    const Outcome outcome = layer_->client_failed(id, now_, outbox_);
    EXPECT_TRUE(outcome.transport_error);
    EXPECT_TRUE(outcome.terminated);
    ASSERT_NE(layer_->client(id), nullptr) << "its owner reads it first";
    layer_->release_client(id);
    layer_->release_client(id);
    EXPECT_EQ(wheel_.size(), 0u);
  }
  EXPECT_EQ(counters_->transport_errors.value(), 2u);
}

TEST_F(LayerTest, AnAnsweredNonInviteGivesItsRequestBackAndMakesRoom) {
  std::vector<SlotId> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(start(Method::Options, target(Transport::Udp), "x"));
  static_cast<void>(layer_->response_received(ids[2], 200, now_, outbox_));
  ASSERT_NE(layer_->client(ids[2]), nullptr) << "timer K runs";
  EXPECT_FALSE(layer_->client(ids[2])->request);
  EXPECT_TRUE(layer_->reserve_client(Method::Options, target(Transport::Udp), 0));
  EXPECT_EQ(layer_->client(ids[2]), nullptr);
  EXPECT_EQ(counters_->transactions_cut_short.value(), 1u);
  EXPECT_FALSE(layer_->reserve_client(Method::Options, target(Transport::Udp), 0));
}

TEST_F(LayerTest, ClientsAreBounded) {
  std::vector<SlotId> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(start(Method::Options, target(Transport::Tcp), "x"));
  EXPECT_FALSE(layer_->reserve_client(Method::Options, target(Transport::Tcp), 0));
  EXPECT_EQ(counters_->transactions_refused.value(), 1u);
  layer_->release_client(ids[1]);
  EXPECT_TRUE(layer_->reserve_client(Method::Options, target(Transport::Tcp), 0));
}

TEST_F(LayerTest, RequestsTakeTheWayOfTheirTarget) {
  Target way = target(Transport::Tls);
  config_.next_hops.resize(1);
  config_.next_hops[0].host = "pbx.example.org";
  way.next_hop = 0;
  way.listener = 4;
  start(Method::Options, way, "x");
  EXPECT_EQ(outbox_.items().back().kind, Output::Kind::SendConnect);
  EXPECT_EQ(outbox_.items().back().name, "pbx.example.org");
  EXPECT_EQ(outbox_.items().back().next_hop, 0u);
  EXPECT_EQ(outbox_.items().back().listener, 4u);
  EXPECT_EQ(subject_of(outbox_.items().back().ticket), Subject::ClientSend);
  way.flow = FlowId(3, 1, 1);
  start(Method::Options, way, "x");
  EXPECT_EQ(outbox_.items().back().kind, Output::Kind::SendFlow);
  EXPECT_EQ(outbox_.items().back().flow, way.flow);
  start(Method::Options, target(Transport::Udp), "x");
  EXPECT_EQ(outbox_.items().back().kind, Output::Kind::SendDatagram);
}

TEST_F(LayerTest, StatesAreCountedAndComeBackToZero) {
  const SlotId invite = open(1, Method::Invite, udp_);
  open(2, Method::Options, udp_);
  EXPECT_EQ(counters_->invite_server_states[0].value(), 1u);
  EXPECT_EQ(counters_->server_states[0].value(), 1u);
  respond(invite, 486, "486");
  EXPECT_EQ(counters_->invite_server_states[0].value(), 0u);
  EXPECT_EQ(counters_->invite_server_states[1].value(), 1u);
  layer_->abandon(layer_->find_server(key(2)), now_, outbox_);
  start(Method::Invite, target(Transport::Udp), "INVITE");
  start(Method::Options, target(Transport::Udp), "OPTIONS");
  run(100s);
  for (const auto* states : {&counters_->invite_server_states, &counters_->server_states,
                             &counters_->invite_client_states, &counters_->client_states}) {
    for (const Counter& count : *states) EXPECT_EQ(count.value(), 0u);
  }
  EXPECT_EQ(counters_->server_transactions.value(), 0u);
  EXPECT_EQ(counters_->client_transactions.value(), 0u);
}

// A deadline of a transaction that is gone may still be on its way.
TEST_F(LayerTest, ADeadlineOfAFreedTransactionFindsNothing) {
  const SlotId id = start(Method::Options, target(Transport::Udp), "OPTIONS");
  layer_->release_client(id);
  sent();
  SlotId found;
  for (const Subject subject : {Subject::ServerRetransmit, Subject::ServerLifetime,
                                Subject::ClientRetransmit, Subject::ClientLifetime}) {
    const Outcome outcome = layer_->expire(subject_value(subject, id), now_, outbox_, found);
    EXPECT_FALSE(outcome.timeout || outcome.terminated || outcome.to_user);
    EXPECT_EQ(found, id);
  }
  EXPECT_EQ(sent(), Texts{});
}

}  // namespace
}  // namespace ringway
