#include "gateway/core/stun_server.h"

#include "gateway/admission/source_gate.h"
#include "tests/gateway/core/core_test.h"

namespace ringway {
namespace {

class StunServerTest : public ProxyCoreTest {
 protected:
  StunServerTest() {
    CoreEnvironment environment{config_, 0, 1,        listeners(), mac_,
                                4711,    1, buffers_, *counters_,  log_};
    environment.gate = &gate_;
    core_ = std::make_unique<ProxyCore>(environment);
    publish();
  }

  // A Binding request of 20 + attribute_bytes bytes, all in one SOFTWARE (RFC 8489 14.14).
  static std::string binding_request(std::size_t attribute_bytes = 0) {
    std::string text("\x00\x01\x00\x00\x21\x12\xa4\x42transaction!", 20);
    text[3] = static_cast<char>(attribute_bytes);
    if (attribute_bytes == 0) return text;
    text += std::string("\x80\x22\x00", 3) + static_cast<char>(attribute_bytes - 4);
    return text + std::string(attribute_bytes - 4, 's');
  }
  // What comes back to who asks; empty: nothing.
  std::string ask(const Source& source, std::string_view request) {
    core_->receive_message(source, as_bytes(request), now_, outbox_);
    std::string answer;
    for (const Output& output : outbox_.items()) {
      EXPECT_EQ(output.kind, Output::Kind::SendDatagram);
      EXPECT_EQ(output.listener, source.listener);
      EXPECT_EQ(output.remote, source.remote);
      answer += as_text(output.buffer.bytes());
    }
    outbox_.clear();
    return answer;
  }
  bool is_answered(const Source& source, std::string_view request) {
    const std::string answer = ask(source, request);
    if (answer.empty()) return false;
    EXPECT_EQ(answer.substr(0, 2), std::string("\x01\x01", 2));
    EXPECT_EQ(answer.substr(8, 12), "transaction!");
    return true;
  }
  void register_phone() {
    const auto sent = receive(phone_, request({{"OPTIONS", "REGISTER"},
                                               {"sip:bob@example.test SIP", "sip:example.test SIP"},
                                               {"Content-Length",
                                                "Contact: <sip:bob@198.51.100.7:"
                                                "40000>\r\nContent-Length"}}));
    ASSERT_FALSE(sent.empty());
    receive(pbx_, response(sent.back(), "200 OK\r\nExpires: 600"));
  }
  std::uint64_t drops(DropReason reason) {
    return counters_->drops[static_cast<std::size_t>(reason)].value();
  }
  void ban(const Source& source, BanCause cause) {
    bans_.table().put(
        {source_key(source.remote.address), BanScope::Everything, cause, 0, now_, now_ + 600s},
        now_);
  }

  Bans bans_{64, HashKey{5, 6}, 1};
  SourceGate gate_{bans_, 0, *counters_};
};

// RFC 5626 8: each UDP port answers.
TEST_F(StunServerTest, AStrangerIsAnsweredWithNothingButHisAddress) {
  EXPECT_TRUE(is_answered(phone_, binding_request()));
  EXPECT_EQ(ask(phone_, binding_request(200)).size(), 32u);
  Source six = phone_;
  six.remote = endpoint("[2001:db8::7]:40000");
  EXPECT_EQ(ask(six, binding_request()).size(), 44u);
}

TEST_F(StunServerTest, AnAttributeThatIsUnknownGivesAnError) {
  std::string request = binding_request(12);
  request[20] = 0x7f;  // must be understood
  EXPECT_EQ(ask(phone_, request).substr(0, 2), std::string("\x01\x11", 2));
}

TEST_F(StunServerTest, AUserAgentHasABudgetOfItsOwnWhereItHasRegistered) {
  register_phone();
  Source beside = phone_;
  ++beside.remote.port;
  while (is_answered(beside, binding_request())) {
  }
  EXPECT_TRUE(is_answered(phone_, binding_request()));
  advance(700s);
  while (is_answered(beside, binding_request())) {
  }
  EXPECT_FALSE(is_answered(phone_, binding_request())) << "its binding has expired";
}

TEST_F(StunServerTest, OnTheNetworkSideOnlyNextHopsAreAnswered) {
  EXPECT_TRUE(is_answered(pbx_, binding_request()));
  EXPECT_FALSE(is_answered(far_, binding_request(12)));
  EXPECT_EQ(drops(DropReason::Stranger), 1u);
  EXPECT_EQ(counters_->strangers_dropped.value(), 1u);
}

TEST_F(StunServerTest, AFloodIsCutAtTheBudget) {
  std::uint32_t answers = 0;
  for (int i = 0; i < 1'000; ++i) answers += is_answered(phone_, binding_request(12)) ? 1 : 0;
  EXPECT_EQ(answers, StunBudget::kStranger.burst);
  EXPECT_EQ(counters_->stun_answered.value(), answers);
  EXPECT_EQ(drops(DropReason::Budget), 1'000u - answers);
  register_phone();  // its keepalives have a budget of their own
  EXPECT_TRUE(is_answered(phone_, binding_request()));
}

TEST_F(StunServerTest, WhoIsBannedGetsNothing) {
  ban(phone_, BanCause::Command);
  EXPECT_FALSE(is_answered(phone_, binding_request(12)));
  EXPECT_EQ(counters_->blocked_datagrams.value(), 1u);
  bans_.table().lift(source_key(phone_.remote.address), now_);
  ban(phone_, BanCause::Failures);
  EXPECT_FALSE(is_answered(phone_, binding_request(12)));
  EXPECT_EQ(counters_->banned_datagrams.value(), 1u);
}

TEST_F(StunServerTest, ABanThatOthersHaveEarnedLeavesTheRegisteredItsKeepalive) {
  register_phone();
  ban(phone_, BanCause::Failures);
  EXPECT_TRUE(is_answered(phone_, binding_request()));
}

// RFC 8489 5: an indication has no response.
TEST_F(StunServerTest, WhatIsNoBindingRequestGetsNothingAndCountsAsNoMessage) {
  std::string indication = binding_request(12);
  indication[1] = 0x11;
  EXPECT_EQ(ask(phone_, indication), "");
  EXPECT_EQ(drops(DropReason::Unanswerable), 1u);
  EXPECT_EQ(counters_->messages_in[0].value(), 0u);
  EXPECT_EQ(counters_->parse_errors.value(), 0u);
  EXPECT_EQ(buffers_.in_use(), 0u);
}

}  // namespace
}  // namespace ringway
