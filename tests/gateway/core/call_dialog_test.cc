#include "tests/gateway/core/core_test.h"

// Requests in the dialog of a call: where they go, and where they never go.

namespace ringway {
namespace {

// A call of the phone that the next hop has answered.
class DialogTest : public ProxyCoreTest {
 protected:
  DialogTest() {
    const auto sent = receive(
        phone_, request({{"OPTIONS", "INVITE"},
                         {"Max-Forwards", "Contact: <sip:a@198.51.100.7:40000>\r\nMax-Forwards"}}));
    const auto back = receive(pbx_, answer(sent.at(1)));
    for (const std::string& line : lines(back.at(0), "Record-Route")) {
      routes_ = "Route: " + line + "\r\n" + routes_;
      far_routes_ += "Route: " + line + "\r\n";
    }
  }

  // 200 to a request, by pbx_, with all that it has to copy.
  static std::string answer(std::string_view sent, std::string_view contact = "10.0.0.9") {
    std::string text = response(sent, "200 OK");
    if (text.find(";tag=b") == text.npos) {
      text.replace(text.find("To: <sip:bob@example.test>"), 26,
                   "To: <sip:bob@example.test>;tag=b");
    }
    for (const std::string_view name : {"Contact: ", "Max-Breadth: ", "Max-Forwards: ", "Route: "}) {
      for (std::size_t at = 0; (at = text.find("\r\n" + std::string(name))) != text.npos;) {
        text.erase(at, text.find("\r\n", at + 2) - at);
      }
    }
    text.insert(text.find("Content-Length"), "Contact: <sip:b@" + std::string(contact) + ">\r\n");
    return text;
  }
  static std::vector<std::string> lines(std::string_view text, std::string_view name) {
    std::vector<std::string> found;
    const std::string start = "\r\n" + std::string(name) + ": ";
    for (std::size_t at = 0; (at = text.find(start, at)) != text.npos; ++at) {
      const std::size_t from = at + start.size();
      found.emplace_back(text.substr(from, text.find("\r\n", from) - from));
    }
    return found;
  }
  // A request of the phone in the dialog, to a Contact at that host.
  std::vector<std::string> ask(std::string_view method, std::string_view host) {
    const std::string cseq = std::to_string(++cseq_);
    std::string text = request({{"OPTIONS", method},
                                {"CSeq: 1", "CSeq: " + cseq},
                                {"z9hG4bKone", "z9hG4bKnext" + cseq},
                                {"sip:bob@example.test SIP", "sip:b@" + std::string(host) + " SIP"},
                                {"bob@example.test>", "bob@example.test>;tag=b"}});
    text.insert(text.find("Max-Forwards"), "Contact: <sip:a@198.51.100.7:40000>\r\n" + routes_);
    return receive(phone_, text);
  }
  // The next hop sends a re-INVITE with that Contact, and the phone answers with status.
  void move_far_end(std::string_view contact, std::string_view status) {
    const std::string cseq = std::to_string(++far_cseq_);
    std::string text =
        "INVITE sip:a@198.51.100.7:40000 SIP/2.0\r\n"
        "Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKback" + cseq + "\r\nMax-Forwards: 70\r\n" +
        far_routes_ +
        "From: <sip:bob@example.test>;tag=b\r\nTo: <sip:alice@example.test>;tag=a\r\n"
        "Call-ID: one@test\r\nCSeq: " + cseq + " INVITE\r\nContact: <sip:b@" + std::string(contact) +
        ">\r\nContent-Length: 0\r\n\r\n";
    for (const std::string& sent : receive(pbx_, text)) {
      if (sent.starts_with("phone INVITE")) receive(phone_, response(sent, status));
    }
  }

  int cseq_ = 1, far_cseq_ = 8;
  std::string routes_, far_routes_;
};

TEST_F(DialogTest, Rfc3261_12_2_1_2_AFarEndThatMovesIsReachedWhereItSaysThatItIs) {
  EXPECT_EQ(ask("INFO", "20.0.0.8").at(0).find("phone SIP/2.0 403 "), 0u) << "nobody has named it";
  move_far_end("20.0.0.8", "488 Not Acceptable Here");
  EXPECT_EQ(ask("INFO", "20.0.0.8").at(0).find("phone SIP/2.0 403 "), 0u) << "it was refused";
  move_far_end("20.0.0.8", "200 OK");
  EXPECT_EQ(ask("INFO", "20.0.0.8").at(0).find("far INFO "), 0u);
  EXPECT_EQ(ask("BYE", "20.0.0.9").at(0).find("phone SIP/2.0 403 "), 0u);
  core_->release_calls(now_, outbox_);
  bool far = false;
  for (const std::string& sent : taken()) far |= sent.starts_with("far BYE sip:b@20.0.0.8 ");
  EXPECT_TRUE(far);
}

TEST_F(DialogTest, Rfc3261_12_2_1_2_SoIsOneThatMovesByItsAnswer) {
  const auto sent = ask("UPDATE", "10.0.0.9");
  receive(pbx_, answer(sent.at(0), "20.0.0.8"));
  EXPECT_EQ(ask("BYE", "20.0.0.8").at(0).find("far BYE "), 0u);
}

TEST_F(DialogTest, AfterARestartACallSendsItsByeNowhereThatOnlyItsCallerHasWritten) {
  core_ = make_core(4712);
  publish();
  EXPECT_EQ(ask("INFO", "20.0.0.8").at(0).find("phone SIP/2.0 403 "), 0u);
  core_->release_calls(now_, outbox_);
  for (const std::string& sent : taken()) EXPECT_FALSE(sent.starts_with("far ")) << sent;
}

// A call that rings has no dialog to send a BYE in (RFC 3261 15): it is called off.
TEST_F(ProxyCoreTest, Rfc3261_9_1_ACallThatRingsWhenTheServiceDrainIsOverIsCalledOff) {
  const auto sent = receive(
      phone_, request({{"OPTIONS", "INVITE"},
                       {"Max-Forwards", "Contact: <sip:a@198.51.100.7:40000>\r\nMax-Forwards"}}));
  receive(pbx_, response(sent.at(1), "180 Ringing"));
  core_->release_calls(now_, outbox_);
  std::string all;
  for (const std::string& text : taken()) all += text;
  EXPECT_NE(all.find("CANCEL sip:bob@example.test SIP/2.0"), all.npos) << all;
  EXPECT_EQ(all.find("BYE "), all.npos) << all;
  all.clear();
  for (const std::string& text : receive(pbx_, response(sent.at(1), "487 Request Terminated"))) {
    all += text;
  }
  EXPECT_NE(all.find("phone SIP/2.0 487 "), all.npos) << all;
  EXPECT_TRUE(core_->is_quiet());
}

}  // namespace
}  // namespace ringway
