#include "tests/gateway/core/peers_test.h"

// Which number a call is judged by, and whose account it counts for.

namespace ringway {
namespace {

class FraudTest : public PeersTest {
 protected:
  void forbid(std::vector<std::string> accounts = {}) {
    FraudConfig rule;
    rule.name = "abroad";
    rule.prefixes = {"+"};
    rule.accounts = std::move(accounts);
    rule.deny = true;
    publish(rule);
  }
  void allow_at_once(std::uint32_t calls) {
    FraudConfig rule;
    rule.name = "few";
    rule.prefixes = {"+"};
    rule.calls = calls;
    publish(rule);
  }
  void publish(const FraudConfig& rule) {
    auto rules = FraudRules::build({rule}, {""}, 0s);
    ASSERT_TRUE(rules) << rules.error();
    core_->publish_fraud(std::make_shared<const FraudRules>(std::move(*rules)));
  }
  // What a browser registers at a next hop that knows it by a Contact that points at us.
  std::string alias_of(const Speaker& who, const std::string& contact) {
    const AllSent all = ask(who, {.method = "REGISTER",
                                  .uri = "sip:other.example",
                                  .to = "<sip:" + who.user + "@other.example>",
                                  .lines = "Contact: <" + contact + ">;expires=300\r\n"});
    const Sent sent = only(all, "REGISTER ");
    std::string alias = value(sent.text, "Contact");
    receive(other_, answer(sent, "200 OK", "Contact: " + alias + "\r\n"));
    return alias.substr(1, alias.find('>') - 1);
  }
  void registers_as(const Speaker& who, const std::string& to, const std::string& more = {}) {
    const AllSent all = ask(who, {.method = "REGISTER",
                                  .uri = "sip:example.test",
                                  .to = "<" + to + ">",
                                  .lines = "Contact: <" + who.contact() + ">;+sip.instance=\"" +
                                           who.instance + "\";expires=300\r\n" + more});
    const Sent sent = only(all, "REGISTER ");
    receive(pbx_, answer(sent, "200 OK", "Contact: " + value(sent.text, "Contact") + "\r\n"));
  }
};

TEST_F(FraudTest, Rfc3261_16_6_AStrictRoutersValueIsWhatLeaves) {
  start();
  forbid();
  const Speaker alice = browser(1, "alice");
  registers(alice);
  for (const char* route : {"<sip:+88299@10.0.0.9>", "<sip:0088299@10.0.0.9;transport=udp>"}) {
    expect_refused(alice, ask(alice, {.routes = {route}}), 403, route);
  }
  expect_refused(alice,
                 ask(alice, {.uri = "sip:+88299@example.test", .routes = {"<sip:10.0.0.9>"}}), 403,
                 "behind a strict one");
  for (const char* route : {"<sip:bob@10.0.0.9>", "<sip:+88299@10.0.0.9;lr>"}) {
    only(ask(alice, {.routes = {route}}), "INVITE ");
  }
}

TEST_F(FraudTest, AnAliasIsJudgedAsWhatItStandsFor) {
  config_.next_hops[2].binding = BindingMode::Contact;
  start();
  const Speaker alice = browser(1, "alice");
  const std::string alias = alias_of(alice, "sip:+88299@other.example");
  const Sent went = only(ask(alice, {.uri = alias}), "INVITE sip:+88299@other.example ");
  EXPECT_EQ(went.to, other_.to);
  forbid();
  expect_refused(alice, ask(alice, {.uri = alias}), 403, "its own alias");
}

TEST_F(FraudTest, Rfc3261_12_2_AnInviteInADialogThatCallsSomebodyElseIsACall) {
  start();
  const Speaker alice = browser(1, "alice");
  registers(alice);
  const Dialog dialog = call(alice);
  forbid();
  expect_refused(alice, within(alice, dialog, "INVITE", "sip:+88299@10.0.0.9"), 403, "another one");
  const AllSent forged = ask(alice, {.uri = "sip:+88299@10.0.0.9",
                                     .routes = dialog.routes,
                                     .call_id = dialog.call_id,
                                     .to = "<sip:bob@example.test>;tag=forged",
                                     .cseq = 40});
  expect_refused(alice, forged, 403, "a tag of nobody's");
  only(within(alice, dialog, "INVITE", "sip:bob@10.0.0.9"), "INVITE ");
  only(within(alice, dialog, "INFO", "sip:+88299@10.0.0.9"), "INFO ");
}

TEST_F(FraudTest, ACallFromAForbiddenNumberIsHeldLikeAnyOther) {
  start();
  forbid();
  const Speaker alice = browser(1, "alice");
  registers(alice);
  const Sent invite = only(ask(alice, {}), "INVITE ");
  receive(pbx_, answer(invite, "200 OK", "Contact: <sip:+88299@10.0.0.9>\r\n"));
  const Dialog dialog = call(alice, "sip:+88299@10.0.0.9");
  only(within(alice, dialog, "INVITE", "sip:+88299@10.0.0.9"), "INVITE ");
}

TEST_F(FraudTest, ATransferCountsForTheAccountOfItsCall) {
  start();
  forbid({"sip:alice@example.test"});
  const Speaker alice = browser(1, "alice"), bob = browser(2, "bob");
  registers(alice);
  registers(bob);
  const Dialog dialog = call(alice);
  for (const Speaker* who : {&alice, &bob}) {
    const AllSent all = ask(*who, {.method = "REFER",
                                   .uri = "sip:bob@10.0.0.9",
                                   .routes = dialog.routes,
                                   .call_id = dialog.call_id,
                                   .to = "<sip:bob@example.test>;tag=b",
                                   .cseq = ++cseq_,
                                   .lines = "Refer-To: <sip:9@x>, <sip:+88299@x>\r\n"});
    expect_refused(*who, all, 403, who->user);
  }
  only(ask(bob, {.method = "REFER", .lines = "Refer-To: <sip:+88299@x>\r\n"}), "REFER ");
}

TEST_F(FraudTest, Rfc3261_10_3_AnAddressOfRecordIsTheSameHoweverItIsWritten) {
  start();
  forbid({"sip:alice@example.test"});
  std::uint32_t number = 0;
  for (const char* aor : {"sip:alice@example.test", "sip:%61lice@example.test",
                          "sips:ALICE@Example.Test:5061", "sip:alic%65@example.test;x=y"}) {
    ++number;
    const Speaker who = browser(number, "alice" + std::to_string(number));
    registers_as(who, aor);
    expect_refused(who, ask(who, {.uri = "sip:+88299@example.test"}), 403, aor);
  }
}

TEST_F(FraudTest, OneSetOfCredentialsIsOneAccountUnderManyNames) {
  start();
  allow_at_once(2);
  std::uint32_t went = 0;
  for (std::uint32_t number = 1; number <= 6; ++number) {
    const Speaker who = browser(number, "u" + std::to_string(number));
    registers_as(who, "sip:100@h" + std::to_string(number) + ".test",
                 "Authorization: Digest username=\"100\", realm=\"pbx\", nonce=\"" +
                     std::to_string(number) + "\"\r\n");
    went += any_to(ask(who, {.uri = "sip:+88299@example.test"}), pbx_.to) ? 1 : 0;
  }
  EXPECT_EQ(went, 2u);
}

}  // namespace
}  // namespace ringway
