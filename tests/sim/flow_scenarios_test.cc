#include "tests/sim/scenario.h"

// Connections that die and come back, NATs, and a gateway that restarts or drains.

namespace ringway::sim {
namespace {

TEST_F(Scenario, CallToABrowserThatIsGoneFailsAtOnce_Rfc5626_5_3) {
  make();
  Device& browser = arrive(kBrowser);
  browser.disconnect(Device::Leave::Reset);
  world->run(1s);
  const Instant asked = world->clock.now();
  UserAgent& phone = world->pbx().extension("x1");
  EXPECT_EQ(status_of([&](auto done) { phone.call("sip:u0@example.org", done); }), 430);
  EXPECT_LT(world->clock.now() - asked, 1s);
}

TEST_F(Scenario, BrowserThatComesBackWithinTheGraceGetsItsBye) {
  make();
  Device& browser = arrive(kBrowser);
  const int number = call(browser.agent(), "sip:x1@example.org");
  browser.disconnect(Device::Leave::Reset);
  world->run(1s);
  UserAgent& phone = world->pbx().extension("x1");
  int status = -1;
  phone.hang_up(0, [&](int final) { status = final; });
  world->run(2s);
  EXPECT_EQ(status, -1);  // it waits
  arrive(browser);
  ASSERT_TRUE(world->run_until([&] { return status >= 0; }));
  EXPECT_EQ(status, 200);
  EXPECT_EQ(browser.agent().at(number).state, State::Over);
}

TEST_F(Scenario, EndOfTheGraceReleasesTheFarEndAndTheMedia) {
  for (const Device::Leave how :
       {Device::Leave::Close, Device::Leave::Reset, Device::Leave::Silent}) {
    make();
    Device& browser = arrive(kBrowser);
    call(browser.agent(), "sip:x1@example.org");
    UserAgent& phone = world->pbx().extension("x1");
    browser.disconnect(how);
    ASSERT_TRUE(world->run_until([&] { return phone.at(0).state == State::Over; }));
    EXPECT_EQ(phone.received["BYE"], 1);
    world->run(1s);
    EXPECT_TRUE(world->relay->sessions.empty());
    TearDown();
  }
}

TEST_F(Scenario, EndOfTheGraceReachesTheOtherBrowserThroughBothPasses) {
  for (const bool record_routes : {true, false}) {
    for (const int who : {0, 1}) {
      make();
      world->pbx().record_routes = record_routes;
      arrive(kBrowser);
      arrive(kBrowser);
      Device& gone = *world->devices[static_cast<std::size_t>(who)];
      UserAgent& other = world->devices[static_cast<std::size_t>(1 - who)]->agent();
      call(world->devices[0]->agent(), "sip:u1@example.org");
      gone.disconnect(Device::Leave::Reset);
      ASSERT_TRUE(world->run_until([&] { return other.at(0).state == State::Over; }))
          << record_routes << who;
      EXPECT_EQ(other.received["BYE"], 1);
      world->run(1s);
      EXPECT_TRUE(world->relay->sessions.empty());
      TearDown();
    }
  }
}

TEST_F(Scenario, CallsOfABrowserThatUnregisteredEndWithItsConnection) {
  World::Settings settings;
  settings.shards = 3;
  make(settings);
  Device& browser = arrive(kBrowser);
  // From the network side: the call is kept by the shard that the INVITE came to, which need not
  // be the browser's.
  UserAgent& phone = world->pbx().extension("x1");
  UserAgent& other = world->pbx().extension("x2");
  call(phone, "sip:u0@example.org");
  call(browser.agent(), "sip:x2@example.org");
  // On a newer connection than the calls were made on.
  browser.disconnect(Device::Leave::Reset);
  arrive(browser);
  EXPECT_EQ(status_of([&](auto done) { browser.agent().register_for(0, done); }), 200);
  world->run(20s);
  EXPECT_EQ(phone.at(0).state, State::Up);
  browser.disconnect(Device::Leave::Reset);
  ASSERT_TRUE(world->run_until(
      [&] { return phone.at(0).state == State::Over && other.at(0).state == State::Over; }));
}

TEST_F(Scenario, RegistrationWhoseConnectionEndedMeanwhileBindsNothing) {
  make();
  Device& phone = world->add_device(kTlsPhone);
  ASSERT_TRUE(world->run_until([&, asked = false]() mutable {
    if (!std::exchange(asked, true)) {
      phone.connect([&](bool) { phone.agent().register_for(300); });
    }
    return world->gateway().total(&Counters::client_transactions) != 0;
  }));
  world->pbx().mode = Pbx::Mode::Silent;  // its answer comes to the repetition
  phone.disconnect(Device::Leave::Reset);
  world->run(200ms);
  world->pbx().mode = Pbx::Mode::Serves;
  world->run(3s);
  UserAgent& caller = world->pbx().extension("x1");
  EXPECT_EQ(status_of([&](auto done) { caller.call("sip:u0@example.org", done); }), 430);
}

TEST_F(Scenario, RebindingNatIsFollowedAfterTheNextRegister) {
  make();
  Device& phone = arrive(kUdpPhone);
  UserAgent& caller = world->pbx().extension("x1");
  const int number = call(caller, "sip:u0@example.org");
  phone.rebind_nat();
  EXPECT_EQ(status_of([&](auto done) { phone.agent().register_for(300, done); }), 200);
  EXPECT_EQ(status_of([&](auto done) { caller.request_within(number, "INFO", done); }), 200);
  call(caller, "sip:u0@example.org");
}

TEST_F(Scenario, RestartedGatewayRoutesTheByeOfAnOldCall) {
  make();
  Device& browser = arrive(kBrowser);
  const int number = call(browser.agent(), "sip:x1@example.org");
  world->restart_gateway();
  world->run(500ms);
  arrive(browser);
  EXPECT_EQ(status_of([&](auto done) { browser.agent().hang_up(number, done); }), 200);
  EXPECT_EQ(world->pbx().extension("x1").at(0).state, State::Over);
  world->run(1s);
  EXPECT_TRUE(world->relay->sessions.empty());
}

TEST_F(Scenario, RestartedGatewayKeepsAByeUntilTheBrowserIsBack) {
  make();
  Device& browser = arrive(kBrowser);
  const int number = call(browser.agent(), "sip:x1@example.org");
  world->restart_gateway();
  world->run(500ms);
  int status = -1;
  world->pbx().extension("x1").hang_up(0, [&](int final) { status = final; });
  world->run(2s);
  arrive(browser);
  ASSERT_TRUE(world->run_until([&] { return status >= 0; }));
  EXPECT_EQ(status, 200);
  EXPECT_EQ(browser.agent().at(number).state, State::Over);
}

TEST_F(Scenario, DrainingGatewayFinishesWhatItHasAndSaysGoodbye) {
  make();
  Device& browser = arrive(kBrowser);
  UserAgent& phone = world->pbx().extension("x1");
  phone.answers = [](const Message&) { return Answer{200, true, 3s, true}; };
  int status = -1;
  browser.agent().call("sip:x1@example.org", [&](int final) { status = final; });
  world->run(1s);
  world->gateway().drain();
  EXPECT_EQ(status_of([&](auto done) { browser.agent().call("sip:x2@example.org", done); }), 503);
  ASSERT_TRUE(world->run_until([&] { return status >= 0; }));
  EXPECT_EQ(status, 200);
  ASSERT_TRUE(world->run_until([&] { return !browser.is_connected(); }));
}

TEST_F(Scenario, MessageCutAtEveryByteLeavesNothingBehind) {
  for (std::uint64_t bytes = 1; bytes < 1'600; bytes += 37) {
    make();
    Device& browser = arrive(kBrowser);
    browser.cut_after(bytes, bytes % 2 == 0);
    browser.agent().call("sip:x1@example.org");
    world->run(5s);
    TearDown();
    ASSERT_FALSE(HasFailure()) << "cut after " << bytes;
  }
}

}  // namespace
}  // namespace ringway::sim
