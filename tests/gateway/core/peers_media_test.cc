#include "tests/gateway/core/browser_sdp.h"
#include "tests/gateway/core/peers_test.h"

// Who holds ports of the media relay: not who was only asked for credentials, and of guests few.

namespace ringway {
namespace {

class PeersMediaTest : public PeersTest {
 protected:
  PeersMediaTest() {
    for (ListenConfig& entry : config_.listen) entry.admission = Admission::Open;
    config_.media.relays = {*parse_endpoint("10.0.0.7:2223")};
    start();
    core_->relay_connected(0, now_, outbox_);
    taken();
  }
  // An INVITE that the relay is told of; what goes on to the next hop.
  Sent offers(const Speaker& who) {
    const AllSent all = ask(who, {.body = std::string(kBrowserSdp)});
    for (const Sent& sent : all) {
      if (sent.to != "relay" || sent.text.find("7:command5:offer") == std::string::npos) continue;
      const std::string sdp =
          "v=0\r\no=- 1 1 IN IP4 10.0.0.7\r\ns=-\r\nc=IN IP4 10.0.0.7\r\n"
          "t=0 0\r\nm=audio 30000 RTP/AVP 0\r\n";
      const std::string reply = sent.text.substr(0, sent.text.find(' ')) + " d6:result2:ok3:sdp" +
                                std::to_string(sdp.size()) + ":" + sdp + "e";
      core_->receive_relay(0, as_bytes(reply), now_, outbox_);
      return only(taken(), "INVITE ");
    }
    refused_ = all;
    return {};
  }
  static bool is_deleted(const AllSent& all) {
    return std::ranges::any_of(all, [](const Sent& sent) {
      return sent.to == "relay" && sent.text.find("7:command6:delete") != std::string::npos;
    });
  }
  AllSent refused_;
};

TEST_F(PeersMediaTest, WhoWasOnlyChallengedHoldsNoSession) {
  const Speaker guest = browser(1, "guest"), alice = browser(2, "alice");
  registers(alice);
  for (const std::string_view status : {"401 Unauthorized", "407 Proxy Authentication Required"}) {
    for (int i = 0; i < 20; ++i) {
      const Sent invite = offers(guest);
      ASSERT_EQ(invite.to, pbx_.to) << i;
      EXPECT_TRUE(is_deleted(receive(pbx_, answer(invite, status)))) << i;
    }
  }
  const Sent invite = offers(alice);
  EXPECT_FALSE(is_deleted(receive(pbx_, answer(invite, "401 Unauthorized"))))
      << "she comes back with her credentials";
}

TEST_F(PeersMediaTest, AGuestHoldsFewUnansweredSessions) {
  const Speaker guest = browser(1, "guest"), another = browser(2, "another"),
                alice = browser(3, "alice");
  registers(alice);
  std::vector<Sent> held;
  for (std::uint32_t i = 0; i < config_.limits.guest_media_per_flow; ++i) {
    held.push_back(offers(guest));
    EXPECT_EQ(held.back().to, pbx_.to) << i;
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(offers(guest).to, "");
    expect_refused(guest, refused_, 503, "one too many");
  }
  EXPECT_EQ(offers(another).to, pbx_.to) << "others have their own";
  for (int i = 0; i < 10; ++i) EXPECT_EQ(offers(alice).to, pbx_.to) << "who has registered has all";
  receive(pbx_, answer(held[0], "486 Busy Here"));
  EXPECT_EQ(offers(guest).to, pbx_.to) << "one is free again";
}

}  // namespace
}  // namespace ringway
