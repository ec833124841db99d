#include "gateway/control/setup.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <set>

#include "gateway/config/load.h"
#include "gateway/control/wall_clock.h"
#include "gateway/filter/rules_file.h"
#include "protocol/base/writer.h"
#include "tls/certificate.h"
#include "tls/digest.h"
#include "tls/random.h"

namespace ringway {
namespace {

tls::Pem file(const std::string& path) {
  return {path, {}};
}

// The rules of one file; an empty name: the built-in ones.
std::expected<std::vector<FilterRules::Rule>, std::string> read_rules(const std::string& file) {
  std::string text(built_in_rules());
  if (!file.empty()) {
    FileText read = read_text_file(file);
    if (!read.error.empty()) return std::unexpected(file + ": " + read.error);
    text = std::move(read.text);
  }
  LoadedRules loaded = parse_rules(text);
  if (loaded.mistakes.empty()) return std::move(loaded.rules);
  const Mistake& mistake = loaded.mistakes.front();
  return std::unexpected((file.empty() ? "built-in rules" : file) + ":" +
                         std::to_string(mistake.position.line) + ":" +
                         std::to_string(mistake.position.column) + ": " + mistake.text);
}

// What {local} in a rule stands for beside the listener's address.
std::vector<std::string> own_hosts(const Config& config) {
  std::vector<std::string> hosts;
  const auto add = [&](std::string host) {
    if (!host.empty() && std::find(hosts.begin(), hosts.end(), host) == hosts.end()) {
      hosts.push_back(std::move(host));
    }
  };
  for (const ListenConfig& listen : config.listen) {
    if (listen.removed) continue;
    add(listen.advertise_host);
    if (!listen.address.address.is_any()) {
      add(text_of(listen.address.address, AddressForm::Bracketed));
    }
  }
  for (const NextHopConfig& next_hop : config.next_hops) {
    for (const std::string& domain : next_hop.domains) add(domain);
  }
  return hosts;
}

}  // namespace

std::expected<std::shared_ptr<const FilterRules>, std::string> make_filter(const Config& config) {
  if (!config.filter) return nullptr;
  auto rules = read_rules(config.filter_file);
  if (!rules) return std::unexpected(rules.error());
  if (!config.filter_extra_file.empty()) {
    auto extra = read_rules(config.filter_extra_file);
    if (!extra) return std::unexpected(extra.error());
    if (rules->size() + extra->size() > FilterRules::kRulesMax) {
      return std::unexpected(config.filter_extra_file + ": more than " +
                             std::to_string(FilterRules::kRulesMax) +
                             " rules together with the other file");
    }
    rules->insert(rules->end(), extra->begin(), extra->end());
  }
  return std::make_shared<const FilterRules>(std::move(*rules), std::vector<Prefix>{},
                                             own_hosts(config));
}

std::expected<tls::MacKey, std::string> make_token_key(const Config& config) {
  if (config.key_file.empty()) return tls::random_bytes<32>();
  const FileText read = read_text_file(config.key_file);
  if (!read.error.empty())
    return std::unexpected("key_file " + config.key_file + ": " + read.error);
  if (read.text.size() < 32) {
    return std::unexpected("key_file " + config.key_file +
                           " has fewer than 32 bytes; make one with: head -c 32 /dev/urandom > " +
                           config.key_file);
  }
  constexpr std::size_t kValuesMin = 8;  // 32 random bytes have about 30, in hexadecimal 14
  if (std::set<char>(read.text.begin(), read.text.end()).size() < kValuesMin) {
    return std::unexpected("key_file " + config.key_file +
                           " can be guessed: it repeats a few bytes; make one with: head -c 32 "
                           "/dev/urandom > " +
                           config.key_file);
  }
  return tls::sha256(as_bytes(read.text));
}

std::expected<std::string, std::string> read_admin_token(const Config& config) {
  const std::string& file = config.admin.token_file;
  if (file.empty()) return std::string();
  const FileText read = read_text_file(file);
  if (!read.error.empty()) return std::unexpected("admin.token_file " + file + ": " + read.error);
  std::string token = read.text.substr(0, read.text.find_first_of("\r\n"));
  constexpr std::size_t kTokenBytesMin = 16;
  if (token.size() < kTokenBytesMin) {
    return std::unexpected("admin.token_file " + file +
                           " needs a first line of 16 characters or more; make one with: openssl "
                           "rand -hex 24 > " +
                           file);
  }
  return token;
}

std::vector<CertificateEnd> certificate_ends(const Config& config) {
  std::vector<CertificateEnd> ends;
  const auto add = [&](const std::string& path, const std::string& used_by) {
    if (path.empty()) return;
    const bool known = std::any_of(ends.begin(), ends.end(),
                                   [&](const CertificateEnd& end) { return end.file == path; });
    if (known) return;
    const auto facts = tls::describe_certificate(file(path));
    if (facts) ends.push_back({path, facts->subject, used_by, facts->not_after, false});
  };
  const auto add_list = [&](const std::string& path, const std::string& used_by) {
    if (path.empty()) return;
    const auto ends_at = tls::crl_expiry(file(path));
    if (ends_at && *ends_at != 0) ends.push_back({path, {}, used_by, *ends_at, true});
  };
  for (const ListenConfig& listen : config.listen) {
    if (listen.removed || !is_secure(listen.transport)) continue;
    for (const CertificateConfig& certificate : listen.certificates) {
      add(certificate.chain_file, "listener " + listen.name);
      add(certificate.rsa_chain_file, "listener " + listen.name);
    }
    add_list(listen.client_crl_file, "listener " + listen.name);
  }
  for (const NextHopConfig& next_hop : config.next_hops) {
    if (next_hop.removed) continue;
    add(next_hop.tls_certificate_file, "next hop " + next_hop.name);
    add_list(next_hop.tls_crl_file, "next hop " + next_hop.name);
  }
  return ends;
}

void read_certificate_names(Config& config) {
  for (ListenConfig& listen : config.listen) {
    if (listen.transport != Transport::Tls || !listen.advertise_host.empty()) continue;
    for (const CertificateConfig& certificate : listen.certificates) {
      const auto facts = tls::describe_certificate(file(certificate.chain_file));
      if (!facts || !listen.advertise_host.empty()) continue;
      for (const std::string& name : facts->names) {
        if (name.find_first_of("*:/") != name.npos || parse_address(name)) continue;
        listen.advertise_host = name;
        break;
      }
    }
  }
}

std::vector<std::string> watched_files(const Config& config) {
  std::vector<std::string> files;
  const auto add = [&](const std::string& path) {
    if (!path.empty()) files.push_back(path);
  };
  const auto add_pairs = [&](const std::vector<CertificateConfig>& certificates) {
    for (const CertificateConfig& certificate : certificates) {
      add(certificate.chain_file);
      add(certificate.key_file);
      add(certificate.rsa_chain_file);
      add(certificate.rsa_key_file);
    }
  };
  add_pairs(config.certificates);
  for (const ListenConfig& listen : config.listen) {
    if (listen.removed) continue;
    add_pairs(listen.certificates);
    add(listen.client_ca_file);
    add(listen.client_crl_file);
  }
  for (const NextHopConfig& next_hop : config.next_hops) {
    add(next_hop.tls_ca_file);
    add(next_hop.tls_crl_file);
    add(next_hop.tls_certificate_file);
    add(next_hop.tls_key_file);
  }
  add(config.filter_file);
  add(config.filter_extra_file);
  for (const std::string& file : config.bans.block_files) add(file);
  for (const FraudConfig& rule : config.fraud) add(rule.prefix_file);
  return files;
}

}  // namespace ringway
