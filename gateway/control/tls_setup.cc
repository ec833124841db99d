#include "gateway/control/tls_setup.h"

#include <algorithm>
#include <utility>

#include "gateway/control/wall_clock.h"
#include "tls/digest.h"

namespace ringway {
namespace {

tls::Pem file(const std::string& path) {
  return {path, {}};
}

std::expected<tls::ServerProfile, std::string> server_profile(const Config& config,
                                                              const ListenConfig& listen) {
  tls::ServerProfile profile;
  std::vector<CertificateConfig> certificates = listen.certificates;
  // The common ones come behind; where the listener has its own, that one is the default.
  const bool has_own = !certificates.empty();
  for (CertificateConfig common : config.certificates) {
    const bool known = std::any_of(
        certificates.begin(), certificates.end(),
        [&](const CertificateConfig& one) { return one.chain_file == common.chain_file; });
    if (known) continue;
    if (has_own) common.is_default = false;
    certificates.push_back(std::move(common));
  }
  for (const CertificateConfig& certificate : certificates) {
    const auto facts =
        tls::check_pair(file(certificate.chain_file), file(certificate.key_file), wall_seconds());
    // An expired certificate still serves; the peers decide.
    if (!facts && facts.error().code != tls::ErrorCode::CertificateExpired) {
      return std::unexpected(facts.error().text);
    }
    tls::ServerCertificate entry;
    entry.names = certificate.names;
    entry.primary = {file(certificate.chain_file), file(certificate.key_file)};
    if (!certificate.rsa_chain_file.empty()) {
      entry.secondary = {file(certificate.rsa_chain_file), file(certificate.rsa_key_file)};
    }
    // A listener's own certificates come before the common ones, whichever of these is the default.
    const bool is_common = profile.certificates.size() >= listen.certificates.size();
    entry.is_default = certificate.is_default && (!is_common || listen.certificates.empty());
    profile.certificates.push_back(std::move(entry));
  }
  profile.min_version =
      listen.tls_version_min >= 0x0304 ? tls::Version::Tls13 : tls::Version::Tls12;
  switch (listen.client_certificates) {
    case ClientCertificates::Ignore:
      break;
    case ClientCertificates::Request:
      profile.client_certificates = tls::ClientCertificatePolicy::Request;
      break;
    case ClientCertificates::Require:
      profile.client_certificates = tls::ClientCertificatePolicy::Require;
      break;
  }
  profile.client_purpose = listen.client_certificate_purpose == ClientCertificatePurpose::Client
                               ? tls::ClientPurpose::Client
                               : tls::ClientPurpose::ClientOrServer;
  profile.client_ca = file(listen.client_ca_file);
  profile.client_crl = file(listen.client_crl_file);
  profile.unknown_name = listen.unknown_server_name == UnknownServerName::Refuse
                             ? tls::UnknownNamePolicy::Refuse
                             : tls::UnknownNamePolicy::UseDefault;
  return profile;
}

tls::ClientProfile client_profile(const NextHopConfig& next_hop) {
  tls::ClientProfile profile;
  profile.ca = file(next_hop.tls_ca_file);
  profile.crl = file(next_hop.tls_crl_file);
  if (!next_hop.tls_certificate_file.empty()) {
    profile.own = {file(next_hop.tls_certificate_file), file(next_hop.tls_key_file)};
  }
  switch (next_hop.tls_name_check) {
    case NameCheck::Strict:
      profile.name_policy = tls::NamePolicy::Strict;
      break;
    case NameCheck::Wildcard:
      profile.name_policy = tls::NamePolicy::AllowWildcards;
      break;
    case NameCheck::Off:
      profile.name_policy = tls::NamePolicy::None;
      break;
  }
  if (next_hop.tls_verify == TlsVerify::None) {
    profile.verify_chain = false;
    profile.name_policy = tls::NamePolicy::None;
  }
  return profile;
}

// A profile's place among all; equal ones share a place, and with it what is built from them.
std::uint16_t place_of(std::vector<tls::ClientProfile>& profiles, tls::ClientProfile&& profile) {
  const auto known = std::find(profiles.begin(), profiles.end(), profile);
  const auto place = static_cast<std::uint16_t>(known - profiles.begin());
  if (known == profiles.end()) profiles.push_back(std::move(profile));
  return place;
}

void add_pair(std::vector<std::string>& files, const tls::KeyPair& pair) {
  files.push_back(pair.chain.path);
  files.push_back(pair.key.path);
}

// Every file that the contexts are made from, with what stands in it.
TlsMemory::Files read_files(const tls::ContextConfig& contexts) {
  std::vector<std::string> paths;
  for (const tls::ServerProfile& server : contexts.servers) {
    for (const tls::ServerCertificate& certificate : server.certificates) {
      add_pair(paths, certificate.primary);
      add_pair(paths, certificate.secondary);
    }
    paths.push_back(server.client_ca.path);
    paths.push_back(server.client_crl.path);
  }
  for (const tls::ClientProfile& client : contexts.clients) {
    add_pair(paths, client.own);
    paths.push_back(client.ca.path);
    paths.push_back(client.crl.path);
  }
  TlsMemory::Files files;
  for (const std::string& path : paths) {
    if (path.empty() || files.contains(path)) continue;
    const auto read = tls::load_pem(file(path));
    if (read) files[path] = tls::sha256(as_bytes(read->text));
  }
  return files;
}

}  // namespace

std::expected<std::vector<std::shared_ptr<const TlsSettings>>, std::string> make_tls_settings(
    const Config& config, const tls::TicketKeys& keys, unsigned shards, TlsMemory* memory) {
  TlsMemory own;
  if (!memory) memory = &own;
  tls::ContextConfig contexts;
  std::vector<std::uint16_t> servers, clients;
  for (const ListenConfig& listen : config.listen) {
    if (listen.removed || !is_secure(listen.transport)) {
      servers.push_back(TlsSettings::kNone);
      continue;
    }
    auto profile = server_profile(config, listen);
    if (!profile) return std::unexpected("listener " + listen.name + ": " + profile.error());
    servers.push_back(static_cast<std::uint16_t>(contexts.servers.size()));
    contexts.servers.push_back(std::move(*profile));
  }
  for (const NextHopConfig& next_hop : config.next_hops) {
    clients.push_back(place_of(contexts.clients, client_profile(next_hop)));
  }
  // Peers that are no configured next hop (a Contact or Route inside a dialog): system CAs, strict.
  const std::uint16_t default_profile = place_of(contexts.clients, {});

  const auto trusted = memory->trust.store();
  TlsMemory::Files files = read_files(contexts);
  const bool is_known = memory->contexts.size() == shards && memory->profiles == contexts &&
                        memory->files == files && trusted && memory->trusted == *trusted;
  std::vector<tls::TlsContext> made;
  std::vector<std::shared_ptr<const TlsSettings>> settings;
  for (unsigned shard = 0; shard < shards; ++shard) {
    if (is_known) {
      made.push_back(memory->contexts[shard].with_ticket_keys(keys));
    } else {
      auto context = tls::TlsContext::build(contexts, keys, &memory->trust);
      if (!context) return std::unexpected(context.error().text);
      made.push_back(std::move(*context));
    }
    settings.push_back(std::make_shared<const TlsSettings>(
        TlsSettings{made.back(), servers, clients, default_profile}));
  }
  memory->contexts = std::move(made);
  memory->profiles = std::move(contexts);
  memory->files = std::move(files);
  memory->trusted = trusted ? *trusted : nullptr;
  return settings;
}

}  // namespace ringway
