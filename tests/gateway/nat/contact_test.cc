#include "gateway/nat/contact.h"

#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ringway {
namespace {

std::vector<ListenerInfo> listeners() {
  ListenConfig udp, wss;
  udp.side = Side::Network;
  wss.transport = Transport::Wss;
  wss.advertise_host = "gateway.example.org";
  wss.advertise_port = 8443;
  return {{udp, *parse_endpoint("192.0.2.1:5060")}, {wss, *parse_endpoint("192.0.2.1:443")}};
}

class ContactAliasTest : public ::testing::Test {
 protected:
  static tls::Mac mac_with(std::uint8_t first) {
    tls::MacKey key{};
    key[0] = first;
    return tls::Mac(key);
  }
  static FlowToken token() {
    FlowToken token;
    token.kind = FlowToken::Kind::Contact;
    token.epoch = 9;
    token.flow = FlowId(1, 2, 3);
    token.listener = 1;
    token.user_agent = 42;
    return token;
  }
  std::string alias_of(std::string_view uri_text, ListenerIndex listener = 0) {
    const auto uri = sip::parse_uri(uri_text);
    EXPECT_TRUE(uri) << uri_text;
    std::array<std::uint8_t, 4096> memory;
    Writer out(memory);
    const bool written = write_contact_alias(*uri, token(), listener, own_, mac_, out);
    EXPECT_EQ(written, out.size() != 0);
    return written ? std::string(out.written_text()) : std::string(uri_text);
  }
  // "" : no alias; "refused"; else the original.
  std::string undone(std::string_view uri_text) { return undone(uri_text, mac_); }
  std::string undone(std::string_view uri_text, const tls::Mac& mac) {
    const auto uri = sip::parse_uri(uri_text);
    if (!uri) return "unreadable";
    std::array<std::uint8_t, 4096> memory;
    Writer scratch(memory);
    const auto alias = undo_contact_alias(*uri, own_, mac, scratch);
    if (!alias) return "";
    return alias->refused ? "refused" : std::string(alias->uri);
  }

  OwnUris own_{listeners()};
  tls::Mac mac_ = mac_with(1);
};

TEST_F(ContactAliasTest, TheOriginalComesBackByteForByte) {
  for (const std::string_view text : {
           "sip:alice@xyz123.invalid;transport=ws",
           "sip:alice:secret@10.0.0.7:5144;transport=tls",
           "sips:alice@[2001:db8::7]:5061;ob",
           "sip:10.0.0.7",
           "sip:a;phone-context=x@10.0.0.7;pn-provider=fcm;pn-prid=A%20b:c",
           "SIP:Alice@Host.Example.org;Transport=WS",
       }) {
    const std::string alias = alias_of(text);
    ASSERT_TRUE(sip::parse_uri(alias)) << alias;
    EXPECT_EQ(undone(alias), text) << alias;
    EXPECT_EQ(undone(alias_of(text, 1)), text) << alias;
  }
}

TEST_F(ContactAliasTest, PointsAtTheListenerAndKeepsTheUser) {
  const std::string udp = alias_of("sip:alice@xyz.invalid;transport=ws");
  EXPECT_TRUE(udp.starts_with("sip:alice@192.0.2.1:5060;rwc=q")) << udp;
  const std::string wss = alias_of("sip:alice@xyz.invalid;transport=ws", 1);
  EXPECT_TRUE(wss.starts_with("sip:alice@gateway.example.org:8443;transport=ws;rwc=q")) << wss;
}

TEST_F(ContactAliasTest, CarriesTheToken) {
  const std::string alias = alias_of("sip:alice@xyz.invalid");
  std::array<std::uint8_t, 512> memory;
  Writer scratch(memory);
  const auto read = undo_contact_alias(*sip::parse_uri(alias), own_, mac_, scratch);
  ASSERT_TRUE(read);
  ASSERT_FALSE(read->refused);
  EXPECT_EQ(read->token.kind, FlowToken::Kind::Contact);
  EXPECT_EQ(read->token.flow, FlowId(1, 2, 3));
  EXPECT_EQ(read->token.user_agent, 42u);
}

TEST_F(ContactAliasTest, ForeignUrisAreNoAliases) {
  EXPECT_EQ(undone("sip:alice@xyz.invalid"), "");
  EXPECT_EQ(undone("sip:alice@192.0.2.1:5060"), "");
  std::string elsewhere = alias_of("sip:alice@xyz.invalid");
  elsewhere.replace(elsewhere.find("192.0.2.1"), 9, "192.0.2.2");
  EXPECT_EQ(undone(elsewhere), "");
  EXPECT_EQ(undone("tel:+4930123;rwc=x"), "");
}

TEST_F(ContactAliasTest, EachChangedCharacterOfUserTokenAndOriginalIsRefused) {
  const std::string alias = alias_of("sip:alice@xyz.invalid;transport=ws");
  const std::size_t user = alias.find("alice");
  const std::size_t token_begin = alias.find("rwc=") + 4, token_end = alias.find(";rwo=");
  for (std::size_t i = 0; i < alias.size(); ++i) {
    const bool in_user = i >= user && i < user + 5;
    const bool in_token = i >= token_begin && i < token_end;
    const bool in_original = i >= token_end + 5;
    if (!in_user && !in_token && !in_original) continue;
    std::string changed = alias;
    changed[i] = changed[i] == 'x' ? 'y' : 'x';
    EXPECT_EQ(undone(changed), "refused") << changed;
  }
}

TEST_F(ContactAliasTest, TornAliasesAreRefused) {
  const std::string alias = alias_of("sip:alice@xyz.invalid");
  const std::string other = alias_of("sip:bob@evil.example.org");
  const auto original = [](const std::string& text) { return text.substr(text.find(";rwo=")); };
  EXPECT_EQ(undone(alias.substr(0, alias.find(";rwo="))), "refused");
  EXPECT_EQ(undone(alias.substr(0, alias.find(";rwo=")) + ";rwo="), "refused");
  EXPECT_EQ(undone(alias.substr(0, alias.find(";rwo=")) + original(other)), "refused");
  EXPECT_EQ(undone("sip:alice@192.0.2.1:5060;rwc" + original(alias)), "refused");
  EXPECT_EQ(undone(alias, mac_with(2)), "refused");
  for (std::size_t size = alias.find(";rwc=") + 5; size < alias.size(); ++size) {
    const std::string result = undone(alias.substr(0, size));
    EXPECT_TRUE(result == "refused" || result == "unreadable") << alias.substr(0, size);
  }
}

// A registrar may add parameters behind the ones that it got.
TEST_F(ContactAliasTest, ParametersOfOthersBehindItAreAccepted) {
  EXPECT_EQ(undone(alias_of("sip:alice@xyz.invalid") + ";x=1"), "sip:alice@xyz.invalid");
}

TEST_F(ContactAliasTest, AContactTooLongForAnAliasStaysAsItIs) {
  for (std::size_t size = 1; size < 1'000; ++size) {
    const std::string text = "sip:alice@xyz.invalid;x=" + std::string(size, 'y');
    const std::string alias = alias_of(text);
    if (alias == text) {
      EXPECT_GT(size, 500u);
      EXPECT_LE(size, 700u) << "the longest that fits was missed";
      return;
    }
    ASSERT_LE(alias.size(), sip::kUriBytesMax) << size;
    ASSERT_EQ(undone(alias), text) << size;
  }
  FAIL() << "no bound";
}

}  // namespace
}  // namespace ringway
