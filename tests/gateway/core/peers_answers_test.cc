#include "tests/gateway/core/peers_test.h"

// Whose answers, grants, identities and CANCELs count, and who holds what he asked for.

namespace ringway {
namespace {

class PeersAnswersTest : public PeersTest {
 protected:
  std::uint64_t wrong_sources() const { return counters_->response_wrong_source.value(); }
};

// --- Answers -----------------------------------------------------------------------------------

TEST_F(PeersAnswersTest, Rfc3261_18_1_2_AnAnswerCountsOnlyFromWhereItsRequestWent) {
  start();
  const Speaker alice = browser(1, "alice"), mallory = browser(2, "mallory");
  registers(alice);
  const Speaker forgers[] = {stranger_, other_, mallory,
                             datagrams("pbx", "10.0.0.9:5060", kAccessUdp),
                             datagrams("pbx", "10.0.0.10:5060", kNetworkUdp)};
  std::uint64_t count = 0;
  for (const std::string_view status : {"200 OK", "302 Moved", "486 Busy Here", "183 Progress"}) {
    const Sent invite = only(ask(alice, {}), "INVITE ");
    for (const Speaker& forger : forgers) {
      const AllSent all = receive(forger, answer(invite, status, "Contact: <sip:x@20.0.0.7>\r\n"));
      EXPECT_TRUE(all.empty()) << forger.to << " " << status << ::testing::PrintToString(all);
      EXPECT_EQ(wrong_sources(), ++count) << forger.to;
    }
    // The one that was asked, from whichever port.
    const Speaker again = datagrams("pbx", "10.0.0.9:40000", kNetworkUdp);
    EXPECT_EQ(only(receive(again, answer(invite, "486 Busy Here")), "SIP/2.0 486 ").to, alice.to);
  }
}

TEST_F(PeersAnswersTest, AnAnswerCountsOnlyFromTheConnectionThatItsRequestWentDown) {
  start();
  const Speaker alice = browser(1, "alice"), mallory = browser(2, "mallory");
  const std::string path = registers(alice);
  registers(mallory);
  const Sent invite = only(ask(pbx_, {.uri = alice.contact(), .routes = {path}}), "INVITE ");
  ASSERT_EQ(invite.to, alice.to);
  for (const Speaker& forger : {mallory, stranger_, pbx_}) {
    EXPECT_TRUE(receive(forger, answer(invite, "200 OK")).empty()) << forger.to;
  }
  EXPECT_EQ(wrong_sources(), 3u);
  EXPECT_EQ(only(receive(alice, answer(invite, "486 Busy Here")), "SIP/2.0 486 ").to, pbx_.to);
}

std::string branch_of(const Sent& sent) {
  const std::size_t at = sent.text.find(";branch=") + 8;
  return sent.text.substr(at, sent.text.find_first_of("\r;", at) - at);
}

// Whoever sees any number of our branches learns nothing of the next: they come of a key, and none
// of the generator that draws tags and jitter.
TEST_F(PeersAnswersTest, BranchesComeOfTheKeyAndOfNoGenerator) {
  const auto branches = [&](const Start& how) {
    core_ = make_core(how);
    serial_ = 0;
    cseq_ = 10;
    const Speaker alice = browser(1, "alice");
    registers(alice);
    const Dialog dialog = call(alice, "sip:bob@20.0.0.9");
    std::vector<std::string> all;
    for (const std::string_view method : {"ACK", "ACK", "ACK", "INFO", "MESSAGE", "ACK"}) {
      all.push_back(branch_of(only(within(alice, dialog, method, "sip:bob@20.0.0.9"), method)));
    }
    core_.reset();
    return all;
  };
  const auto one = branches({.seed = 1}), two = branches({.seed = 2}),
             other_key = branches({.seed = 1, .key = 9});
  EXPECT_EQ(one, two);
  for (std::size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(std::ranges::count(one, one[i]), 1) << one[i];
    EXPECT_NE(one[i].substr(one[i].size() - 12), other_key[i].substr(one[i].size() - 12));
  }
}

// The branch names the shard that keeps the transaction; one that is not ours wakes none.
TEST_F(PeersAnswersTest, AnAnswerIsHandedOverOnlyWhereItsBranchIsOurs) {
  const Sent there = [&] {
    const auto shard_one = make_core({.shard = 1, .shards = 2});
    const std::string invite = text(pbx_, {.uri = "sip:a@carrier.example"});
    shard_one->receive_handed_over(pbx_.source, as_bytes(invite), now_, outbox_);
    return only(taken(), "INVITE ");
  }();
  core_ = make_core({.shard = 0, .shards = 2});
  const std::string good = answer(there, "200 OK");
  EXPECT_EQ(only(receive(stranger_, good), "SIP/2.0 200 ").to, "shard 1")
      << "its target is known there alone";
  const std::size_t begin = good.find("z9hG4bK-r") + 9;
  for (std::size_t i = 0; i < 32; ++i) {
    std::string forged = good;
    forged[begin + i] = forged[begin + i] == 'a' ? 'b' : 'a';
    EXPECT_TRUE(receive(stranger_, forged).empty()) << i;
  }
  EXPECT_EQ(counters_->handed_over.value(), 1u);
  core_ = make_core({.key = 9, .shards = 2});
  EXPECT_TRUE(receive(stranger_, good).empty()) << "of another key";
}

// --- Bindings ----------------------------------------------------------------------------------

TEST_F(PeersAnswersTest, Rfc3261_10_3_WhatOneNextHopGrantsChangesNothingOfAnothers) {
  start();
  const Speaker alice = browser(1, "alice");
  const std::string path = registers(alice);
  Speaker thief = browser(2, "alice");
  registers(thief, "other.example");
  EXPECT_EQ(only(ask(pbx_, {.method = "MESSAGE", .routes = {path}}), "MESSAGE ").to, alice.to);
  EXPECT_EQ(only(ask(pbx_, {.method = "MESSAGE", .uri = alice.contact()}), "MESSAGE ").to,
            alice.to);
  // Nor does what it takes back.
  const AllSent leaves = ask(thief, {.method = "REGISTER",
                                     .uri = "sip:other.example",
                                     .to = "<" + alice.aor() + ">",
                                     .cseq = 9,
                                     .lines = "Contact: *\r\nExpires: 0\r\n"});
  receive(other_, answer(only(leaves, "REGISTER "), "200 OK"));
  EXPECT_EQ(only(ask(pbx_, {.method = "MESSAGE", .uri = alice.contact()}), "MESSAGE ").to,
            alice.to);
  EXPECT_EQ(only(ask(alice, {.method = "MESSAGE"}), "MESSAGE ").to, pbx_.to);
}

// A 2xx of anybody else is no grant, so nothing moves.
TEST_F(PeersAnswersTest, Rfc3261_10_3_ABindingIsGrantedByTheNextHopThatWasAsked) {
  start();
  const Speaker alice = browser(1, "alice"), thief = browser(2, "alice");
  const std::string path = registers(alice);
  const Sent sent =
      only(ask(thief, {.method = "REGISTER",
                       .uri = "sip:example.test",
                       .to = "<" + alice.aor() + ">",
                       .lines = "Contact: <" + alice.contact() + ">;+sip.instance=\"" +
                                alice.instance + "\";reg-id=1;expires=300\r\n"}),
           "REGISTER ");
  const std::string granted =
      answer(sent, "200 OK", "Contact: " + value(sent.text, "Contact") + "\r\n");
  for (const Speaker& forger : {other_, stranger_, thief}) receive(forger, granted);
  EXPECT_EQ(only(ask(pbx_, {.method = "MESSAGE", .routes = {path}}), "MESSAGE ").to, alice.to);
  expect_refused(thief, ask(thief, {}), 403, "he has not registered");
}

// RFC 5626 5.3: two tabs of one instance.
TEST_F(PeersAnswersTest, Rfc5626_5_3_ADialogStaysOnItsConnectionAsLongAsThatLives) {
  start();
  const Speaker one = browser(1, "alice");
  registers(one);
  const Dialog dialog = call(one);
  const Speaker two = browser(2, "alice");
  const std::string path = registers(two);
  EXPECT_EQ(only(back(one, dialog, "INFO"), "INFO ").to, one.to);
  EXPECT_EQ(only(ask(pbx_, {.method = "MESSAGE", .routes = {path}}), "MESSAGE ").to, two.to)
      << "what is new goes to the new one";
  EXPECT_EQ(only(back(one, dialog, "BYE"), "BYE ").to, one.to);
  const Dialog another = call(two);
  close(two);
  const Speaker three = browser(3, "alice");
  registers(three);
  EXPECT_EQ(only(back(two, another, "BYE"), "BYE ").to, three.to) << "the dead one's go there";
}

// --- CANCEL ------------------------------------------------------------------------------------

TEST_F(PeersAnswersTest, Rfc3261_9_2_ACancelCountsOnlyFromWhereItsInviteCame) {
  start();
  const Speaker alice = browser(1, "alice"), mallory = browser(2, "mallory");
  registers(alice);
  registers(mallory);
  const Ask invite{.call_id = "one", .branch = "cancelled"};
  const Sent sent = only(ask(alice, invite), "INVITE ");
  receive(pbx_, answer(sent, "180 Ringing"));
  const std::string cancel =
      text(alice, {.method = "CANCEL", .call_id = "one", .branch = "cancelled"});
  for (const Speaker& forger :
       {mallory, datagrams("alice", "198.51.100.1:40000", kAccessUdp), pbx_, other_, stranger_}) {
    for (const Sent& any : receive(forger, cancel)) {
      EXPECT_TRUE(any.to == forger.to && any.begins("SIP/2.0 481 ")) << any.to << any.text;
    }
  }
  EXPECT_EQ(counters_->cancel_wrong_source.value(), 4u) << "a stranger is not even heard";
  const AllSent all = receive(alice, cancel);
  EXPECT_EQ(only(all, "SIP/2.0 200 ").to, alice.to);
  EXPECT_EQ(only(all, "CANCEL ").to, pbx_.to);
}

// --- Identity ----------------------------------------------------------------------------------

TEST_F(PeersAnswersTest, Rfc3325_5_FromTheAccessSideNobodyAssertsAnIdentity) {
  start();
  const Speaker alice = browser(1, "alice");
  registers(alice);
  const std::string lines =
      "P-Asserted-Identity: <sip:boss@example.test>\r\np-asserted-IDENTITY : <tel:+1>\r\n"
      "Remote-Party-ID: <sip:boss@example.test>\r\nP-Preferred-Identity: <sip:alice@example.test>"
      "\r\nPath: <sip:20.0.0.8;lr>\r\n";
  for (const std::string_view method : {"INVITE", "MESSAGE"}) {
    const Sent sent = only(ask(alice, {.method = method, .lines = lines}), method);
    EXPECT_EQ(sent.text.find("boss"), std::string::npos) << sent.text;
    EXPECT_EQ(sent.text.find("tel:+1"), std::string::npos) << sent.text;
    EXPECT_EQ(sent.text.find("20.0.0.8"), std::string::npos) << sent.text;
    EXPECT_EQ(values(sent.text, "P-Preferred-Identity").size(), 1u) << sent.text;
  }
  const AllSent all = ask(alice, {.method = "REGISTER",
                                  .uri = "sip:example.test",
                                  .to = "<" + alice.aor() + ">",
                                  .lines = lines});
  const Sent sent = only(all, "REGISTER ");
  ASSERT_EQ(values(sent.text, "Path").size(), 1u) << sent.text;
  EXPECT_EQ(sent.text.find("20.0.0.8"), std::string::npos) << sent.text;
}

TEST_F(PeersAnswersTest, Rfc3325_7_WhoWantsPrivacyIsNotShownToTheAccessSide) {
  start();
  const Speaker alice = browser(1, "alice");
  const std::string path = registers(alice);
  const std::string asserted = "P-Asserted-Identity: <sip:boss@example.test>\r\n";
  const Ask shown{.method = "MESSAGE", .routes = {path}, .lines = asserted};
  EXPECT_EQ(values(only(ask(pbx_, shown), "MESSAGE ").text, "P-Asserted-Identity").size(), 1u);
  const Ask hidden{.method = "MESSAGE", .routes = {path}, .lines = asserted + "Privacy: id\r\n"};
  EXPECT_EQ(only(ask(pbx_, hidden), "MESSAGE ").text.find("boss"), std::string::npos);
  const Sent request = only(ask(alice, {.method = "MESSAGE"}), "MESSAGE ");
  const std::string response = answer(request, "200 OK", asserted + "Privacy: user;id\r\n");
  EXPECT_EQ(only(receive(pbx_, response), "SIP/2.0 200 ").text.find("boss"), std::string::npos);
}

// --- 503 with Retry-After ----------------------------------------------------------------------

TEST_F(PeersAnswersTest, Rfc3261_21_5_4_TheOnlyNextHopIsAskedWhateverItHasSaid) {
  start();
  const Speaker alice = browser(1, "alice"), bob = browser(2, "bob");
  registers(alice);
  registers(bob);
  const Dialog dialog = call(bob);
  const Sent refused = only(ask(alice, {}), "INVITE ");
  const std::string busy = answer(refused, "503 Service Unavailable", "Retry-After: 60\r\n");
  EXPECT_EQ(only(receive(pbx_, busy), "SIP/2.0 500 ").to, alice.to);
  for (const std::string_view method : {"INVITE", "MESSAGE", "OPTIONS"}) {
    EXPECT_EQ(only(ask(bob, {.method = method}), method).to, pbx_.to);
  }
  registers(alice);
  EXPECT_EQ(only(within(bob, dialog, "ACK", "sip:bob@10.0.0.9"), "ACK ").to, pbx_.to);
  EXPECT_EQ(only(within(bob, dialog, "BYE", "sip:bob@10.0.0.9"), "BYE ").to, pbx_.to);
}

TEST_F(PeersAnswersTest, Rfc3261_21_5_4_AnotherNextHopIsAskedFirstForWhatIsNew) {
  next_hop("second", "10.0.0.14", {}, NextHopFrom::Both);
  config_.next_hops.back().priority = 1;
  start();
  const Speaker alice = browser(1, "alice");
  registers(alice);
  const Dialog dialog = call(alice);
  const std::string busy =
      answer(only(ask(alice, {}), "INVITE "), "503 Service Unavailable", "Retry-After: 60\r\n");
  const std::string second = "udp 10.0.0.14:5060";
  EXPECT_EQ(only(receive(pbx_, busy), "INVITE ").to, second);
  EXPECT_EQ(only(ask(alice, {}), "INVITE ").to, second);
  EXPECT_EQ(only(within(alice, dialog, "BYE", "sip:bob@10.0.0.9"), "BYE ").to, pbx_.to);
}

}  // namespace
}  // namespace ringway
