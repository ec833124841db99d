#include "gateway/check.h"

#include <grp.h>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <set>

#include "gateway/config/next_hop_address.h"
#include "gateway/control/setup.h"
#include "gateway/control/tls_setup.h"
#include "gateway/control/wall_clock.h"
#include "gateway/cpus.h"
#include "gateway/transport/port_owner.h"
#include "gateway/transport/static_pages.h"
#include "tls/context.h"

namespace ringway {
namespace {

class Warner {
 public:
  explicit Warner(const LoadedConfig& loaded)
      : config_(loaded.config), locations_(loaded.locations) {}

  std::vector<Mistake> run() {
    check_addresses();
    check_admin();
    check_secrets();
    check_descriptors();
    check_ports();
    doubt_lists();
    return std::move(found_);
  }

  // What `ringway run` refuses, too.
  std::vector<Mistake> run_refusals() {
    check_lists();
    check_pages();
    check_names();
    return std::move(found_);
  }

 private:
  void add(std::string path, std::string text) {
    for (;;) {
      const auto found = locations_.find(path);
      const std::size_t dot = path.find_last_of(".[");
      if (found != locations_.end() || dot == path.npos) {
        found_.push_back({found != locations_.end() ? found->second : Position{}, text});
        return;
      }
      path.resize(dot);
    }
  }
  void check_lists() {
    const auto lists = make_source_lists(config_, ListUse::First);
    if (!lists) add("bans", lists.error());
    for (std::size_t i = 0; i < config_.fraud.size(); ++i) {
      Config one;
      one.fraud = {config_.fraud[i]};
      const auto fraud = make_fraud_rules(one);
      if (!fraud) add("fraud[" + std::to_string(i) + "]", fraud.error());
    }
  }

  void doubt_lists() {
    const auto lists = make_source_lists(config_, ListUse::First);
    if (!lists) return;
    for (const std::string& doubt : (*lists)->doubts) add("bans", doubt);
  }

  void check_pages() {
    if (config_.page.directory.empty()) return;
    const auto pages = StaticPages::load(config_.page.directory);
    if (!pages) add("page.directory", pages.error());
  }

  void check_names() {
    const std::string& user = config_.process.user;
    if (!user.empty() && !getpwnam(user.c_str())) {
      add("process.user",
          "there is no user \"" + user + "\"; make one with: adduser --system --group " + user);
    }
    const CtlConfig& ctl = config_.ctl;
    if (!ctl.group.empty() && !getgrnam(ctl.group.c_str())) {
      add("ctl.group",
          "there is no group \"" + ctl.group + "\"; make it with: groupadd -r " + ctl.group);
    }
    if (ctl.socket.size() >= sizeof sockaddr_un{}.sun_path) {
      add("ctl.socket", "it is longer than 107 bytes; choose a shorter path");
    }
  }

  unsigned shards() const { return config_.shards != 0 ? config_.shards : read_cpus().shards(); }

  void check_addresses() {
    for (std::size_t i = 0; i < config_.listen.size(); ++i) {
      const Address& address = config_.listen[i].address.address;
      if (address.is_any() || host_has(address)) continue;
      add("listen[" + std::to_string(i) + "].address",
          "no interface of this host has the address " + text_of(address) +
              ": nothing arrives until it comes, as with a fail-over; is it mistyped?");
    }
    const Address& admin = config_.admin.address.address;
    if (config_.admin.enabled && !admin.is_any() && !host_has(admin)) {
      add("admin.address", "no interface of this host has the address " + text_of(admin) +
                               ": `ringway run` would not start here");
    }
  }

  void check_admin() {
    if (!config_.admin.enabled || config_.admin.address.address.is_loopback()) return;
    const std::string whence =
        config_.admin.address.address.is_any() ? "every network of this host" : "other hosts";
    add("admin.address",
        "metrics and health can be read from " + whence +
            (config_.admin.token_file.empty()
                 ? "; calls and commands need admin.token_file there, which is missing. Prefer "
                   "\"127.0.0.1:8080\" or a management network"
                 : "; prefer \"127.0.0.1:8080\" or a management network"));
  }

  void check_secret(const std::string& path, const std::string& file) {
    struct stat facts {};
    if (file.empty() || stat(file.c_str(), &facts) != 0 || (facts.st_mode & 066) == 0) return;
    char mode[8];
    std::snprintf(mode, sizeof mode, "%04o", static_cast<unsigned>(facts.st_mode & 07777));
    add(path, file + " has mode " + mode + ", so others can " +
                  ((facts.st_mode & 022) != 0 ? "change" : "read") +
                  " it; restrict it with: chmod 0600 " + file);
  }

  void check_secrets() {
    check_secret("key_file", config_.key_file);
    check_secret("admin.token_file", config_.admin.token_file);
    for (std::size_t i = 0; i < config_.listen.size(); ++i) {
      for (const CertificateConfig& certificate : config_.listen[i].certificates) {
        check_secret("listen[" + std::to_string(i) + "].key", certificate.key_file);
      }
    }
  }

  // Every connection is a descriptor.
  void check_descriptors() {
    if (!locations_.contains("limits.flows")) return;
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    const std::uint64_t wanted = std::uint64_t{config_.limits.flows} * shards();
    if (limit.rlim_max == RLIM_INFINITY || wanted <= limit.rlim_max) return;
    add("limits.flows", "flows = " + std::to_string(config_.limits.flows) + " for each of " +
                            std::to_string(shards()) + " shards are " + std::to_string(wanted) +
                            " connections, but a process may open only " +
                            std::to_string(limit.rlim_max) +
                            " descriptors here: raise LimitNOFILE= (ulimit -n), or lower flows");
  }

  void check_ports() {
    if (config_.shards != 0) return;  // validate() has looked
    for (std::size_t i = 0; i < config_.listen.size(); ++i) {
      const ListenConfig& listen = config_.listen[i];
      if (!listen.port_per_shard || listen.address.port + shards() - 1 <= 65'535) continue;
      add("listen[" + std::to_string(i) + "].address", "with port_per_shard and " +
                                                           std::to_string(shards()) +
                                                           " shards on this host the ports "
                                                           "go beyond 65535");
    }
  }

  const Config& config_;
  const Locations& locations_;
  std::vector<Mistake> found_;
};

// Of certificates that are read without complaint: those that peers will refuse all the same.
std::vector<Mistake> ended_certificates(const Config& config) {
  std::vector<Mistake> warnings;
  for (const CertificateEnd& end : certificate_ends(config)) {
    if (end.not_after > wall_seconds()) continue;
    warnings.push_back(
        {{}, end.file + " (" + end.used_by + ") has ended, so others refuse it: renew it"});
  }
  return warnings;
}

void print_summary(const Config& config) {
  for (const ListenConfig& listen : config.listen) {
    std::printf("  listens   %-4s %s (%s side)\n", std::string(to_text(listen.transport)).c_str(),
                text_of(listen.address).c_str(),
                listen.side == Side::Access ? "access" : "network");
  }
  for (const NextHopConfig& next_hop : config.next_hops) {
    std::printf("  next hop  %s%s\n", next_hop.name.c_str(),
                next_hop.domains.empty() ? " (default)" : "");
  }
  std::printf("  media     %zu rtpengine%s\n", config.media.relays.size(),
              config.media.relays.empty() ? ": SDP passes untouched" : "");
}

}  // namespace

void print(const std::string& file, const std::vector<Mistake>& mistakes, const char* kind) {
  for (const Mistake& mistake : mistakes) {
    if (mistake.position.line == 0) {
      std::fprintf(stderr, "%s: %s%s\n", file.c_str(), kind, mistake.text.c_str());
    } else {
      std::fprintf(stderr, "%s:%u:%u: %s%s\n", file.c_str(),
                   static_cast<unsigned>(mistake.position.line),
                   static_cast<unsigned>(mistake.position.column), kind, mistake.text.c_str());
    }
  }
}

std::vector<Mistake> warn(const LoadedConfig& loaded) {
  return Warner(loaded).run();
}

int check(const std::string& file) {
  const LoadedConfig loaded = load_config(file);
  print(file, loaded.mistakes);
  if (!loaded.mistakes.empty()) return 1;
  const Config& config = loaded.config;
  const auto tls_settings = make_tls_settings(config, {tls::TicketKey::random(), std::nullopt}, 1);
  const auto filter = make_filter(config);
  const auto key = make_token_key(config);
  const auto token = read_admin_token(config);
  for (const std::string& complaint :
       {tls_settings ? "" : tls_settings.error(), filter ? "" : filter.error(),
        key ? "" : key.error(), token ? "" : token.error()}) {
    if (complaint.empty()) continue;
    std::fprintf(stderr, "ringway: %s: %s\n", file.c_str(), complaint.c_str());
    return 1;
  }
  if (const auto refusals = Warner(loaded).run_refusals(); !refusals.empty()) {
    print(file, refusals);
    return 1;
  }
  print(file, warn(loaded), "warning: ");
  print(file, ended_certificates(config), "warning: ");
  std::printf("%s: ok\n", file.c_str());
  print_summary(config);
  return 0;
}

}  // namespace ringway
