#include "tests/sim/scenario.h"

// Calls: from either side, cancelled, refused, failing over.

namespace ringway::sim {
namespace {

TEST_F(Scenario, BrowserCallsPhoneWithMedia) {
  make();
  UserAgent& browser = arrive(kBrowser).agent();
  UserAgent& phone = world->pbx().extension("x1");
  const int number = call(browser, "sip:x1@example.org");
  EXPECT_NE(browser.at(number).last_sdp.find("SAVPF"), std::string::npos);
  EXPECT_EQ(phone.at(0).last_sdp.find("SAVPF"), std::string::npos);
  EXPECT_EQ(world->relay->sessions.size(), 1u);
  EXPECT_EQ(status_of([&](auto done) { browser.hang_up(number, done); }), 200);
  world->run(1s);
  EXPECT_EQ(phone.at(0).state, State::Over);
  EXPECT_TRUE(world->relay->sessions.empty());
}

TEST_F(Scenario, PhoneCallsBrowserByPathAndHangsUp) {
  make();
  UserAgent& browser = arrive(kBrowser).agent();
  UserAgent& phone = world->pbx().extension("x1");
  const int number = call(phone, "sip:u0@example.org");
  EXPECT_NE(browser.at(0).last_sdp.find("SAVPF"), std::string::npos);
  EXPECT_EQ(status_of([&](auto done) { phone.hang_up(number, done); }), 200);
  EXPECT_EQ(browser.at(0).state, State::Over);
  world->run(1s);
  EXPECT_TRUE(world->relay->sessions.empty());
}

TEST_F(Scenario, PhoneCallsBrowserByContactAlias) {
  World::Settings settings;
  settings.config.next_hops.front().binding = BindingMode::Contact;
  make(settings);
  world->pbx().knows_path = false;
  UserAgent& browser = arrive(kBrowser).agent();
  UserAgent& phone = world->pbx().extension("x1");
  const int number = call(phone, "sip:u0@example.org");
  EXPECT_EQ(status_of([&](auto done) { browser.hang_up(0, done); }), 200);
  EXPECT_EQ(phone.at(number).state, State::Over);
}

TEST_F(Scenario, TlsAndUdpPhonesCallEachOtherWithoutTheRelay) {
  make();
  UserAgent& one = arrive(kTlsPhone).agent();
  UserAgent& other = arrive(kUdpPhone).agent();
  const int number = call(one, "sip:u1@example.org");
  EXPECT_EQ(world->relay->offers, 0);
  EXPECT_EQ(status_of([&](auto done) { other.hang_up(0, done); }), 200);
  EXPECT_EQ(one.at(number).state, State::Over);
}

TEST_F(Scenario, BrowserCallsBrowserInTwoMediaSessions) {
  make();
  UserAgent& one = arrive(kBrowser).agent();
  UserAgent& other = arrive(kBrowser).agent();
  const int number = call(one, "sip:u1@example.org");
  EXPECT_EQ(world->relay->sessions.size(), 2u);
  EXPECT_EQ(status_of([&](auto done) { one.request_within(number, "INVITE", done); }), 200);
  EXPECT_EQ(world->relay->sessions.size(), 2u);
  EXPECT_EQ(status_of([&](auto done) { other.hang_up(0, done); }), 200);
  world->run(1s);
  EXPECT_EQ(one.at(number).state, State::Over);
  EXPECT_TRUE(world->relay->sessions.empty());
}

// The Route set then names us twice in a row: by the pair of each pass.
TEST_F(Scenario, BrowserCallsBrowserByANextHopThatDoesNotRecordRoute) {
  make();
  world->pbx().record_routes = false;
  UserAgent& one = arrive(kBrowser).agent();
  UserAgent& other = arrive(kBrowser).agent();
  const int number = call(one, "sip:u1@example.org");
  EXPECT_EQ(status_of([&](auto done) { one.request_within(number, "INVITE", done); }), 200);
  EXPECT_EQ(status_of([&](auto done) { other.hang_up(0, done); }), 200);
  world->run(1s);
  EXPECT_EQ(one.at(number).state, State::Over);
  EXPECT_TRUE(world->relay->sessions.empty());
}

TEST_F(Scenario, CancelBeforeAnyAnswerGoesOutWithTheFirst) {
  make();
  UserAgent& browser = arrive(kBrowser).agent();
  UserAgent& phone = world->pbx().extension("x1");
  phone.answers = [](const Message&) { return Answer{200, true, 4s, false}; };
  int status = -1;
  const int number = browser.call("sip:x1@example.org", [&](int final) { status = final; });
  world->run(40ms);
  browser.cancel(number);
  ASSERT_TRUE(world->run_until([&] { return status >= 0; }));
  EXPECT_EQ(status, 487);
  EXPECT_EQ(phone.received["CANCEL"], 1);
  EXPECT_EQ(phone.at(0).state, State::Over);
}

TEST_F(Scenario, CancelThatCrossesTheAnswerEndsWithABye) {
  make();
  UserAgent& browser = arrive(kBrowser).agent();
  UserAgent& phone = world->pbx().extension("x1");
  const int number = browser.call("sip:x1@example.org");
  ASSERT_TRUE(
      world->run_until([&] { return !phone.calls().empty() && phone.at(0).state == State::Up; }));
  browser.cancel(number);
  ASSERT_TRUE(world->run_until([&] { return phone.at(0).state == State::Over; }));
  EXPECT_EQ(browser.at(number).status, 200);
  EXPECT_EQ(phone.received["BYE"], 1);
}

TEST_F(Scenario, CalleeThatStaysSilentToItsCancelIsForgotten_Rfc3261_9_1) {
  make();
  UserAgent& browser = arrive(kBrowser).agent();
  UserAgent& phone = world->pbx().extension("x1");
  phone.answers = [](const Message&) { return Answer{0, true, 100ms, true}; };
  int status = -1;
  const int number = browser.call("sip:x1@example.org", [&](int final) { status = final; });
  ASSERT_TRUE(world->run_until([&] { return browser.at(number).state == State::Ringing; }));
  world->pbx().mode = Pbx::Mode::Silent;
  browser.cancel(number);
  ASSERT_TRUE(world->run_until([&] { return status >= 0; }));
  EXPECT_EQ(status, 487);
  // Nothing waits for it any more, without the next hop having said another word.
  world->run(64 * 500ms);
  for (std::size_t i = 0; i < world->gateway().shards(); ++i) {
    EXPECT_EQ(world->gateway().shard(i).core().occupancy().client_transactions, 0u);
  }
}

TEST_F(Scenario, ChallengedCallGoesOnInOneMediaSession) {
  make();
  world->pbx().challenges = true;
  UserAgent& browser = arrive(kBrowser).agent();
  const int number = call(browser, "sip:x1@example.org");
  EXPECT_EQ(world->relay->sessions.size(), 1u);
  EXPECT_EQ(status_of([&](auto done) { browser.hang_up(number, done); }), 200);
}

TEST_F(Scenario, RefusalsReachTheCaller) {
  make();
  UserAgent& browser = arrive(kBrowser).agent();
  UserAgent& phone = world->pbx().extension("x1");
  struct Case {
    int said, heard;
  };
  for (const Case& refusal : {Case{486, 486}, Case{603, 603}, Case{302, 302}, Case{503, 500}}) {
    phone.answers = [&](const Message&) { return Answer{refusal.said, false, 50ms, true}; };
    EXPECT_EQ(status_of([&](auto done) { browser.call("sip:x1@example.org", done); }),
              refusal.heard);
  }
  EXPECT_EQ(status_of([&](auto done) { browser.call("sip:nobody@example.org", done); }), 404);
  world->run(1s);
  EXPECT_TRUE(world->relay->sessions.empty());
}

TEST_F(Scenario, RelayThatIsGoneGives503) {
  make();
  UserAgent& browser = arrive(kBrowser).agent();
  world->relay->serve(false);
  world->run(100ms);
  EXPECT_EQ(status_of([&](auto done) { browser.call("sip:x1@example.org", done); }), 503);
  EXPECT_TRUE(world->pbx().extension("x1").calls().empty());
  world->relay->serve(true);
  world->run(3s);
  call(browser, "sip:x1@example.org");
}

TEST_F(Scenario, ByeOfAnEarlyDialogEndsTheInviteWithIt_Rfc3261_15) {
  make();
  UserAgent& browser = arrive(kBrowser).agent();
  UserAgent& phone = world->pbx().extension("x1");
  phone.answers = [](const Message&) { return Answer{0, true, 100ms, true}; };
  int status = -1;
  const int number = browser.call("sip:x1@example.org", [&](int final) { status = final; });
  ASSERT_TRUE(world->run_until([&] { return !browser.at(number).remote_tag.empty(); }));
  EXPECT_EQ(status_of([&](auto done) { browser.hang_up(number, done); }), 200);
  ASSERT_TRUE(world->run_until([&] { return status >= 0; }));
  EXPECT_EQ(status, 487);
  EXPECT_TRUE(world->relay->sessions.empty());
}

TEST_F(Scenario, RelayThatRefusesTheAnswerOfABrowserEndsBothPasses_Rfc3261_13_3_1_4) {
  for (const bool record_routes : {true, false}) {
    make();
    world->pbx().record_routes = record_routes;
    UserAgent& one = arrive(kBrowser).agent();
    UserAgent& other = arrive(kBrowser).agent();
    int status = -1;
    const int number = one.call("sip:u1@example.org", [&](int final) { status = final; });
    ASSERT_TRUE(world->run_until([&] { return one.at(number).state == State::Ringing; }));
    world->relay->error = 1;
    ASSERT_TRUE(world->run_until([&] { return status >= 0; }));
    EXPECT_EQ(status, 500);
    // Nobody sends it an ACK: it hangs up by itself (13.3.1.4).
    ASSERT_TRUE(world->run_until([&] { return other.at(0).state == State::Over; }));
    EXPECT_EQ(one.received["BYE"], 0);
    EXPECT_TRUE(world->relay->sessions.empty());
    TearDown();
  }
}

TEST_F(Scenario, BusyNextHopIsLeftForTheSecond) {
  World::Settings settings;
  settings.next_hops = 2;
  make(settings);
  UserAgent& browser = arrive(kBrowser).agent();
  world->pbx(0).mode = Pbx::Mode::Busy;
  call(browser, "sip:x1@example.org");
  EXPECT_EQ(world->pbx(1).extension("x1").received["INVITE"], 1);
}

TEST_F(Scenario, SilentNextHopIsLeftForTheSecond) {
  World::Settings settings;
  settings.next_hops = 2;
  make(settings);
  UserAgent& browser = arrive(kBrowser).agent();
  world->pbx(0).mode = Pbx::Mode::Silent;
  call(browser, "sip:x1@example.org");
  EXPECT_EQ(world->pbx(1).extension("x1").received["INVITE"], 1);
}

TEST_F(Scenario, NextHopThatOnlyEverTriesIsEndedByTimerC_Rfc3261_16_8) {
  World::Settings settings;
  settings.next_hops = 2;
  make(settings);
  UserAgent& browser = arrive(kBrowser).agent();
  UserAgent& phone = world->pbx().extension("x1");
  phone.answers = [](const Message&) { return Answer{0, false, 100ms, true}; };
  int status = -1;
  browser.call("sip:x1@example.org", [&](int final) { status = final; });
  ASSERT_TRUE(world->run_until([&] { return status >= 0; }, 230s));
  EXPECT_EQ(status, 487);
  EXPECT_EQ(phone.received["CANCEL"], 1);
}

TEST_F(Scenario, CallWithoutAPlaceForItsMediaIsRefused) {
  World::Settings settings;
  settings.shards = 1;
  settings.config.limits.dialogs = 1;
  make(settings);
  UserAgent& browser = arrive(kBrowser).agent();
  call(browser, "sip:x1@example.org");
  EXPECT_EQ(status_of([&](auto done) { browser.call("sip:x2@example.org", done); }), 503);
  EXPECT_TRUE(world->pbx().extension("x2").calls().empty());
}

}  // namespace
}  // namespace ringway::sim
