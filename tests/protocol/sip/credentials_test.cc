#include "protocol/sip/credentials.h"

#include <gtest/gtest.h>

#include <string>

#include "protocol/sip/parse.h"

namespace ringway::sip {
namespace {

using Kind = DigestUser::Kind;

class CredentialsTest : public testing::Test {
 protected:
  DigestUser read(const std::string& lines) {
    text_ = "REGISTER sip:example.test SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n"
            "From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n" +
            lines + "Content-Length: 0\r\n\r\n";
    EXPECT_TRUE(parse_message(as_bytes(text_), Framing::Datagram, view_));
    return digest_user(view_);
  }
  std::string text_;
  MessageView view_;
};

TEST_F(CredentialsTest, OneUserIsSeen) {
  for (const char* line :
       {"Authorization: Digest username=\"alice\", realm=\"pbx\", nonce=\"a,username=\\\"b\\\"\"\r\n",
        "Proxy-Authorization: digest  realm = \"pbx\" ,USERNAME=\"alice\"\r\n",
        "Authorization: Digest\r\n username=\"alice\",,\r\n realm=\"pbx\",uri=\"sip:x,y\"\r\n"}) {
    const DigestUser user = read(line);
    EXPECT_EQ(user.kind, Kind::One) << line;
    EXPECT_EQ(user.username, "alice") << line;
    EXPECT_EQ(user.realm, "pbx") << line;
  }
  EXPECT_EQ(read("").kind, Kind::None);
  EXPECT_EQ(read("Authorization: Digest username=\"alice\"\r\n").realm, "");
}

TEST_F(CredentialsTest, WhatTwoReadersMayReadApartIsUnclear) {
  for (const char* line :
       {"Authorization: Digest username=\"a\"\r\nAuthorization: Digest username=\"a\"\r\n",
        "Authorization: Digest username=\"a\"\r\nProxy-Authorization: Digest username=\"b\"\r\n",
        "Authorization: Digest username=\"a\", username=\"b\"\r\n",
        "Authorization: Digest username=a\r\n", "Authorization: Digest username=\"\\a\"\r\n",
        "Authorization: Digest username*=UTF-8''a\r\n", "Authorization: Basic YTpi\r\n",
        "Authorization: Digest realm=\"a\"\r\n", "Authorization: Digest username=\"a\r\n",
        "Authorization: Digest username\r\n", "Authorization:\r\n", "Authorization: Digest\r\n"}) {
    EXPECT_EQ(read(line).kind, Kind::Unclear) << line;
  }
}

}  // namespace
}  // namespace ringway::sip
