#include "tls/context.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "tests/tls/pair.h"
#include "tests/tls/pki.h"

namespace ringway::tls::test {
namespace {

TicketKeys fresh_keys() {
  return {TicketKey::random(), std::nullopt};
}

TlsContext build(const ContextConfig& config, const TicketKeys& keys = fresh_keys()) {
  auto context = TlsContext::build(config, keys);
  if (!context) ADD_FAILURE() << context.error().text;
  return *context;
}

class ContextTest : public testing::Test {
 protected:
  // A session of the one server profile with a foreign client.
  struct Visit {
    std::string certificate;
    std::string key_type;
    ErrorCode error;
  };
  static Visit visit(const TlsContext& context, const std::string& name,
                     const char* signatures = nullptr) {
    ForeignClient a(TLS1_2_VERSION, name);
    if (signatures != nullptr) a.restrict_signatures(signatures);
    Endpoint b(TlsSession::accept(context, 0));
    shuttle(a, b);
    return {a.done() ? a.certificate_name() : "", a.done() ? a.key_type() : "",
            b.session().error().code};
  }
  // How one side sees a call between client and server profile 0.
  struct Views {
    ErrorCode client;
    ErrorCode server;
  };
  static Views call(const TlsContext& context, std::string_view name) {
    Endpoint a(TlsSession::connect(context, 0, name));
    Endpoint b(TlsSession::accept(context, 0));
    connect(a, b);
    return {a.session().error().code, b.session().error().code};
  }

  Authority authority_;
};

TEST_F(ContextTest, CertificateByServerName) {
  ServerProfile profile;
  profile.certificates = {
      {.names = {"a.test"}, .primary = authority_.issue_for("a.test")},
      {.names = {"*.b.test", "b.test"}, .primary = authority_.issue_for("b.test")},
      {.names = {}, .primary = authority_.issue_for("own.test")},
      {.names = {"d.test"}, .primary = authority_.issue_for("d.test"), .is_default = true},
  };
  const TlsContext context = build({{profile}, {}});
  const struct {
    const char* asked;
    const char* answered;
  } kCases[] = {
      {"a.test", "a.test"},     {"A.TEST", "a.test"},       {"x.a.test", "d.test"},
      {"b.test", "b.test"},     {"x.b.test", "b.test"},     {"x.y.b.test", "d.test"},
      {"own.test", "own.test"}, {"unknown.test", "d.test"}, {"", "d.test"},
  };
  for (const auto& each : kCases) {
    EXPECT_EQ(visit(context, each.asked).certificate, each.answered) << each.asked;
  }
}

TEST_F(ContextTest, UnknownServerNameRefused) {
  ServerProfile profile;
  profile.certificates = {{.names = {"a.test"}, .primary = authority_.issue_for("a.test")}};
  profile.unknown_name = UnknownNamePolicy::Refuse;
  const TlsContext context = build({{profile}, {}});
  EXPECT_EQ(visit(context, "a.test").certificate, "a.test");
  EXPECT_EQ(visit(context, "").certificate, "a.test");
  const Visit refused = visit(context, "b.test");
  EXPECT_EQ(refused.certificate, "");
  EXPECT_EQ(refused.error, ErrorCode::UnknownServerName);
  // The alert that the client sees.
  ClientProfile client;
  client.ca = authority_.pem();
  Endpoint a(TlsSession::connect(build({{}, {client}}), 0, "b.test"));
  Endpoint b(TlsSession::accept(context, 0));
  connect(a, b);
  EXPECT_EQ(a.session().error().code, ErrorCode::PeerAlert);
  EXPECT_EQ(a.session().error().alert, SSL_AD_UNRECOGNIZED_NAME);
}

TEST_F(ContextTest, SecondKeyForPeersWithoutEcdsa) {
  ServerProfile profile;
  profile.certificates = {
      {.primary = authority_.issue_for("a.test"),
       .secondary = authority_.issue(
           {.common_name = "rsa.test", .alternative_names = "DNS:a.test", .key = "RSA"})}};
  const TlsContext context = build({{profile}, {}});
  EXPECT_EQ(visit(context, "a.test").key_type, "EC");
  // TLS 1.2 signatures without ECDSA; the CA's own signature is not judged by this client.
  EXPECT_EQ(visit(context, "a.test", "RSA-PSS+SHA256:RSA+SHA256").key_type, "RSA");
}

TEST_F(ContextTest, ResumptionAcrossReloadAndRotation) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    ServerProfile profile;
    profile.certificates = {{.primary = authority_.issue_for("a.test")}};
    const TicketKeys keys = fresh_keys();
    const TlsContext first = build({{profile}, {}}, keys);
    const auto resume = [&](const TlsContext& context, std::vector<std::uint8_t>& ticket) {
      ForeignClient a(version, "a.test");
      if (!ticket.empty()) a.use_ticket(ticket);
      Endpoint b(TlsSession::accept(context, 0));
      shuttle(a, b);
      EXPECT_TRUE(a.done() && b.done());
      EXPECT_EQ(a.resumed(), b.session().resumed());
      b.send("data");
      shuttle(a, b);
      EXPECT_EQ(a.received(), "data");
      if (!a.ticket().empty()) ticket = a.ticket();
      return a.resumed();
    };
    std::vector<std::uint8_t> ticket;
    EXPECT_FALSE(resume(first, ticket));
    ASSERT_FALSE(ticket.empty());
    const std::vector<std::uint8_t> old = ticket;
    EXPECT_TRUE(resume(first, ticket)) << version;
    EXPECT_TRUE(resume(build({{profile}, {}}, keys), ticket)) << "after a reload";
    const TlsContext rotated = first.with_ticket_keys(keys.rotated());
    std::vector<std::uint8_t> renewed = old;
    EXPECT_TRUE(resume(rotated, renewed)) << "the previous generation";
    EXPECT_NE(renewed, old) << "is renewed";
    const TlsContext again = first.with_ticket_keys(keys.rotated().rotated());
    std::vector<std::uint8_t> too_old = old;
    EXPECT_FALSE(resume(again, too_old)) << "two generations later";
  }
}

TEST_F(ContextTest, ClientCertificatePolicies) {
  Authority strangers("Strangers CA");
  ServerProfile server;
  server.certificates = {{.primary = authority_.issue_for("gw.test")}};
  server.client_ca = authority_.pem();
  ClientProfile nobody;
  nobody.ca = authority_.pem();
  ClientProfile trunk = nobody;
  trunk.own = authority_.issue(
      {.common_name = "trunk.test", .alternative_names = "URI:sip:trunk.test,DNS:host.trunk.test"});
  ClientProfile stranger = nobody;
  stranger.own = strangers.issue_for("trunk.test");
  ClientProfile server_only = nobody;
  server_only.own = authority_.issue({.common_name = "x.test", .purpose = "serverAuth"});
  ClientProfile client_only = nobody;
  client_only.own = authority_.issue({.common_name = "x.test", .purpose = "clientAuth"});
  ClientProfile for_mail = nobody;
  for_mail.own = authority_.issue({.common_name = "x.test", .purpose = "emailProtection"});
  ClientProfile strange_server = nobody;
  strange_server.own = strangers.issue({.common_name = "x.test", .purpose = "serverAuth"});
  ClientProfile expired = nobody;
  expired.own = authority_.issue({.common_name = "x.test", .valid_until = -60});

  const struct {
    const char* name;
    ClientCertificatePolicy policy;
    const ClientProfile& client;
    ErrorCode outcome;
    ClientPurpose purpose = ClientPurpose::ClientOrServer;
  } kCases[] = {
      {"none asked", ClientCertificatePolicy::None, stranger, ErrorCode::None},
      {"request, none", ClientCertificatePolicy::Request, nobody, ErrorCode::None},
      {"request, good", ClientCertificatePolicy::Request, trunk, ErrorCode::None},
      {"request, bad", ClientCertificatePolicy::Request, stranger,
       ErrorCode::PeerCertificateUntrusted},
      {"require, none", ClientCertificatePolicy::Require, nobody,
       ErrorCode::PeerCertificateMissing},
      {"require, good", ClientCertificatePolicy::Require, trunk, ErrorCode::None},
      {"require, stranger", ClientCertificatePolicy::Require, stranger,
       ErrorCode::PeerCertificateUntrusted},
      {"require, for servers", ClientCertificatePolicy::Require, server_only, ErrorCode::None},
      {"require, for servers, client wanted", ClientCertificatePolicy::Require, server_only,
       ErrorCode::PeerCertificateUnusable, ClientPurpose::Client},
      {"require, for clients, client wanted", ClientCertificatePolicy::Require, client_only,
       ErrorCode::None, ClientPurpose::Client},
      {"require, for mail", ClientCertificatePolicy::Require, for_mail,
       ErrorCode::PeerCertificateUnusable},
      {"require, for servers, stranger", ClientCertificatePolicy::Require, strange_server,
       ErrorCode::PeerCertificateUntrusted},
      {"require, expired", ClientCertificatePolicy::Require, expired,
       ErrorCode::PeerCertificateExpired},
  };
  for (const auto& each : kCases) {
    server.client_certificates = each.policy;
    server.client_purpose = each.purpose;
    const TlsContext context = build({{server}, {each.client}});
    Endpoint a(TlsSession::connect(context, 0, "gw.test"));
    Endpoint b(TlsSession::accept(context, 0));
    connect(a, b);
    EXPECT_EQ(b.session().error().code, each.outcome)
        << each.name << ": " << name_of(b.session().error().code);
    const bool shown = &each.client == &trunk;
    const bool asked = each.policy != ClientCertificatePolicy::None;
    EXPECT_EQ(b.session().peer_verified(),
              asked && !each.client.own.chain.empty() && each.outcome == ErrorCode::None)
        << each.name;
    if (shown) {
      const CertificateIdentities identities = b.session().peer_identities();
      EXPECT_EQ(identities.sip_domains, std::vector<std::string>{"trunk.test"});
    }
  }
}

// A browser's ticket, sealed with the keys that all listeners share, opens no trunk.
TEST_F(ContextTest, TicketDoesNotReplaceTheCertificate) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    ServerProfile open;
    open.certificates = {{.primary = authority_.issue_for("gw.test")}};
    ServerProfile trunk = open;
    trunk.client_certificates = ClientCertificatePolicy::Require;
    trunk.client_ca = authority_.pem();
    const TlsContext context = build({{open, trunk}, {}});
    ForeignClient a(version, "gw.test");
    Endpoint b(TlsSession::accept(context, 0));
    shuttle(a, b);
    ASSERT_FALSE(a.ticket().empty());
    ForeignClient thief(version, "gw.test");
    thief.use_ticket(a.ticket());
    Endpoint c(TlsSession::accept(context, 1));
    shuttle(thief, c);
    EXPECT_FALSE(c.done());
    EXPECT_EQ(c.session().error().code, ErrorCode::PeerCertificateMissing);
  }
}

TEST_F(ContextTest, RevocationAfterReload) {
  ServerProfile server;
  server.certificates = {{.primary = authority_.issue_for("gw.test")}};
  server.client_certificates = ClientCertificatePolicy::Require;
  server.client_ca = authority_.pem();
  server.client_crl = authority_.revoke({1});
  ClientProfile trunk;
  trunk.ca = authority_.pem();
  trunk.own = authority_.issue({.common_name = "trunk.test", .serial = 77});
  const TlsContext before = build({{server}, {trunk}});
  Endpoint a(TlsSession::connect(before, 0, "gw.test"));
  Endpoint b(TlsSession::accept(before, 0));
  connect(a, b);
  ASSERT_TRUE(b.done());

  server.client_crl = authority_.revoke({1, 77});
  const TlsContext after = build({{server}, {trunk}});
  EXPECT_EQ(call(after, "gw.test").server, ErrorCode::PeerCertificateRevoked);
  a.send("old sessions live");
  shuttle(a, b);
  EXPECT_EQ(b.received(), "old sessions live");

  server.client_crl = authority_.revoke({1}, -60);
  const TlsContext stale = build({{server}, {trunk}});
  EXPECT_EQ(call(stale, "gw.test").server, ErrorCode::RevocationListUnusable);
}

TEST_F(ContextTest, VerifiesTheServerByRfc5922) {
  const struct {
    const char* common_name;
    const char* alternatives;
    const char* asked;
    NamePolicy policy;
    ErrorCode outcome;
  } kCases[] = {
      {"x", "DNS:a.test", "a.test", NamePolicy::Strict, ErrorCode::None},
      {"x", "DNS:a.test", "A.Test.", NamePolicy::Strict, ErrorCode::None},
      {"a.test", "DNS:b.test", "a.test", NamePolicy::Strict, ErrorCode::PeerNameMismatch},
      {"a.test", "", "a.test", NamePolicy::Strict, ErrorCode::None},
      {"x", "DNS:*.test.org", "a.test.org", NamePolicy::Strict, ErrorCode::PeerNameMismatch},
      {"x", "DNS:*.test.org", "a.test.org", NamePolicy::AllowWildcards, ErrorCode::None},
      {"x", "URI:sip:a.test,DNS:b.test", "a.test", NamePolicy::Strict, ErrorCode::None},
      {"x", "URI:sip:a.test,DNS:b.test", "b.test", NamePolicy::Strict, ErrorCode::PeerNameMismatch},
      {"x", "URI:sip:u@a.test,DNS:b.test", "b.test", NamePolicy::Strict, ErrorCode::None},
      {"x", "IP:192.0.2.7", "192.0.2.7", NamePolicy::Strict, ErrorCode::None},
      {"x", "IP:2001:db8::7", "2001:db8::7", NamePolicy::Strict, ErrorCode::None},
      {"x", "IP:192.0.2.7", "192.0.2.8", NamePolicy::Strict, ErrorCode::PeerNameMismatch},
      {"x", "DNS:b.test", "a.test", NamePolicy::None, ErrorCode::None},
  };
  for (const auto& each : kCases) {
    ServerProfile server;
    server.certificates = {{.names = {"unused.test"},
                            .primary = authority_.issue({.common_name = each.common_name,
                                                         .alternative_names = each.alternatives})}};
    ClientProfile client;
    client.ca = authority_.pem();
    client.name_policy = each.policy;
    const TlsContext context = build({{server}, {client}});
    EXPECT_EQ(call(context, each.asked).client, each.outcome)
        << each.alternatives << " asked as " << each.asked;
  }
}

TEST_F(ContextTest, DistrustIsSaidInWords) {
  Authority strangers("Strangers CA");
  ServerProfile server;
  server.certificates = {{.primary = strangers.issue_for("gw.test")}};
  ClientProfile client;
  client.ca = authority_.pem();
  const TlsContext context = build({{server}, {client}});
  Endpoint a(TlsSession::connect(context, 0, "gw.test"));
  Endpoint b(TlsSession::accept(context, 0));
  connect(a, b);
  EXPECT_EQ(a.session().error().code, ErrorCode::PeerCertificateUntrusted);
  EXPECT_EQ(b.session().error().code, ErrorCode::PeerDistrustsUs);
  EXPECT_EQ(b.session().error().detail, "unknown CA");
  client.verify_chain = false;
  const TlsContext careless = build({{server}, {client}});
  EXPECT_EQ(call(careless, "gw.test").client, ErrorCode::None);
}

TEST_F(ContextTest, MistakesNameTheFile) {
  const KeyPair good = authority_.issue_for("a.test");
  const KeyPair other = authority_.issue_for("b.test");
  const auto error_of = [](ServerProfile profile) {
    const auto context = TlsContext::build({{profile}, {}}, fresh_keys());
    return context ? Error{} : context.error();
  };
  ServerProfile profile;
  EXPECT_EQ(error_of(profile).code, ErrorCode::CertificateUnusable);
  profile.certificates = {{.primary = {good.chain, other.key}}};
  EXPECT_EQ(error_of(profile).code, ErrorCode::KeyMismatch);
  EXPECT_NE(error_of(profile).text.find("b.test.key"), std::string::npos);
  profile.certificates = {{.primary = {{"/nonexistent/chain.pem", ""}, good.key}}};
  EXPECT_EQ(error_of(profile).code, ErrorCode::FileUnreadable);
  EXPECT_NE(error_of(profile).text.find("/nonexistent/chain.pem"), std::string::npos);
  profile.certificates = {{.names = {"a.*.test"}, .primary = good}};
  EXPECT_EQ(error_of(profile).code, ErrorCode::CertificateUnusable);
  profile.certificates = {{.primary = good}};
  profile.client_certificates = ClientCertificatePolicy::Require;
  EXPECT_EQ(error_of(profile).code, ErrorCode::CertificateUnusable);
  profile.client_ca = good.key;
  EXPECT_EQ(error_of(profile).code, ErrorCode::NotPem);
}

}  // namespace
}  // namespace ringway::tls::test
