#include "tls/certificate.h"

#include <gtest/gtest.h>

#include <ctime>

#include "tests/tls/pair.h"
#include "tests/tls/pki.h"
#include "tls/context.h"

namespace ringway::tls::test {
namespace {

TEST(Certificate, SelfSignedWorksAndIsDescribed) {
  const std::string names[] = {"localhost", "*.demo.test", "127.0.0.1", "::1"};
  const auto made = make_self_signed(names, 30);
  ASSERT_TRUE(made.has_value()) << made.error().text;
  const Pem chain{"demo.pem", made->certificate};
  const Pem key{"demo.key", made->key};
  const std::int64_t now = std::time(nullptr);
  const auto facts = check_pair(chain, key, now);
  ASSERT_TRUE(facts.has_value()) << facts.error().text;
  EXPECT_EQ(facts->subject, "localhost");
  EXPECT_EQ(facts->names,
            (std::vector<std::string>{"localhost", "*.demo.test", "127.0.0.1", "::1"}));
  EXPECT_EQ(facts->key, KeyType::Ecdsa);
  EXPECT_EQ(facts->key_bits, 256u);
  EXPECT_TRUE(facts->self_signed);
  EXPECT_NEAR(static_cast<double>(facts->not_after - now), 30 * 86400.0, 60);
  EXPECT_EQ(check_pair(chain, key, now + 31 * 86400).error().code, ErrorCode::CertificateExpired);
  EXPECT_EQ(check_pair(chain, key, now - 86400).error().code, ErrorCode::CertificateExpired);

  ServerProfile server;
  server.certificates = {{.primary = {chain, key}}};
  ClientProfile client;
  client.ca = chain;
  const auto context = TlsContext::build({{server}, {client}}, {TicketKey::random(), std::nullopt});
  ASSERT_TRUE(context.has_value()) << context.error().text;
  for (const char* const name : {"localhost", "127.0.0.1", "::1"}) {
    Endpoint a(TlsSession::connect(*context, 0, name));
    Endpoint b(TlsSession::accept(*context, 0));
    connect(a, b);
    EXPECT_TRUE(a.done() && b.done()) << name << ": " << a.session().error().detail;
  }
}

TEST(Certificate, SelfSignedRefusesOddNames) {
  for (const std::string& name :
       {std::string(), std::string("a,DNS:b"), std::string("a b"), std::string("a\0b", 3)}) {
    EXPECT_FALSE(make_self_signed({&name, 1}, 30).has_value()) << name;
  }
  const std::string name = "a.test";
  EXPECT_FALSE(make_self_signed({&name, 1}, 0).has_value());
  EXPECT_FALSE(make_self_signed({}, 30).has_value());
}

TEST(Certificate, DamagedFiles) {
  const Authority authority;
  const KeyPair pair = authority.issue_for("a.test");
  EXPECT_EQ(describe_certificate(pair.key).error().code, ErrorCode::NotPem);
  EXPECT_EQ(describe_certificate({"x.pem", "hello"}).error().code, ErrorCode::NotPem);
  std::string damaged = pair.chain.text;
  damaged[damaged.size() / 2] = '!';
  EXPECT_EQ(describe_certificate({"x.pem", damaged}).error().code, ErrorCode::NotPem);
  EXPECT_EQ(describe_certificate({"/", ""}).error().code, ErrorCode::FileUnreadable);
  const std::int64_t now = std::time(nullptr);
  EXPECT_EQ(check_pair(pair.chain, pair.chain, now).error().code, ErrorCode::NotPem);
  for (std::size_t size = 0; size < pair.chain.text.size(); size += 13) {
    const auto cut = describe_certificate({"/nonexistent", pair.chain.text.substr(0, size)});
    EXPECT_TRUE(!cut || size + 2 >= pair.chain.text.size()) << size;
  }
}

TEST(Certificate, RevocationListExpiry) {
  const Authority authority;
  const auto expiry = crl_expiry(authority.revoke({}, 7200));
  ASSERT_TRUE(expiry.has_value());
  EXPECT_NEAR(static_cast<double>(*expiry - std::time(nullptr)), 7200, 60);
  EXPECT_EQ(crl_expiry(authority.pem()).error().code, ErrorCode::NotPem);
}

}  // namespace
}  // namespace ringway::tls::test
