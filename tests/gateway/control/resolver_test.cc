#include "gateway/control/resolver.h"

#include <gtest/gtest.h>

#include <optional>

#include "tests/gateway/control/name_server.h"

namespace ringway::test {
namespace {

using Outcome = Resolution::Outcome;

class ResolverTest : public testing::Test {
 protected:
  ResolverTest() {
    uv_loop_init(&loop_);
    server_ = std::make_unique<NameServer>(&loop_);
    auto opened = Resolver::open(&loop_, {server_->address()});
    EXPECT_TRUE(opened) << (opened ? "" : opened.error());
    resolver_ = std::move(*opened);
  }
  ~ResolverTest() override {
    server_->close();
    resolver_->close();
    uv_run(&loop_, UV_RUN_DEFAULT);
    EXPECT_EQ(uv_loop_close(&loop_), 0) << "handles are left";
  }
  Resolution ask(const Question& question) {
    std::optional<Resolution> answer;
    resolver_->resolve(question, [&](const Resolution& resolution) { answer = resolution; });
    for (const Patience patience; !answer && patience.left();) turn();
    EXPECT_TRUE(answer.has_value()) << "no answer for " << question.host;
    return answer.value_or(Resolution{});
  }
  void turn() {
    // A timer keeps the loop from waiting for ever on a lost event.
    uv_timer_t timer;
    uv_timer_init(&loop_, &timer);
    uv_timer_start(
        &timer, [](uv_timer_t*) {}, 100, 0);
    uv_run(&loop_, UV_RUN_ONCE);
    uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
    uv_run(&loop_, UV_RUN_NOWAIT);
  }
  static Question question(const std::string& host) {
    Question asked;
    asked.host = host;
    return asked;
  }
  static std::string text(const ResolvedTarget& target) {
    std::uint8_t memory[kEndpointTextMax];
    Writer writer(memory);
    write_endpoint(target.endpoint, writer);
    return std::string(to_text(target.transport)) + ":" + std::string(writer.written_text());
  }
  static std::vector<std::string> texts(const Resolution& resolution) {
    std::vector<std::string> list;
    for (const ResolvedTarget& target : resolution.targets) list.push_back(text(target));
    return list;
  }
  using Texts = std::vector<std::string>;

  uv_loop_t loop_{};
  std::unique_ptr<NameServer> server_;
  std::unique_ptr<Resolver> resolver_;
};

TEST_F(ResolverTest, Rfc3263_4_2_ANumericAddressNeedsNoDns) {
  Question asked = question("192.0.2.1");
  EXPECT_EQ(texts(ask(asked)), Texts{"udp:192.0.2.1:5060"});
  asked.secure = true;
  EXPECT_EQ(texts(ask(asked)), Texts{"tls:192.0.2.1:5061"});
  asked.host = "2001:db8::1";
  asked.port = 5070;
  asked.transport = Transport::Tcp;
  asked.transport_given = true;
  EXPECT_EQ(texts(ask(asked)), Texts{"tcp:[2001:db8::1]:5070"});
  EXPECT_TRUE(server_->asked.empty());
}

TEST_F(ResolverTest, Rfc2606_InvalidIsNeverAskedFor) {
  EXPECT_EQ(ask(question("abc.invalid")).outcome, Outcome::NoSuchName);
  EXPECT_TRUE(server_->asked.empty());
}

TEST_F(ResolverTest, Rfc3263_4_2_APortMeansAddressesOnly) {
  server_->address("a.test", "192.0.2.1");
  server_->srv("_sip._udp.a.test", 1, 1, 9'999, "wrong.test");
  Question asked = question("a.test");
  asked.port = 5080;
  const Resolution resolution = ask(asked);
  EXPECT_EQ(resolution.outcome, Outcome::Found);
  EXPECT_EQ(texts(resolution), Texts{"udp:192.0.2.1:5080"});
  EXPECT_EQ(server_->count("_sip._udp.a.test", NameServer::kSrv), 0u);
}

TEST_F(ResolverTest, Rfc3263_4_1_NaptrThenSrvThenAddresses) {
  server_->naptr("a.test", 20, 1, "SIP+D2U", "_sip._udp.a.test");
  server_->naptr("a.test", 10, 1, "SIPS+D2T", "_sips._tcp.a.test");
  server_->srv("_sips._tcp.a.test", 2, 1, 5'071, "second.test");
  server_->srv("_sips._tcp.a.test", 1, 1, 5'061, "first.test");
  server_->srv("_sip._udp.a.test", 1, 1, 5'060, "third.test");
  server_->address("first.test", "192.0.2.1");
  server_->address("second.test", "192.0.2.2");
  server_->address("third.test", "192.0.2.3");
  const Resolution resolution = ask(question("a.test"));
  EXPECT_EQ(texts(resolution),
            (Texts{"tls:192.0.2.1:5061", "tls:192.0.2.2:5071", "udp:192.0.2.3:5060"}));
  EXPECT_EQ(resolution.targets[0].priority, 1u);
  EXPECT_EQ(resolution.targets[1].priority, 2u);
}

TEST_F(ResolverTest, Rfc3263_4_1_ASipsUriFindsOnlyTls) {
  server_->naptr("a.test", 10, 1, "SIP+D2U", "_sip._udp.a.test");
  server_->naptr("a.test", 20, 1, "SIPS+D2T", "_sips._tcp.a.test");
  server_->srv("_sips._tcp.a.test", 1, 1, 5'061, "first.test");
  server_->srv("_sip._udp.a.test", 1, 1, 5'060, "first.test");
  server_->address("first.test", "192.0.2.1");
  Question asked = question("a.test");
  asked.secure = true;
  EXPECT_EQ(texts(ask(asked)), Texts{"tls:192.0.2.1:5061"});
}

TEST_F(ResolverTest, Rfc3263_4_1_WithoutNaptrTheSrvOfEachTransport) {
  server_->srv("_sip._tcp.a.test", 1, 1, 5'062, "first.test");
  server_->address("first.test", "192.0.2.1");
  EXPECT_EQ(texts(ask(question("a.test"))), Texts{"tcp:192.0.2.1:5062"});
}

TEST_F(ResolverTest, Rfc3263_4_2_WithoutSrvTheAddressesOfBothFamilies) {
  server_->address("a.test", "192.0.2.1");
  server_->address("a.test", "2001:db8::1");
  const Texts found = texts(ask(question("a.test")));
  EXPECT_EQ(found.size(), 2u);
  EXPECT_NE(std::find(found.begin(), found.end(), "udp:192.0.2.1:5060"), found.end());
  EXPECT_NE(std::find(found.begin(), found.end(), "udp:[2001:db8::1]:5060"), found.end());
  Question tls = question("a.test");
  tls.transport = Transport::Tls;
  tls.transport_given = true;
  EXPECT_EQ(ask(tls).targets.at(0).endpoint.port, 5061u);
}

TEST_F(ResolverTest, Rfc2782_ATargetOfADotMeansNotHere) {
  server_->srv("_sip._udp.a.test", 1, 1, 5'060, ".");
  server_->address("a.test", "192.0.2.1");
  Question asked = question("a.test");
  asked.transport_given = true;
  EXPECT_EQ(ask(asked).outcome, Outcome::NoSuchName) << "and no fall back to addresses";
}

TEST_F(ResolverTest, AnUnknownNameIsNoSuchName) {
  EXPECT_EQ(ask(question("nobody.test")).outcome, Outcome::NoSuchName);
  EXPECT_EQ(ask(question("nobody.test")).outcome, Outcome::NoSuchName);
  EXPECT_EQ(server_->count("nobody.test", NameServer::kA), 1u) << "remembered for a while";
}

TEST_F(ResolverTest, AnAnswerIsKeptForItsTtlAndNeverBelowFiveSeconds) {
  server_->address("a.test", "192.0.2.1");
  Question asked = question("a.test");
  asked.port = 5060;
  EXPECT_EQ(ask(asked).ttl, 60s);
  EXPECT_EQ(ask(asked).targets.size(), 1u);
  EXPECT_EQ(server_->count("a.test", NameServer::kA), 1u);
  server_->ttl = 0;
  asked.port = 5061;
  EXPECT_EQ(ask(asked).ttl, 5s);
  server_->ttl = 1'000'000;
  asked.port = 5062;
  EXPECT_EQ(ask(asked).ttl, 3'600s);
}

TEST_F(ResolverTest, QuestionsOfTheSameNameWaitForOneLookup) {
  server_->address("a.test", "192.0.2.1");
  Question asked = question("a.test");
  asked.port = 5060;
  int answers = 0;
  for (int i = 0; i < 5; ++i) resolver_->resolve(asked, [&](const Resolution&) { ++answers; });
  ask(asked);
  EXPECT_EQ(answers, 5);
  EXPECT_EQ(server_->count("a.test", NameServer::kA), 1u);
}

// When DNS fails the last good answer serves on; without one the failure is told as such.
TEST_F(ResolverTest, ADeadDnsLeavesTheLastGoodAnswerInUse) {
  server_->address("a.test", "192.0.2.1");
  server_->ttl = 1;
  Question asked = question("a.test");
  asked.port = 5060;
  ASSERT_EQ(ask(asked).outcome, Outcome::Found);
  const std::uint64_t answered = uv_now(&loop_);
  server_->code = 2;  // SERVFAIL
  Question other = asked;
  other.host = "b.test";
  EXPECT_EQ(ask(other).outcome, Outcome::Failed);
  while (uv_now(&loop_) <= answered + 5'000) turn();
  const Resolution stale = ask(asked);
  EXPECT_GE(server_->count("a.test", NameServer::kA), 2u) << "it was asked again";
  EXPECT_EQ(stale.outcome, Outcome::Found);
  EXPECT_EQ(texts(stale), Texts{"udp:192.0.2.1:5060"});
  EXPECT_EQ(stale.ttl, 5s);
}

TEST_F(ResolverTest, Rfc2181_5_2_TheShortestTtlOfAllThatLedThereCounts) {
  server_->naptr("a.test", 10, 10, "SIP+D2U", "_sip._udp.a.test");
  server_->srv("_sip._udp.a.test", 10, 0, 5070, "host.test");
  server_->address("host.test", "192.0.2.1");
  server_->ttl_of = {{NameServer::kNaptr, 500}, {NameServer::kSrv, 30}, {NameServer::kA, 400}};
  EXPECT_EQ(ask(question("a.test")).ttl, 30s);
  server_->naptr("b.test", 10, 10, "SIP+D2U", "_sip._udp.a.test");
  server_->ttl_of = {{NameServer::kNaptr, 20}, {NameServer::kSrv, 300}, {NameServer::kA, 400}};
  EXPECT_EQ(ask(question("b.test")).ttl, 20s);
}

// A failed SRV lookup is no sign that there is no SRV: the known port stays in use.
TEST_F(ResolverTest, AFailedSrvLookupIsNoReasonForTheDefaultPort) {
  server_->srv("_sip._udp.a.test", 10, 0, 5070, "a.test");
  server_->address("a.test", "192.0.2.1");
  server_->ttl = 1;
  Question asked = question("a.test");
  asked.transport_given = true;
  ASSERT_EQ(texts(ask(asked)), Texts{"udp:192.0.2.1:5070"});
  const std::uint64_t answered = uv_now(&loop_);
  server_->dead = NameServer::kSrv;
  while (uv_now(&loop_) <= answered + 5'000) turn();
  const Resolution stale = ask(asked);
  EXPECT_GE(server_->count("_sip._udp.a.test", NameServer::kSrv), 2u) << "it was asked again";
  EXPECT_EQ(texts(stale), Texts{"udp:192.0.2.1:5070"});
  EXPECT_EQ(stale.ttl, 5s);
}

TEST_F(ResolverTest, ASilentDnsFailsAfterItsRetries) {
  server_->silent = true;
  Question asked = question("a.test");
  asked.port = 5060;
  EXPECT_EQ(ask(asked).outcome, Outcome::Failed);
  EXPECT_GE(server_->count("a.test", NameServer::kA), 2u);
}

TEST_F(ResolverTest, ClosingWithALookupUnderWayAnswersNobody) {
  server_->silent = true;
  resolver_->resolve(question("a.test"), [](const Resolution&) { FAIL(); });
  turn();
}

TEST(ResolverOpen, AnAddressThatIsNoneIsNamed) {
  uv_loop_t loop;
  uv_loop_init(&loop);
  const auto opened = Resolver::open(&loop, {"not an address"});
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().find("not an address"), std::string::npos) << opened.error();
  EXPECT_EQ(uv_loop_close(&loop), 0) << "handles are left";
}

}  // namespace
}  // namespace ringway::test
