#include "protocol/transaction/key.h"

#include <gtest/gtest.h>

#include <string>

namespace ringway::transaction {
namespace {

constexpr HashKey kKey{0x0123456789abcdef, 0xfedcba9876543210};

RequestIdentity modern() {
  RequestIdentity request;
  request.branch = "z9hG4bK74bf9";
  request.sent_by = "client.example.com:5062";
  request.method = "INVITE";
  request.call_id = "1@client";
  request.from_tag = "f";
  request.top_via = "SIP/2.0/UDP client.example.com:5062;branch=z9hG4bK74bf9";
  request.request_uri = "sip:bob@example.com";
  request.cseq = 7;
  return request;
}

RequestIdentity old() {
  RequestIdentity request = modern();
  request.branch = "1";
  return request;
}

TransactionKey key_of(const RequestIdentity& request) {
  return transaction_key(kKey, request);
}

template <class Change>
TransactionKey changed(RequestIdentity request, Change change) {
  change(request);
  return key_of(request);
}

TEST(TransactionKey1723, IsTheSameForTheSameRequest) {
  EXPECT_EQ(key_of(modern()), key_of(modern()));
  EXPECT_EQ(key_of(old()), key_of(old()));
  EXPECT_FALSE(key_of(modern()) == key_of(old()));
}

TEST(TransactionKey1723, AckMatchesInviteAndCancelDoesNot) {
  EXPECT_EQ(changed(modern(), [](auto& r) { r.method = "ACK"; }), key_of(modern()));
  EXPECT_EQ(changed(old(), [](auto& r) { r.method = "ACK"; }), key_of(old()));
  EXPECT_FALSE(changed(modern(), [](auto& r) { r.method = "CANCEL"; }) == key_of(modern()));
  EXPECT_FALSE(changed(modern(), [](auto& r) { r.method = "ack"; }) == key_of(modern()));
}

TEST(TransactionKey1723, BranchAndSentByCount) {
  EXPECT_FALSE(changed(modern(), [](auto& r) { r.branch = "z9hG4bK74bf8"; }) == key_of(modern()));
  EXPECT_FALSE(changed(modern(), [](auto& r) { r.sent_by = "client.example.com"; }) ==
               key_of(modern()));
  EXPECT_EQ(changed(modern(), [](auto& r) { r.sent_by = "Client.Example.COM:5062"; }),
            key_of(modern()));
}

TEST(TransactionKey1723, WithTheCookieNothingElseCounts) {
  EXPECT_EQ(changed(modern(),
                    [](auto& r) {
                      r.call_id = "2";
                      r.from_tag = "g";
                      r.top_via = "";
                      r.request_uri = "sip:x";
                      r.cseq = 8;
                    }),
            key_of(modern()));
}

TEST(TransactionKey1723, WithoutTheCookieTheRulesOf2543Count) {
  const TransactionKey key = key_of(old());
  EXPECT_FALSE(changed(old(), [](auto& r) { r.call_id = "2@client"; }) == key);
  EXPECT_FALSE(changed(old(), [](auto& r) { r.from_tag = "g"; }) == key);
  EXPECT_FALSE(changed(old(), [](auto& r) { r.top_via = "SIP/2.0/UDP a"; }) == key);
  EXPECT_FALSE(changed(old(), [](auto& r) { r.request_uri = "sip:x"; }) == key);
  EXPECT_FALSE(changed(old(), [](auto& r) { r.cseq = 8; }) == key);
  EXPECT_FALSE(changed(old(), [](auto& r) { r.method = "BYE"; }) == key);
  EXPECT_EQ(changed(old(), [](auto& r) { r.sent_by = "other"; }), key);
}

TEST(TransactionKey1723, TextsDoNotRunIntoEachOther) {
  const auto split = [](std::string_view call_id, std::string_view from_tag) {
    return changed(old(), [=](auto& r) {
      r.call_id = call_id;
      r.from_tag = from_tag;
    });
  };
  EXPECT_FALSE(split("ab", "c") == split("a", "bc"));
  EXPECT_FALSE(split("abc", "") == split("", "abc"));
}

TEST(TransactionKey1723, EachByteOfLongTextsCounts) {
  std::string branch = "z9hG4bK" + std::string(600, 'a');
  const auto key = [&branch] { return changed(modern(), [&](auto& r) { r.branch = branch; }); };
  const TransactionKey first = key();
  for (std::size_t i = 7; i < branch.size(); ++i) {
    branch[i] = 'b';
    EXPECT_FALSE(key() == first) << i;
    branch[i] = 'a';
  }
  branch.push_back('a');
  EXPECT_FALSE(key() == first);
}

TEST(TransactionKey1723, BothHalvesDependOnTheHashKey) {
  const TransactionKey one = transaction_key({1, 2}, modern());
  const TransactionKey two = transaction_key({1, 3}, modern());
  EXPECT_NE(one.high, two.high);
  EXPECT_NE(one.low, two.low);
  EXPECT_NE(one.high, one.low);
}

TEST(TransactionKey8117, MagicCookie) {
  EXPECT_TRUE(has_magic_cookie("z9hG4bK"));
  EXPECT_TRUE(has_magic_cookie("z9hg4bkx"));
  EXPECT_FALSE(has_magic_cookie("z9hG4b"));
  EXPECT_FALSE(has_magic_cookie(""));
}

}  // namespace
}  // namespace ringway::transaction
