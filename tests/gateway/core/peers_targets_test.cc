#include "tests/gateway/core/peers_test.h"

// Where a request goes, and where it never goes whatever its sender writes.

namespace ringway {
namespace {

// Listed nowhere, and no dialog names them.
constexpr std::string_view kNowhere[] = {
    "sip:x@20.0.0.8",        "sip:x@20.0.0.8:25;transport=tcp",
    "sip:x@127.0.0.1:6379",  "sip:x@127.0.0.1:6379;transport=tcp",
    "sip:x@192.168.7.7",     "sip:x@pbx.example;maddr=20.0.0.8",
    "sip:x@169.254.1.1;x=y", "sip:+1900@nobody.example"};

class PeersTargetsTest : public PeersTest {};

TEST_F(PeersTargetsTest, Rfc5626_5_3_TheOwnPathLeadsToTheNextHopAndNowhereElse) {
  start();
  const Speaker alice = browser(1, "alice");
  const std::string path = registers(alice);
  for (const std::string_view method : {"INVITE", "MESSAGE", "SET"}) {
    for (const std::string_view uri : kNowhere) {
      const AllSent all = ask(alice, {.method = method, .uri = std::string(uri), .routes = {path}});
      const Sent sent = only(all, method);
      EXPECT_EQ(sent.to, pbx_.to) << method << " " << uri;
      EXPECT_TRUE(values(sent.text, "Route").empty()) << sent.text;
      receive(pbx_, answer(sent, "404 Not Found"));
    }
  }
}

TEST_F(PeersTargetsTest, Rfc5626_5_3_OthersPathsAndContactsAreNobodysTickets) {
  config_.next_hops[2].binding = BindingMode::Contact;
  start();
  const Speaker alice = browser(1, "alice"), mallory = browser(2, "mallory");
  const std::string path = registers(alice);
  registers(mallory);
  const Speaker bob = browser(3, "bob");
  const AllSent all = ask(bob, {.method = "REGISTER",
                                .uri = "sip:other.example",
                                .to = "<sip:bob@other.example>",
                                .lines = "Contact: <" + bob.contact() + ">;expires=300\r\n"});
  const Sent sent = only(all, "REGISTER ");
  std::string alias = value(sent.text, "Contact");
  receive(other_, answer(sent, "200 OK", "Contact: " + alias + "\r\n"));
  ASSERT_NE(alias.find(";rwc="), std::string::npos) << alias;
  alias = alias.substr(1, alias.find('>') - 1);
  // On the access side they are worth nothing, on the network side nothing to strangers.
  for (const std::string_view method : {"INVITE", "MESSAGE"}) {
    expect_refused(mallory, ask(mallory, {.method = method, .routes = {path}}), 403, "a Path");
    expect_refused(mallory, ask(mallory, {.method = method, .uri = alias}), 403, "an alias");
    EXPECT_TRUE(ask(stranger_, {.method = method, .routes = {path}}).empty());
    EXPECT_TRUE(ask(stranger_, {.method = method, .uri = alias}).empty());
    EXPECT_TRUE(ask(stranger_, {.method = method, .uri = alice.contact()}).empty());
  }
  // A next hop reaches whom it has registered, by each of them.
  EXPECT_EQ(only(ask(pbx_, {.method = "MESSAGE", .routes = {path}}), "MESSAGE ").to, alice.to);
  EXPECT_EQ(only(ask(other_, {.method = "MESSAGE", .uri = alias}), "MESSAGE ").to, bob.to);
  const AllSent plain = ask(pbx_, {.method = "MESSAGE", .uri = alice.contact()});
  EXPECT_EQ(only(plain, "MESSAGE ").to, alice.to);
}

TEST_F(PeersTargetsTest, Rfc3261_12_2_1_1_ARecordRouteValueCountsWithAToTagOnly) {
  start();
  const Speaker alice = browser(1, "alice");
  registers(alice);
  const Dialog dialog = call(alice);
  for (const std::string uri : {"sip:bob@10.0.0.9", "sip:x@20.0.0.8"}) {
    for (const auto& routes : {dialog.routes, dialog.far_routes()}) {
      const AllSent all =
          ask(alice, {.uri = uri, .routes = routes, .call_id = dialog.call_id, .cseq = ++cseq_});
      expect_refused(alice, all, 403, uri);
    }
  }
  EXPECT_EQ(only(within(alice, dialog, "INVITE", "sip:bob@10.0.0.9"), "INVITE ").to, pbx_.to);
}

TEST_F(PeersTargetsTest, Rfc3261_12_2_ADialogLeadsToItsFarEndAlone) {
  start();
  const Speaker alice = browser(1, "alice");
  registers(alice);
  const Dialog at_pbx = call(alice), outside = call(alice, "sip:bob@20.0.0.9:5070");
  for (const Dialog& dialog : {at_pbx, outside}) {
    for (const std::string_view method : {"BYE", "INFO", "INVITE"}) {
      for (const std::string_view uri : kNowhere) {
        expect_refused(alice, within(alice, dialog, method, std::string(uri)), 403, uri);
      }
      // Nor by a next hop that is closed to him.
      const AllSent all = within(alice, dialog, method, "sip:bob@10.0.0.12");
      expect_refused(alice, all, 403, "the trunk");
    }
  }
  EXPECT_EQ(only(within(alice, at_pbx, "BYE", "sip:bob@10.0.0.9"), "BYE ").to, pbx_.to);
  EXPECT_EQ(only(within(alice, outside, "BYE", "sip:bob@20.0.0.9:5070"), "BYE ").to,
            "udp 20.0.0.9:5070");
}

// RFC 3261 10.2: a REGISTER is of no dialog. By the tokens of a call it would reach that call's
// next hop, which may be closed to the access side.
TEST_F(PeersTargetsTest, Rfc3261_10_2_NoDialogsTokensCarryARegister) {
  start();
  const Speaker alice = browser(1, "alice");
  const std::string path = registers(alice);
  const Speaker trunk = datagrams("trunk", "10.0.0.12:5060", kNetworkUdp);
  const AllSent all = ask(trunk, {.uri = alice.contact(), .routes = {path}, .call_id = "in"});
  const Sent invite = only(all, "INVITE ");
  ASSERT_EQ(invite.to, alice.to);
  receive(alice, answer(invite, "200 OK", "Contact: <" + alice.contact() + ">\r\n"));
  const Dialog dialog{"in", values(invite.text, "Record-Route")};
  for (const auto& routes : {dialog.routes, dialog.far_routes()}) {
    for (const std::string to : {"<sip:alice@example.test>;tag=b", "<sip:alice@example.test>"}) {
      for (const std::string uri : {"sip:10.0.0.12", "sip:example.test"}) {
        const AllSent refused = ask(
            alice, {.method = "REGISTER", .uri = uri, .routes = routes, .call_id = "in", .to = to});
        expect_refused(alice, refused, 403, uri + to);
      }
    }
  }
  EXPECT_EQ(only(within(alice, dialog, "INFO", "sip:10.0.0.12"), "INFO ").to, trunk.to);
}

// RFC 3261 12.2.1.1: whoever names it, loopback and what is private and not listed is no target.
TEST_F(PeersTargetsTest, AFarEndThatSaysThatItIsInsideIsNotReached) {
  start();
  const Speaker alice = browser(1, "alice");
  registers(alice);
  for (const std::string uri :
       {"sip:x@127.0.0.1:6379;transport=tcp", "sip:x@127.0.0.1:6379", "sip:x@192.168.7.7",
        "sip:x@10.0.0.1:5060", "sip:x@192.0.2.1:5060", "sip:x@0.0.0.0"}) {
    const Dialog dialog = call(alice, uri);
    for (const std::string_view method : {"ACK", "INFO", "BYE"}) {
      for (const Sent& sent : within(alice, dialog, method, uri)) {
        // An address of ours means the next hop that it came from.
        EXPECT_TRUE(sent.to == alice.to || sent.to == pbx_.to) << uri << " " << sent.to;
      }
    }
  }
}

// What we originate obeys the same rule: the user agent vanishes, and its call is ended.
TEST_F(PeersTargetsTest, OurOwnByeGoesToTheFarEndIfAnybodyMayBeReachedThere) {
  start();
  const struct {
    std::string_view contact, bye;
  } kCases[] = {{"sip:bob@10.0.0.9", "udp 10.0.0.9:5060"},
                {"sip:bob@20.0.0.9:5070", "udp 20.0.0.9:5070"},
                {"sip:x@127.0.0.1:6379;transport=tcp", {}},
                {"sip:x@127.0.0.1:6379", {}},
                {"sip:x@192.168.7.7", {}},
                {"sip:x@20.0.0.9;maddr=127.0.0.1", {}}};
  std::uint32_t number = 0;
  for (const auto& [contact, bye] : kCases) {
    ++number;
    const Speaker alice = browser(number, "alice" + std::to_string(number));
    registers(alice);
    call(alice, contact);
    close(alice);
    const AllSent all = advance(20s);
    EXPECT_EQ(counters_->released_calls.value(), number) << contact;
    if (bye.empty()) {
      EXPECT_TRUE(all.empty()) << contact << ::testing::PrintToString(all);
      continue;
    }
    EXPECT_TRUE(any_to(all, bye)) << contact;
    for (const Sent& sent : all) EXPECT_EQ(sent.to, bye) << sent.text;
    receive(datagrams("bob", bye.substr(4), kNetworkUdp), answer(all.at(0), "200 OK"));
  }
}

TEST_F(PeersTargetsTest, AStrangerOnTheNetworkSideReachesNobody) {
  start();
  const Speaker alice = browser(1, "alice");
  const std::string path = registers(alice);
  const Dialog dialog = call(alice);
  std::uint64_t count = 0;
  for (const auto& routes : std::vector<std::vector<std::string>>{
           {}, {"<sip:20.0.0.8;lr>"}, {"<sip:10.0.0.9;lr>"}, {path}, dialog.far_routes()}) {
    for (const std::string& uri :
         {std::string("sip:bob@example.test"), std::string("sip:10.0.0.1"), alice.contact()}) {
      for (const std::string_view method : {"INVITE", "OPTIONS", "REGISTER", "BYE", "ACK"}) {
        const AllSent all = ask(stranger_, {.method = method,
                                            .uri = uri,
                                            .routes = routes,
                                            .call_id = dialog.call_id,
                                            .from = "<sip:bob@example.test>;tag=b",
                                            .to = "<sip:alice@example.test>;tag=a"});
        EXPECT_TRUE(all.empty()) << method << " " << uri << ::testing::PrintToString(all);
        ++count;
      }
    }
  }
  EXPECT_EQ(counters_->strangers_dropped.value(), count);
}

TEST_F(PeersTargetsTest, ANextHopsAddressProvesNothingOnTheAccessSide) {
  start();
  const Speaker alice = browser(1, "alice");
  const std::string path = registers(alice);
  const Speaker forged = datagrams("pbx", "10.0.0.9:5060", kAccessUdp);
  for (const auto& routes : std::vector<std::vector<std::string>>{
           {}, {"<sip:20.0.0.8;lr>"}, {"<sip:10.0.0.12;lr>"}, {path}}) {
    for (const std::string& uri : {std::string("sip:bob@example.test"), alice.contact()}) {
      const AllSent all = ask(forged, {.uri = uri, .routes = routes});
      expect_refused(forged, all, 403, uri);
    }
  }
}

// RFC 3261 18: a connection that we opened to a far end carries its dialogs and nothing else.
TEST_F(PeersTargetsTest, AFarEndsConnectionCarriesItsDialogsAlone) {
  start();
  const Speaker alice = browser(1, "alice");
  const std::string path = registers(alice);
  const Dialog dialog = call(alice, "sip:bob@20.0.0.9:5070;transport=tcp");
  const AllSent info = within(alice, dialog, "INFO", "sip:bob@20.0.0.9:5070;transport=tcp");
  ASSERT_EQ(only(info, "INFO ").to, "tcp 20.0.0.9:5070");
  const Speaker far = far_end(7, "20.0.0.9:5070");
  for (const auto& routes : std::vector<std::vector<std::string>>{
           {}, {"<sip:20.0.0.8;lr>"}, {"<sip:10.0.0.9;lr>"}, {"<sip:10.0.0.12;lr>"}, {path}}) {
    for (const std::string& uri : {std::string("sip:+1900@example.test"), alice.contact(),
                                   std::string("sip:+1900@carrier.example")}) {
      for (const std::string_view method : {"INVITE", "MESSAGE"}) {
        const AllSent all = ask(far, {.method = method, .uri = uri, .routes = routes});
        expect_refused(far, all, 403, uri);
      }
    }
  }
  const AllSent bye = ask(far, {.method = "BYE",
                                .uri = alice.contact(),
                                .routes = dialog.far_routes(),
                                .call_id = dialog.call_id,
                                .from = "<sip:bob@example.test>;tag=b",
                                .to = "<sip:alice@example.test>;tag=a"});
  EXPECT_EQ(only(bye, "BYE ").to, alice.to);
}

// The far end's way of a pair leads to a user agent: from the access side past its next hop.
TEST_F(PeersTargetsTest, TheFarEndsRouteSetIsNotTheAccessSides) {
  start();
  const Speaker alice = browser(1, "alice"), mallory = browser(2, "mallory");
  registers(alice);
  registers(mallory);
  const Dialog dialog = call(alice);
  for (const std::string_view method : {"INVITE", "INFO", "MESSAGE"}) {
    const AllSent all = ask(mallory, {.method = method,
                                      .uri = alice.contact(),
                                      .routes = dialog.far_routes(),
                                      .call_id = dialog.call_id,
                                      .from = "<sip:bob@example.test>;tag=b",
                                      .to = "<sip:alice@example.test>;tag=a"});
    expect_refused(mallory, all, 403, method);
  }
  // Of another Call-ID it is nobody's, in either order.
  for (const auto& routes : {dialog.routes, dialog.far_routes()}) {
    const AllSent all = ask(mallory, {.routes = routes, .to = "<sip:alice@example.test>;tag=a"});
    expect_refused(mallory, all, 403, "another call");
  }
}

TEST_F(PeersTargetsTest, ANextHopThatIsClosedToTheAccessSideIsReachedByNoWord) {
  for (ListenConfig& entry : config_.listen) entry.admission = Admission::Open;
  start();
  const Speaker guest = browser(1, "guest"), alice = browser(2, "alice");
  registers(alice);
  for (const Speaker& who : {guest, alice}) {
    for (const std::string uri : {"sip:+1900@carrier.example", "sip:+1900@CARRIER.example",
                                  "sip:+1900@carrier.example:5060;transport=udp"}) {
      for (const std::string_view method : {"INVITE", "MESSAGE", "REGISTER"}) {
        expect_refused(who, ask(who, {.method = method, .uri = uri}), 403, uri);
      }
    }
    for (const std::string route : {"<sip:10.0.0.12;lr>", "<sip:10.0.0.12:5060;lr>",
                                    "<sip:trunk@10.0.0.12;transport=udp;lr>"}) {
      expect_refused(who, ask(who, {.routes = {route}}), 403, route);
    }
    // Nor by way of one that is open: that one would be a relay for whoever writes this.
    const AllSent two = ask(who, {.routes = {"<sip:10.0.0.9;lr>", "<sip:10.0.0.12;lr>"}});
    expect_refused(who, two, 403, "two routes");
    EXPECT_EQ(only(ask(who, {.routes = {"<sip:10.0.0.9;lr>"}}), "INVITE ").to, pbx_.to);
  }
  // The network side reaches it.
  EXPECT_EQ(only(ask(pbx_, {.uri = "sip:+1900@carrier.example"}), "INVITE ").to,
            "udp 10.0.0.12:5060");
}

}  // namespace
}  // namespace ringway
