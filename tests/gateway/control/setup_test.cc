#include "gateway/control/setup.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

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
  EXPECT_EQ((*made)[0]->client_profiles, (std::vector<std::uint16_t>{0, 1}));
  EXPECT_EQ((*made)[0]->default_client_profile, 2u);
  EXPECT_NE((*made)[0], (*made)[1]);
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
