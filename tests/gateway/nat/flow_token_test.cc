#include "gateway/nat/flow_token.h"

#include <array>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ringway {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view kCallId = "a84b4c76e66710@pc33.example.org";

tls::Mac mac_with(std::uint8_t first) {
  tls::MacKey key{};
  key[0] = first;
  return tls::Mac(key);
}

std::string token_text(const FlowToken& token, const tls::Mac& mac, std::string_view scope) {
  std::array<std::uint8_t, 256> memory;
  Writer out(memory);
  write_flow_token(token, mac, scope, out);
  return std::string(out.written_text());
}

FlowToken stream_token(FlowToken::Kind kind) {
  FlowToken token;
  token.kind = kind;
  token.epoch = 0x0304;
  token.node = 9;
  token.relay = 15;
  token.day = 11;
  token.next_hop = 62;
  token.flow = FlowId(7, 0xabcdef, 0x80000001);
  token.shard = 7;
  token.listener = 239;
  token.user_agent = 0xffff0000aaaa;
  if (kind == FlowToken::Kind::Access) {
    token.leg = 0xba98;
    token.access_profile = 5;
    token.network_profile = 2;
    token.far_end = 0x2000001;
  }
  return token;
}

FlowToken datagram_token(std::string_view remote) {
  FlowToken token = stream_token(FlowToken::Kind::Access);
  token.flow = {};
  token.remote = *parse_endpoint(remote);
  return token;
}

struct Case {
  std::string name;
  FlowToken token;
};

std::vector<Case> cases() {
  FlowToken network;
  network.leg = 77;
  std::vector<Case> all = {
      {"network", network},
      {"access", stream_token(FlowToken::Kind::Access)},
      {"path", stream_token(FlowToken::Kind::Path)},
      {"contact", stream_token(FlowToken::Kind::Contact)},
      {"datagram v4", datagram_token("192.0.2.1:65535")},
      {"datagram v6", datagram_token("[2001:db8::ff]:5060")},
  };
  for (const int flag : {0, 1, 2, 3}) {
    FlowToken token = stream_token(FlowToken::Kind::Access);
    token.paired = flag == 0 || flag == 3;
    token.media = flag == 1 || flag == 3;
    all.push_back({"flags " + std::to_string(flag), token});
  }
  all.push_back({"outbound", stream_token(FlowToken::Kind::Path)});
  all.back().token.outbound = true;
  all.push_back({"nothing known", {}});
  all.back().token.kind = FlowToken::Kind::Access;
  return all;
}

TEST(FlowToken, EachKindComesBackAsItWent) {
  const tls::Mac mac = mac_with(1);
  for (const auto& [name, token] : cases()) {
    const std::string text = token_text(token, mac, kCallId);
    EXPECT_LE(text.size(), kFlowTokenTextMax) << name;
    EXPECT_TRUE(looks_like_flow_token(text)) << name;
    const auto read = read_flow_token(text, mac, kCallId);
    ASSERT_TRUE(read) << name;
    EXPECT_EQ(*read, token) << name;
  }
}

TEST(FlowToken, Rfc5626_5_2_EachChangedCharacterIsRefused) {
  const tls::Mac mac = mac_with(1);
  for (const auto& [name, token] : cases()) {
    const std::string text = token_text(token, mac, kCallId);
    for (std::size_t i = 0; i < text.size(); ++i) {
      for (const char c : kAlphabet) {
        if (c == text[i]) continue;
        std::string changed = text;
        changed[i] = c;
        EXPECT_FALSE(read_flow_token(changed, mac, kCallId)) << name << " at " << i << " " << c;
      }
    }
  }
}

TEST(FlowToken, CutOrExtendedAtEachByteIsRefused) {
  const tls::Mac mac = mac_with(1);
  for (const auto& [name, token] : cases()) {
    const std::string text = token_text(token, mac, kCallId);
    for (std::size_t size = 0; size < text.size(); ++size) {
      EXPECT_FALSE(read_flow_token(text.substr(0, size), mac, kCallId)) << name << " at " << size;
      EXPECT_FALSE(read_flow_token(text.substr(text.size() - size), mac, kCallId)) << name;
    }
    for (std::size_t extra = 1; extra < 120; ++extra) {
      EXPECT_FALSE(read_flow_token(text + std::string(extra, 'A'), mac, kCallId)) << name;
    }
  }
}

TEST(FlowToken, AnotherScopeOrKeyIsRefused) {
  const tls::Mac mac = mac_with(1), other = mac_with(2);
  for (const auto& [name, token] : cases()) {
    const std::string text = token_text(token, mac, kCallId);
    const bool scoped = token.kind != FlowToken::Kind::Path;
    for (const std::string_view scope : {std::string_view("a84b4c76e66710@pc33.example.orG"),
                                         std::string_view(), kCallId.substr(1)}) {
      EXPECT_NE(read_flow_token(text, mac, scope).has_value(), scoped) << name;
    }
    EXPECT_FALSE(read_flow_token(text, other, kCallId)) << name;
    EXPECT_TRUE(read_flow_token(text, mac_with(1), kCallId)) << name << ": same key, after restart";
  }
}

TEST(FlowToken, ItsSizeIsThatOfItsLayout) {
  const tls::Mac mac = mac_with(1);
  const auto size = [&](const FlowToken& token) { return token_text(token, mac, kCallId).size(); };
  EXPECT_EQ(size({}), 21u);
  EXPECT_EQ(size(stream_token(FlowToken::Kind::Access)), 52u);
  EXPECT_EQ(size(datagram_token("192.0.2.1:65535")), 51u);
  EXPECT_EQ(size(datagram_token("[2001:db8::ff]:5060")), 67u);
  EXPECT_EQ(size(stream_token(FlowToken::Kind::Path)), 44u);
  EXPECT_EQ(size(stream_token(FlowToken::Kind::Contact)), 44u);
}

// Nothing of a user can be read: two tokens that differ in one field have no byte in common that
// says so, and the same field in two dialogs never looks the same.
TEST(FlowToken, NothingShowsThrough) {
  const tls::Mac mac = mac_with(1);
  const FlowToken token = stream_token(FlowToken::Kind::Access);
  const std::string one = token_text(token, mac, kCallId), two = token_text(token, mac, "other");
  EXPECT_EQ(one, token_text(token, mac, kCallId));
  std::size_t same = 0;
  for (std::size_t i = 1; i < one.size(); ++i) same += one[i] == two[i];
  EXPECT_LT(same, 8u);  // one in 64 by chance
}

TEST(FlowToken, TheFormerFormIsKnownAndProvesNothing) {
  const tls::Mac mac = mac_with(1);
  for (const std::size_t size : {24, 51, 52, 67}) {
    const std::string old = "r" + std::string(size - 1, 'A');
    EXPECT_TRUE(looks_like_old_flow_token(old));
    EXPECT_FALSE(looks_like_flow_token(old));
    EXPECT_FALSE(read_flow_token(old, mac, kCallId));
  }
  EXPECT_FALSE(looks_like_old_flow_token("r" + std::string(30, 'A')));
  EXPECT_FALSE(looks_like_old_flow_token("r" + std::string(23, '.')));
}

TEST(FlowToken, ATokenLivesThirteenDays) {
  for (std::uint64_t today = 20'000; today < 20'020; ++today) {
    const auto written = [&](std::uint64_t days_ago) {
      return static_cast<std::uint8_t>((today - days_ago) & 15);
    };
    EXPECT_FALSE(is_stale(written(0), today));
    EXPECT_FALSE(is_stale(written(13), today));
    EXPECT_TRUE(is_stale(written(14), today));
    EXPECT_TRUE(is_stale(static_cast<std::uint8_t>((today + 1) & 15), today));
  }
}

TEST(FlowToken, OrdinaryUserPartsDoNotLookLikeTokens) {
  for (const std::string_view text :
       {"", "alice", "q", "qqqqqqqqqqqqqqqqqqqq", "xAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "qAAAAAAAAAAAAAAAAAAAAAA.AAAA", "q+49301234567890123456789012"}) {
    EXPECT_FALSE(looks_like_flow_token(text)) << text;
  }
  EXPECT_FALSE(looks_like_flow_token("q" + std::string(kFlowTokenTextMax, 'A')));
}

TEST(FlowToken, NoiseIsRefused) {
  constexpr unsigned kSeed = 5626;
  std::mt19937 random(kSeed);
  const tls::Mac mac = mac_with(1);
  for (int round = 0; round < 20'000; ++round) {
    std::string text = "q";
    const std::size_t size = random() % 110;
    for (std::size_t i = 0; i < size; ++i) text += kAlphabet[random() % kAlphabet.size()];
    ASSERT_FALSE(read_flow_token(text, mac, kCallId)) << "seed " << kSeed << " " << text;
  }
}

TEST(UserAgentHash, NamesAorAndInstanceUnderOneKey) {
  const tls::Mac mac = mac_with(1), other = mac_with(2);
  const std::uint64_t hash = user_agent_hash(mac, "sip:alice@example.org", "<urn:uuid:1>;1");
  EXPECT_NE(hash, 0u);
  EXPECT_EQ(hash, user_agent_hash(mac_with(1), "sip:alice@example.org", "<urn:uuid:1>;1"));
  EXPECT_NE(hash, user_agent_hash(mac, "sip:alice@example.org", "<urn:uuid:1>;2"));
  EXPECT_NE(hash, user_agent_hash(mac, "sip:bob@example.org", "<urn:uuid:1>;1"));
  EXPECT_NE(hash, user_agent_hash(other, "sip:alice@example.org", "<urn:uuid:1>;1"));
}

}  // namespace
}  // namespace ringway
