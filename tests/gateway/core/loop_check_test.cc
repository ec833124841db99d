#include "gateway/core/loop_check.h"

#include "protocol/sip/branch.h"
#include "protocol/sip/parse.h"
#include "tests/gateway/core/parts_test.h"

namespace ringway {
namespace {

class LoopCheckTest : public PartsTest {
 protected:
  // A request with those Request-URI, Via values and Route.
  const Incoming& read(std::string_view uri, std::string_view vias, std::string_view route = {}) {
    text_ = "INVITE " + std::string(uri) + " SIP/2.0\r\n" + std::string(vias) + std::string(route) +
            "Via: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bKone\r\nMax-Forwards: 70\r\n"
            "From: <sip:alice@example.test>;tag=a\r\nTo: <sip:bob@example.test>\r\n"
            "Call-ID: one@test\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n";
    EXPECT_TRUE(sip::parse_message(as_bytes(text_), sip::Framing::Datagram, view_));
    EXPECT_TRUE(sip::validate_request(view_, essentials_).ok());
    return in_;
  }
  // A Via as we write it into a request that leaves with that hash.
  std::string via(std::uint32_t hash, std::string_view sent_by = "10.0.0.1:5060") {
    std::array<std::uint8_t, sip::kBranchBytes> memory;
    Writer branch(memory);
    sip::write_branch({0, 7, 1, hash}, core_.branch_key, branch);
    return "Via: SIP/2.0/UDP " + std::string(sent_by) +
           ";branch=" + std::string(branch.written_text()) + "\r\n";
  }

  Services core_ = services();
  LoopCheck loops_{core_};
  std::string text_;
  sip::MessageView view_;
  sip::Essentials essentials_;
  Incoming in_{view_, essentials_};
};

constexpr std::string_view kBob = "sip:bob@example.test";

TEST_F(LoopCheckTest, Rfc5393_4_2_WhatComesBackAsItWasIsALoop) {
  const std::uint32_t hash = loops_.hash_of(read(kBob, {}));
  EXPECT_FALSE(loops_.comes_back(read(kBob, {}), hash));
  EXPECT_TRUE(loops_.comes_back(read(kBob, via(hash)), hash));
  EXPECT_TRUE(loops_.comes_back(read(kBob, "Via: SIP/2.0/UDP other.test\r\n" + via(hash)), hash));
  EXPECT_EQ(loops_.hash_of(read(kBob, via(hash))), hash) << "a Via decides nothing";
}

TEST_F(LoopCheckTest, Rfc5393_4_2_ASpiralGoesOn) {
  const std::uint32_t hash = loops_.hash_of(read(kBob, {}));
  const std::uint32_t other_user = loops_.hash_of(read("sip:carol@example.test", via(hash)));
  EXPECT_NE(other_user, hash);
  EXPECT_FALSE(loops_.comes_back(in_, other_user));
  const std::uint32_t other_route =
      loops_.hash_of(read(kBob, via(hash), "Route: <sip:proxy.test;lr>\r\n"));
  EXPECT_NE(other_route, hash);
  EXPECT_FALSE(loops_.comes_back(in_, other_route));
}

TEST_F(LoopCheckTest, AViaThatIsNotOursSaysNothing) {
  const std::uint32_t hash = loops_.hash_of(read(kBob, {}));
  EXPECT_FALSE(loops_.comes_back(read(kBob, via(hash, "192.0.2.77:5060")), hash));
  std::string forged = via(hash);
  char& last = forged[forged.find("\r\n") - 1];
  last = last == 'a' ? 'b' : 'a';
  EXPECT_FALSE(loops_.comes_back(read(kBob, forged), hash));
}

}  // namespace
}  // namespace ringway
