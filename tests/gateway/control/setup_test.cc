#include "gateway/control/setup.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "gateway/control/tls_setup.h"
#include "tests/tls/pair.h"
#include "tests/tls/pki.h"

namespace ringway {
namespace {

namespace fs = std::filesystem;

class SetupTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/setup-XXXXXX";
    root_ = mkdtemp(name);
  }
  void TearDown() override { fs::remove_all(root_); }
  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(root_ / name, std::ios::binary) << text;
    return root_ / name;
  }
  CertificateConfig certificate(const std::string& name, const tls::KeyPair& pair) {
    CertificateConfig config;
    config.chain_file = write(name + ".pem", pair.chain.text);
    config.key_file = write(name + ".key", pair.key.text);
    return config;
  }
  static Config with_tls(const CertificateConfig& certificate) {
    Config config;
    ListenConfig plain, secure;
    plain.name = "inside";
    secure.name = "browsers";
    secure.transport = Transport::Wss;
    secure.certificates = {certificate};
    config.listen = {plain, secure};
    return config;
  }
  std::string complaint(const Config& config) {
    const auto made = make_tls_settings(config, {tls::TicketKey::random(), std::nullopt}, 1);
    return made ? "none" : made.error();
  }
  static void expect_parts(const std::string& text, const std::vector<std::string>& parts) {
    for (const std::string& part : parts) {
      EXPECT_NE(text.find(part), std::string::npos) << "\"" << part << "\" in: " << text;
    }
    EXPECT_EQ(text.find('\n'), std::string::npos) << "one line: " << text;
  }

  tls::test::Authority authority_;
  fs::path root_;
};

TEST_F(SetupTest, OneSettingForEachShardAndAProfileForEachListener) {
  Config config = with_tls(certificate("gw", authority_.issue_for("gw.test")));
  config.next_hops.resize(2);
  const auto made = make_tls_settings(config, {tls::TicketKey::random(), std::nullopt}, 3);
  ASSERT_TRUE(made) << made.error();
  ASSERT_EQ(made->size(), 3u);
  EXPECT_EQ((*made)[0]->server_profiles, (std::vector<std::uint16_t>{TlsSettings::kNone, 0}));
  // Next hops of which the same is said share a profile.
  EXPECT_EQ((*made)[0]->client_profiles, (std::vector<std::uint16_t>{0, 0}));
  EXPECT_EQ((*made)[0]->default_client_profile, 0u);
  EXPECT_NE((*made)[0], (*made)[1]);
}

TEST_F(SetupTest, WhatHasNotChangedIsNotBuiltAgain) {
  Config config = with_tls(certificate("gw", authority_.issue_for("gw.test")));
  config.next_hops.resize(1);
  config.next_hops[0].tls_ca_file = write("ca.pem", authority_.pem().text);
  TlsMemory memory;
  tls::TicketKeys keys{tls::TicketKey::random(), std::nullopt};
  const auto make = [&] { return make_tls_settings(config, keys, 2, &memory); };
  auto last = make();
  ASSERT_TRUE(last) << last.error();
  // True if each shard goes on with the contexts that it has.
  const auto is_kept = [&] {
    auto made = make();
    EXPECT_TRUE(made);
    bool kept = true;
    for (std::size_t i = 0; made && i < made->size(); ++i) {
      kept &= (*made)[i]->context.has_profiles_of((*last)[i]->context);
    }
    last = std::move(made);
    return kept;
  };
  EXPECT_TRUE(is_kept());
  keys = keys.rotated();
  config.listen.insert(config.listen.begin(), ListenConfig());  // a place more, no certificate
  EXPECT_TRUE(is_kept());
  EXPECT_EQ((*last)[0]->server_profiles,
            (std::vector<std::uint16_t>{TlsSettings::kNone, TlsSettings::kNone, 0}));
  certificate("gw", authority_.issue_for("other.test"));
  EXPECT_FALSE(is_kept()) << "another certificate in the same file";
  EXPECT_TRUE(is_kept());
  write("ca.pem", tls::test::Authority("Stranger").pem().text);
  EXPECT_FALSE(is_kept()) << "another authority";
  config.listen[2].tls_version_min = 0x0304;
  EXPECT_FALSE(is_kept()) << "another rule";
  fs::remove(root_ / "ca.pem");
  EXPECT_FALSE(make()) << "a file that is gone is a mistake, also where it is known";
}

// RFC 6066 3: a client that names no server, or one that no certificate has, gets the listener's
// own certificate, also where a common one is the default.
TEST_F(SetupTest, Rfc6066_3_AListenersOwnCertificateComesBeforeTheCommonDefault) {
  const CertificateConfig own = certificate("own", authority_.issue_for("own.test"));
  CertificateConfig common = certificate("common", authority_.issue_for("common.test"));
  common.is_default = true;
  const CertificateConfig other = certificate("other", authority_.issue_for("other.test"));
  const auto served = [&](const Config& config, const std::string& name) {
    const auto made = make_tls_settings(config, {tls::TicketKey::random(), std::nullopt}, 1);
    EXPECT_TRUE(made) << made.error();
    tls::test::ForeignClient client(TLS1_3_VERSION, name);
    tls::test::Endpoint server(
        tls::TlsSession::accept((*made)[0]->context, (*made)[0]->server_profiles[1]));
    tls::test::shuttle(client, server);
    return client.certificate_name();
  };
  Config config = with_tls(own);
  config.certificates = {other, common};
  for (const char* name : {"", "unknown.test", "own.test"}) {
    EXPECT_EQ(served(config, name), "own.test") << name;
  }
  EXPECT_EQ(served(config, "common.test"), "common.test");
  config.listen[1].certificates.clear();
  EXPECT_EQ(served(config, ""), "common.test") << "the default of the common ones";
}

// The chain of a next hop's certificate counts, whatever becomes of the name (RFC 5922 7.3).
TEST_F(SetupTest, Rfc5922_7_3_TheChainCountsUnlessVerificationIsOff) {
  const tls::test::Authority stranger("Stranger");
  const struct {
    const char* name;
    NameCheck name_check;
    TlsVerify verify;
    bool has_ca;
    bool known;  // signed by that CA
    bool accepted;
  } kCases[] = {
      {"off, no CA, unknown", NameCheck::Off, TlsVerify::Chain, false, false, false},
      {"off, CA, unknown", NameCheck::Off, TlsVerify::Chain, true, false, false},
      {"off, CA, known", NameCheck::Off, TlsVerify::Chain, true, true, true},
      {"strict, CA, known, another name", NameCheck::Strict, TlsVerify::Chain, true, true, false},
      {"none", NameCheck::Strict, TlsVerify::None, false, false, true},
  };
  for (const auto& each : kCases) {
    const auto& signer = each.known ? authority_ : stranger;
    Config config = with_tls(certificate("gw", signer.issue_for("gw.test")));
    config.next_hops.resize(1);
    config.next_hops[0].tls_name_check = each.name_check;
    config.next_hops[0].tls_verify = each.verify;
    if (each.has_ca) config.next_hops[0].tls_ca_file = write("ca.pem", authority_.pem().text);
    const auto made = make_tls_settings(config, {tls::TicketKey::random(), std::nullopt}, 1);
    ASSERT_TRUE(made) << made.error();
    const TlsSettings& settings = *(*made)[0];
    tls::test::Endpoint client(
        tls::TlsSession::connect(settings.context, settings.client_profiles[0], "hop.test"));
    tls::test::Endpoint server(
        tls::TlsSession::accept(settings.context, settings.server_profiles[1]));
    tls::test::connect(client, server);
    EXPECT_EQ(client.session().handshake_done(), each.accepted) << each.name;
  }
}

TEST_F(SetupTest, ABadCertificateNamesTheListenerAndTheFile) {
  const CertificateConfig good = certificate("gw", authority_.issue_for("gw.test"));
  CertificateConfig missing = good;
  missing.chain_file = root_ / "missing.pem";
  expect_parts(complaint(with_tls(missing)), {"listener browsers", missing.chain_file});
  CertificateConfig noise = good;
  noise.chain_file = write("noise.pem", "this is no certificate");
  expect_parts(complaint(with_tls(noise)), {"listener browsers", noise.chain_file});
  CertificateConfig keyless = good;
  keyless.key_file = root_ / "missing.key";
  expect_parts(complaint(with_tls(keyless)), {"listener browsers", keyless.key_file});
  CertificateConfig mixed = good;
  mixed.key_file = certificate("other", authority_.issue_for("other.test")).key_file;
  expect_parts(complaint(with_tls(mixed)), {"listener browsers", mixed.key_file});
}

TEST_F(SetupTest, AnExpiredCertificateServesOn) {
  const auto expired = authority_.issue({.common_name = "gw.test",
                                         .alternative_names = "DNS:gw.test",
                                         .valid_from = -7'200,
                                         .valid_until = -3'600});
  EXPECT_EQ(complaint(with_tls(certificate("gw", expired))), "none");
}

TEST_F(SetupTest, ABadFileOfANextHopIsNamed) {
  Config config = with_tls(certificate("gw", authority_.issue_for("gw.test")));
  NextHopConfig next_hop;
  next_hop.tls_ca_file = root_ / "no-ca.pem";
  config.next_hops = {next_hop};
  expect_parts(complaint(config), {next_hop.tls_ca_file});
}

TEST_F(SetupTest, TheTokenKeyComesFromItsFileOrIsNew) {
  Config config;
  EXPECT_NE(*make_token_key(config), *make_token_key(config));
  config.key_file = write("key", "0123456789abcdefghijklmnopqrstuv");
  EXPECT_EQ(*make_token_key(config), *make_token_key(config));
  config.key_file = write("short", std::string(31, 'k'));
  const auto refused = make_token_key(config);
  ASSERT_FALSE(refused);
  expect_parts(refused.error(), {"key_file", config.key_file, "head -c 32"});
  config.key_file = root_ / "missing";
  ASSERT_FALSE(make_token_key(config));
  expect_parts(make_token_key(config).error(), {"key_file", config.key_file});
}

TEST_F(SetupTest, TheFilterIsBuiltInOrFromAFileOrOff) {
  Config config;
  ASSERT_TRUE(make_filter(config));
  EXPECT_FALSE((*make_filter(config))->rules().empty());
  config.filter_file = write("rules.toml", "[[rule]]\nname = 7\n");
  const auto refused = make_filter(config);
  ASSERT_FALSE(refused);
  expect_parts(refused.error(), {config.filter_file + ":"});
  config.filter_file = root_ / "missing.toml";
  ASSERT_FALSE(make_filter(config));
  expect_parts(make_filter(config).error(), {config.filter_file});
  config.filter = false;
  ASSERT_TRUE(make_filter(config));
  EXPECT_EQ(*make_filter(config), nullptr);
}

TEST_F(SetupTest, EveryFileWhoseChangeMattersIsWatched) {
  CertificateConfig pair;
  pair.chain_file = "c1";
  pair.key_file = "k1";
  pair.rsa_chain_file = "c2";
  pair.rsa_key_file = "k2";
  Config config = with_tls(pair);
  config.listen[1].client_ca_file = "ca";
  config.listen[1].client_crl_file = "crl";
  NextHopConfig next_hop;
  next_hop.tls_ca_file = "hop-ca";
  next_hop.tls_crl_file = "hop-crl";
  next_hop.tls_certificate_file = "hop-c";
  next_hop.tls_key_file = "hop-k";
  config.next_hops = {next_hop};
  config.filter_file = "rules";
  std::vector<std::string> files = watched_files(config);
  std::ranges::sort(files);
  EXPECT_EQ(files, (std::vector<std::string>{"c1", "c2", "ca", "crl", "hop-c", "hop-ca", "hop-crl",
                                             "hop-k", "k1", "k2", "rules"}));
}

}  // namespace
}  // namespace ringway
