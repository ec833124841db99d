#include "gateway/peers/header_rules.h"

#include <array>
#include <string>

#include <gtest/gtest.h>

#include "protocol/sip/parse.h"

namespace ringway {
namespace {

class HeaderRulesTest : public ::testing::Test {
 protected:
  // What is left of these header lines, one line feed each, on the way from one side to the other.
  std::string left(std::string lines, Side from = Side::Access, Side to = Side::Network,
                   std::string start = "INVITE sip:bob@example.org SIP/2.0") {
    std::string text = start + "\r\n";
    const std::size_t head = text.size();
    for (const char c : lines) text += c == '\n' ? std::string("\r\n") : std::string(1, c);
    text += "Via: SIP/2.0/WSS x.invalid;branch=z9hG4bK1\r\n\r\n";
    sip::MessageView view;
    EXPECT_TRUE(sip::parse_message(as_bytes(text), sip::Framing::Datagram, view));
    sip::EditList edits;
    const HeaderRules rules(config_);
    rules.apply(view, from, to, edits);
    std::array<std::uint8_t, 16384> memory;
    Writer out(memory);
    EXPECT_TRUE(edits.write(view, out));
    std::string result;
    for (const char c : out.written_text().substr(head)) {
      if (c != '\r') result += c;
    }
    const std::size_t via = result.find("Via: ");
    result.erase(via, result.find('\n', via) + 1 - via);
    result.pop_back();  // the empty line
    return result;
  }
  Config config_;
};

TEST_F(HeaderRulesTest, FromTheAccessSideNobodyAssertsAnIdentity) {  // RFC 3325 5
  EXPECT_EQ(left("P-Asserted-Identity: <sip:boss@example.org>\n"
                 "p-asserted-IDENTITY : <tel:+1900>\n"
                 "P-Asserted-Identity:\n <sip:a@b>,\n <tel:1>\n"
                 "REMOTE-PARTY-ID: <sip:boss@example.org>\n"
                 "P-Asserted-Service: urn:x\nP-Served-User: <sip:a@b>\n"
                 "Path: <sip:own@192.0.2.1;lr>\npATH\t: <sip:x@y;lr>\n"
                 "P-Preferred-Identity: <sip:alice@example.org>\n"
                 "Identity: eyJ;info=<https://x>\ny: eyK;info=<https://x>\n"
                 "X-Internal: 1\nPrivacy: id\n"),
            "P-Preferred-Identity: <sip:alice@example.org>\n"
            "Identity: eyJ;info=<https://x>\ny: eyK;info=<https://x>\n"
            "X-Internal: 1\nPrivacy: id\n");
}

TEST_F(HeaderRulesTest, NorInAResponse) {
  EXPECT_EQ(left("P-Asserted-Identity: <sip:boss@example.org>\nX: 1\n", Side::Access, Side::Network,
                 "SIP/2.0 200 OK"),
            "X: 1\n");
}

TEST_F(HeaderRulesTest, EveryCopyGoesHoweverMany) {
  std::string many, kept;
  for (int i = 0; i < 60; ++i) {
    many += "P-Asserted-Identity: <tel:" + std::to_string(i) + ">\nX-Other: " + std::to_string(i) +
            "\n";
    kept += "X-Other: " + std::to_string(i) + "\n";
  }
  EXPECT_EQ(left(many), kept);
}

TEST_F(HeaderRulesTest, NamesThatOnlyBeginAlikeStay) {
  EXPECT_EQ(left("P-Asserted-Identity-X: 1\nPaths: 1\nP-Asserted-Identit: 1\n"),
            "P-Asserted-Identity-X: 1\nPaths: 1\nP-Asserted-Identit: 1\n");
}

TEST_F(HeaderRulesTest, TheNetworkSideAsserts) {
  const std::string lines = "P-Asserted-Identity: <sip:boss@example.org>\nPath: <sip:a;lr>\n";
  EXPECT_EQ(left(lines, Side::Network, Side::Access), lines);
  EXPECT_EQ(left(lines, Side::Network, Side::Network), lines);
}

TEST_F(HeaderRulesTest, WhoAskedForPrivacyIsNotShownToTheAccessSide) {  // RFC 3325 7, RFC 3323 4.2
  const std::string asserted = "P-Asserted-Identity: <sip:boss@example.org>\n";
  for (const std::string privacy :
       {"Privacy: id\n", "privacy : user; ID\n", "Privacy: header;\n id;critical\n",
        "Privacy: user\nPrivacy: id\n", "Privacy: user,id\n"}) {
    EXPECT_EQ(left(asserted + privacy, Side::Network, Side::Access), privacy) << privacy;
    EXPECT_EQ(left(asserted + privacy, Side::Network, Side::Network), asserted + privacy);
    EXPECT_EQ(left(asserted + privacy, Side::Network, Side::Access, "SIP/2.0 200 OK"), privacy);
  }
  for (const std::string privacy :
       {"Privacy: none\n", "Privacy: user;header\n", "Privacy: ident\n"}) {
    EXPECT_EQ(left(asserted + privacy, Side::Network, Side::Access), asserted + privacy);
  }
}

TEST_F(HeaderRulesTest, RulesRemoveByParsedNameOnTheirSideOnly) {
  config_.header_rules = {
      {Side::Access, {"diversion", "X-INTERNAL", "Subject", "Refer-To"}, {}, {}}};
  EXPECT_EQ(left("Diversion: <sip:a@b>\nx-internal\t: 1\ns: hi\nSubject: hi\nr: <sip:a>\nX: 1\n"),
            "X: 1\n");
  const std::string network = "Diversion: <sip:a@b>\nX-Internal: 1\n";
  EXPECT_EQ(left(network, Side::Network, Side::Access), network);
}

TEST_F(HeaderRulesTest, RulesKeepWhatGoesByDefault) {
  config_.header_rules = {{Side::Access, {}, {"path", "p-asserted-identity"}, {}}};
  EXPECT_EQ(left("Path: <sip:a;lr>\nP-Asserted-Identity: <tel:1>\nRemote-Party-ID: <tel:1>\n"),
            "Path: <sip:a;lr>\nP-Asserted-Identity: <tel:1>\n");
}

TEST_F(HeaderRulesTest, WhatIsAddedIsOursAlone) {
  config_.header_rules = {{Side::Access, {}, {}, {"X-Edge: berlin"}}};
  EXPECT_EQ(left("x-edge: paris\nX: 1\n"), "X: 1\nX-Edge: berlin\n");
  EXPECT_EQ(left("X-Edge: paris\n", Side::Access, Side::Network, "SIP/2.0 200 OK"), "");
}

}  // namespace
}  // namespace ringway
