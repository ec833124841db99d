#include "tests/gateway/core/core_test.h"

namespace ringway {
namespace {

TEST_F(ProxyCoreTest, Rfc3261_16_6_ForwardsWithItsOwnViaOnTop) {
  const auto sent = receive(phone_, request());
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].find("pbx OPTIONS sip:bob@example.test SIP/2.0\r\n"
                         "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK"),
            0u)
      << sent[0];
  EXPECT_NE(sent[0].find("received=198.51.100.7;rport=40000"), std::string::npos) << sent[0];
  EXPECT_NE(sent[0].find("Max-Forwards: 69\r\n"), std::string::npos) << sent[0];
  EXPECT_NE(sent[0].find("Max-Breadth: 60\r\n"), std::string::npos) << sent[0];
}

TEST_F(ProxyCoreTest, Rfc3261_16_7_TheResponseGoesBackWithoutOurVia) {
  const auto sent = receive(phone_, request());
  ASSERT_EQ(sent.size(), 1u);
  const auto back = receive(pbx_, response(sent[0], "200 OK"));
  ASSERT_EQ(back.size(), 1u);
  EXPECT_EQ(back[0].find("phone SIP/2.0 200 OK\r\n"), 0u) << back[0];
  EXPECT_NE(back[0].find("Via: SIP/2.0/UDP 198.51.100.7:40000;"), std::string::npos) << back[0];
  EXPECT_EQ(back[0].find("10.0.0.1"), std::string::npos) << back[0];
}

TEST_F(ProxyCoreTest, Rfc3261_16_7_AResponseThatMakesNoDialogGivesNobodyARouteSet) {
  for (const std::string_view status : {"401 Unauthorized", "486 Busy Here", "302 Moved"}) {
    const std::string branch = "z9hG4bK" + std::string(status.substr(0, 3));
    const auto sent = receive(
        phone_, request({{"OPTIONS", "INVITE"},
                         {"z9hG4bKone", branch},
                         {"one@test", branch},
                         {"Max-Forwards", "Contact: <sip:a@198.51.100.7:40000>\r\nMax-Forwards"}}));
    ASSERT_NE(sent.at(1).find("\r\nRecord-Route: "), std::string::npos) << sent[1];
    std::string refusal = response(sent[1], status);
    refusal.insert(refusal.find("Max-Forwards"), "Record-Route: <sip:other.test;lr>\r\n");
    for (const std::string& text : receive(pbx_, refusal)) {
      if (!text.starts_with("phone ")) continue;
      const std::size_t at = text.find("\r\nRecord-Route: ");
      ASSERT_NE(at, std::string::npos) << text;
      EXPECT_EQ(text.find("\r\nRecord-Route: <sip:other.test;lr>\r\n"), at) << text;
      EXPECT_EQ(text.find("Record-Route", at + 4), std::string::npos) << text;
    }
  }
}

TEST_F(ProxyCoreTest, AStrangerOnTheNetworkSideHearsNothingWhateverHeWrites) {
  for (const auto& text :
       {request(), request({{"CSeq: 1 OPTIONS", "CSeq: one"}}), request({{"SIP/2.0\r\nVia", "SIP/3.0\r\nVia"}}),
        request({{"Call-ID: one@test\r\n", ""}}), request({{"Max-Forwards: 70", "Max-Forwards: 0"}}),
        request({{"OPTIONS", "CANCEL"}}), request({{"OPTIONS sip:bob@example.test", "OPTIONS sip:10.0.0.1"}})}) {
    EXPECT_TRUE(receive(far_, text).empty()) << text;
  }
  EXPECT_EQ(counters_->strangers_dropped.value(), 7u);
}

TEST_F(ProxyCoreTest, Rfc3261_17_2_2_ARepetitionGetsTheSameAnswerAndGoesNoFurther) {
  const auto sent = receive(phone_, request());
  EXPECT_TRUE(receive(phone_, request()).empty()) << "nothing to say yet";
  const auto back = receive(pbx_, response(sent.at(0), "200 OK"));
  EXPECT_EQ(receive(phone_, request()), back);
  EXPECT_EQ(counters_->retransmissions_absorbed.value(), 2u);
}

TEST_F(ProxyCoreTest, Rfc6026_7_3_AStrayResponseGoesNowhere) {
  const auto sent = receive(phone_, request());
  std::string stray = response(sent.at(0), "200 OK");
  std::string forged = stray;
  forged.replace(forged.find("z9hG4bK") + 12, 1, "7");
  EXPECT_TRUE(receive(pbx_, forged).empty());
  EXPECT_EQ(receive(pbx_, stray).size(), 1u);
  advance(40s);
  EXPECT_TRUE(receive(pbx_, stray).empty()) << "its slot has another generation now, or none";
  EXPECT_EQ(counters_->stray_responses.value(), 2u);
}

TEST_F(ProxyCoreTest, Rfc4320_ASilentNextHopIsNo408) {
  ASSERT_EQ(receive(phone_, request()).size(), 1u);
  std::size_t provisional = 0;
  for (int i = 0; i < 80; ++i) {
    for (const std::string& text : advance(500ms)) {
      if (text.starts_with("pbx ")) continue;
      EXPECT_EQ(text.find("phone SIP/2.0 100 "), 0u) << text;
      ++provisional;
    }
  }
  EXPECT_EQ(provisional, 1u);
  EXPECT_EQ(counters_->server_transactions.value(), 0u);
  EXPECT_EQ(counters_->client_transactions.value(), 0u);
  EXPECT_TRUE(core_->is_quiet());
  EXPECT_EQ(buffers_.in_use(), 0u);
}

TEST_F(ProxyCoreTest, Refusals) {
  const struct {
    std::string_view name;
    Part change;
    std::string_view answer;
  } kCases[] = {
      {"16.3 item 3", {"Max-Forwards: 70", "Max-Forwards: 0"}, "phone SIP/2.0 483 "},
      {"16.3 item 5", {"Max-Forwards", "Proxy-Require: foo\r\nMax-Forwards"}, "phone SIP/2.0 420 "},
      {"16.3 item 2", {"OPTIONS sip:bob@", "OPTIONS nosuch:bob@"}, "phone SIP/2.0 416 "},
      {"5393 5.3.3", {"Max-Forwards", "Max-Breadth: 0\r\nMax-Forwards"}, "phone SIP/2.0 440 "},
      {"8.1.1", {"CSeq: 1 OPTIONS", "CSeq: 1 INFO"}, "phone SIP/2.0 400 "},
      {"a foreign Route",
       {"Max-Forwards", "Route: <sip:203.0.113.9;lr>\r\nMax-Forwards"},
       "phone SIP/2.0 403 "},
  };
  for (const auto& one : kCases) {
    const std::string call = "call" + std::to_string(&one - kCases);
    const auto sent = receive(phone_, request({one.change, {"one", call}}));
    ASSERT_EQ(sent.size(), 1u) << one.name;
    EXPECT_EQ(sent[0].find(one.answer), 0u) << one.name << "\n" << sent[0];
  }
}

TEST_F(ProxyCoreTest, WhatCannotBeAnsweredIsDroppedAndCounted) {
  for (const std::string_view text :
       {"", "\r\n", "hello", "OPTIONS sip:a SIP/2.0\r\n\r\n", "SIP/2.0 200 OK\r\n\r\n"}) {
    EXPECT_TRUE(receive(phone_, text).empty()) << text;
  }
  std::uint64_t drops = 0;
  for (const Counter& counter : counters_->drops) drops += counter.value();
  EXPECT_EQ(drops, 5u);
  EXPECT_EQ(buffers_.in_use(), 0u);
}

TEST_F(ProxyCoreTest, AnyCutOfARequestIsSafe) {
  const std::string whole = request();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::string part = whole.substr(0, size);
    receive(phone_, part);
    receive(pbx_, part);
  }
}

TEST_F(ProxyCoreTest, AFullTableRefusesWith503AndHealsByItself) {
  for (int i = 0; i < 64; ++i) {
    const std::string name = "call" + std::to_string(1000 + i);
    EXPECT_EQ(receive(phone_, request({{"one", name}})).size(), 1u);
  }
  const auto refused = receive(phone_, request({{"one", "last"}}));
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].find("phone SIP/2.0 503 "), 0u) << refused[0];
  for (int i = 0; i < 80; ++i) advance(500ms);
  const auto sent = receive(phone_, request({{"one", "next"}}));
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].find("phone SIP/2.0 503 "), std::string::npos) << "the next hop is tried again";
}

TEST_F(ProxyCoreTest, DrainingRefusesNewDialogsOnly) {
  core_->drain(now_, outbox_);
  const auto refused = receive(phone_, request({{"OPTIONS", "INVITE"}}));
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].find("phone SIP/2.0 503 "), 0u) << refused[0];
  EXPECT_EQ(
      receive(phone_, request({{"OPTIONS", "MESSAGE"}, {"one", "two"}})).at(0).find("pbx MESSAGE"),
      0u);
}

// The table is full, and the INVITE, which was answered for good, is what makes room.
TEST_F(ProxyCoreTest, Rfc3261_9_2_ACancelWhoseInviteMadeRoomForItIs481) {
  const std::string invite = request({{"OPTIONS", "INVITE"}});
  auto sent = receive(phone_, invite);
  ASSERT_EQ(sent.size(), 2u);  // 100 to the phone
  ASSERT_FALSE(receive(pbx_, response(sent[1], "486 Busy Here")).empty());
  receive(phone_, request({{"OPTIONS", "ACK"}}));
  for (int i = 1; i < 64; ++i) {
    const std::string number = std::to_string(i);
    receive(phone_, request({{"z9hG4bKone", "z9hG4bKmore" + number}, {"one@", number + "@"}}));
  }
  sent = receive(phone_, request({{"OPTIONS", "CANCEL"}}));
  ASSERT_EQ(sent.size(), 1u);
  EXPECT_EQ(sent[0].find("phone SIP/2.0 481 "), 0u) << sent[0];
}

}  // namespace
}  // namespace ringway
