#include "tests/gateway/core/browser_sdp.h"
#include "tests/gateway/core/peers_test.h"

// Digits by INFO, towards a next hop that wants telephone-event (RFC 4733), and towards others.

namespace ringway {
namespace {

constexpr std::string_view kPlainSdp =
    "v=0\r\no=- 1 1 IN IP4 10.0.0.7\r\ns=-\r\nc=IN IP4 10.0.0.7\r\nt=0 0\r\n"
    "m=audio 30000 RTP/AVP 0\r\n";
constexpr std::string_view kRelayType = "application/dtmf-relay";
constexpr std::string_view kFive = "Signal=5\r\nDuration=200\r\n";

class DtmfTest : public PeersTest {
 protected:
  void begin(Dtmf dtmf) {
    config_.next_hops[0].dtmf = dtmf;
    for (ListenConfig& entry : config_.listen) entry.admission = Admission::Open;
    config_.media.relays = {*parse_endpoint("10.0.0.7:2223")};
    start();
    core_->relay_connected(0, now_, outbox_);
    taken();
    alice_ = browser(1, "alice");
  }
  static Sent to_relay(const AllSent& all) {
    for (const Sent& sent : all) {
      if (sent.to == "relay") return sent;
    }
    return {};
  }
  AllSent relay_says(const Sent& request, const std::string& dictionary) {
    const std::string reply = request.text.substr(0, request.text.find(' ')) + " " + dictionary;
    core_->receive_relay(0, as_bytes(reply), now_, outbox_);
    return taken();
  }
  static std::string ok_with(std::string_view sdp) {
    return "d6:result2:ok3:sdp" + std::to_string(sdp.size()) + ":" + std::string(sdp) + "e";
  }
  // Alice's call, answered; its descriptions have passed the relay.
  void call_is_up() {
    offer_ = to_relay(ask(alice_, {.body = std::string(kBrowserSdp)}));
    const Sent invite = only(relay_says(offer_, ok_with(kPlainSdp)), "INVITE ");
    std::string text = answer(invite, "200 OK", "Contact: <sip:bob@10.0.0.9>\r\n");
    text.erase(text.rfind("Content-Length"));
    text += "Content-Type: application/sdp\r\nContent-Length: " + std::to_string(kPlainSdp.size()) +
            "\r\n\r\n" + std::string(kPlainSdp);
    answer_ = to_relay(receive(pbx_, text));
    const Sent ok = only(relay_says(answer_, ok_with(kBrowserSdp)), "SIP/2.0 200 ");
    dialog_ = {value(invite.text, "Call-ID"), values(ok.text, "Record-Route")};
    std::ranges::reverse(dialog_.routes);
    within(alice_, dialog_, "ACK", "sip:bob@10.0.0.9");
  }
  AllSent info(std::string_view type, std::string_view body, std::string lines = {},
               const std::string& tag = "b") {
    std::string text = this->text(alice_, {.method = "INFO",
                                           .uri = "sip:bob@10.0.0.9",
                                           .routes = dialog_.routes,
                                           .call_id = dialog_.call_id,
                                           .to = "<sip:bob@example.test>;tag=" + tag,
                                           .cseq = ++cseq_,
                                           .lines = std::move(lines),
                                           .body = std::string(body)});
    constexpr std::string_view kSdp = "application/sdp";
    if (const auto at = text.find(kSdp); at != text.npos) text.replace(at, kSdp.size(), type);
    return receive(alice_, text);
  }
  void expect_passed(const AllSent& all, std::string_view what) {
    const Sent passed = only(all, "INFO ");
    EXPECT_EQ(passed.to, pbx_.to) << what;
    EXPECT_FALSE(any_to(all, "relay")) << what;
  }

  Speaker alice_;
  Dialog dialog_;
  Sent offer_, answer_;
  unsigned cseq_ = 10;
};

TEST_F(DtmfTest, TheRelayPlaysItAndTheSenderHas200) {
  begin(Dtmf::Rfc4733);
  call_is_up();
  EXPECT_NE(offer_.text.find("11:inject-DTMF"), std::string::npos) << offer_.text;
  EXPECT_NE(answer_.text.find("11:inject-DTMF"), std::string::npos) << answer_.text;
  const AllSent all = info(kRelayType, kFive);
  const Sent played = to_relay(all);
  for (const std::string_view part :
       {"7:command9:play DTMF", "8:from-tag6:caller", "4:codei5e", "8:durationi200e"}) {
    EXPECT_NE(played.text.find(part), std::string::npos) << part << played.text;
  }
  EXPECT_FALSE(any_to(all, pbx_.to));
  const AllSent after = relay_says(played, "d6:result2:oke");
  EXPECT_EQ(only(after, "SIP/2.0 200 ").to, alice_.to);
  EXPECT_FALSE(any_to(after, pbx_.to));
  EXPECT_EQ(counters_->dtmf_played.value(), 1u);
}

TEST_F(DtmfTest, ItPassesWhereTheRelayRefusesOrIsSilent) {
  begin(Dtmf::Rfc4733);
  call_is_up();
  EXPECT_FALSE(any_to(info(kRelayType, kFive), pbx_.to));
  const Sent passed = only(advance(1250ms), "INFO ");
  EXPECT_EQ(passed.to, pbx_.to);
  EXPECT_TRUE(passed.text.ends_with(kFive)) << passed.text;
  receive(pbx_, answer(passed, "200 OK"));
  const Sent again = to_relay(info(kRelayType, kFive));
  const Sent second =
      only(relay_says(again, "d6:result5:error12:error-reason9:no streame"), "INFO ");
  EXPECT_EQ(second.to, pbx_.to);
  EXPECT_EQ(only(receive(pbx_, answer(second, "200 OK")), "SIP/2.0 200 ").to, alice_.to);
  EXPECT_EQ(counters_->dtmf_passed_on.value(), 2u);
}

TEST_F(DtmfTest, WithoutTheKeyEverythingPasses) {
  begin(Dtmf::Info);
  call_is_up();
  EXPECT_EQ(offer_.text.find("inject-DTMF"), std::string::npos) << offer_.text;
  expect_passed(info(kRelayType, kFive), "a digit");
  expect_passed(info(kRelayType, "Signal=x"), "a body that is malformed");
}

TEST_F(DtmfTest, OtherInfosPass) {
  begin(Dtmf::Rfc4733);
  call_is_up();
  expect_passed(info("application/media_control+xml", "<x/>"), "another body");
  expect_passed(info(kRelayType, ""), "no body and no type");
  expect_passed(info(kRelayType, "Signal=!"), "hook flash");
  expect_passed(info(kRelayType, kFive, "Require: x\r\n"), "it requires something");
  expect_passed(info(kRelayType, kFive, "Info-Package: x\r\n"), "a package (RFC 6086)");
}

TEST_F(DtmfTest, ABodyWithoutADigitIsRefused) {
  begin(Dtmf::Rfc4733);
  call_is_up();
  for (const std::string_view body :
       {"Duration=160", "Signal=x", "Signal=5\r\nSignal=6", "Signal=5\r\nDuration=a"}) {
    expect_refused(alice_, info(kRelayType, body), 400, body);
  }
  expect_refused(alice_, info("application/dtmf", "12"), 400, "two keys");
}

TEST_F(DtmfTest, NoMoreThanTenSecondsWaitAtTheRelay) {
  begin(Dtmf::Rfc4733);
  call_is_up();
  int played = 0;
  AllSent all;
  for (; played < 100; ++played) {
    all = info(kRelayType, "Signal=5\r\nDuration=900");
    const Sent sent = to_relay(all);
    if (sent.to.empty()) break;
    relay_says(sent, "d6:result2:oke");
  }
  EXPECT_EQ(played, 11);
  expect_refused(alice_, all, 500, "the eleventh second");
  advance(2s);
  EXPECT_TRUE(any_to(info(kRelayType, kFive), "relay")) << "there is room again";
}

TEST_F(DtmfTest, ADialogThatNobodyKnowsPlaysNothing) {
  begin(Dtmf::Rfc4733);
  call_is_up();
  expect_passed(info(kRelayType, kFive, {}, "zz"), "its far end answers 481");
}

}  // namespace
}  // namespace ringway
