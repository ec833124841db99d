#include "gateway/ban_export/command.h"

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "gateway/ban_export/exporter.h"
#include "gateway/config/load.h"
#include "gateway/ctl/place.h"

namespace ringway::ban_export {
namespace {

constexpr const char* kFooter =
    "The kernel then drops what banned sources send. A process of its own: it alone may change the "
    "network's filters.";

int fail(const std::string& text) {
  std::fprintf(stderr, "ringway bans-export: %s\n", text.c_str());
  return 1;
}

void add(std::vector<std::uint16_t>& ports, std::uint16_t port) {
  if (port != 0 && std::ranges::find(ports, port) == ports.end()) ports.push_back(port);
}

// Those on which strangers may knock.
GuardedPorts ports_of(const Config& config) {
  GuardedPorts ports;
  for (const ListenConfig& listener : config.listen) {
    if (listener.side != Side::Access) continue;
    const bool is_udp = listener.transport == Transport::Udp;
    add(is_udp ? ports.udp : ports.tcp, listener.address.port);
    if (is_udp && listener.tcp_twin) add(ports.tcp, listener.address.port);
  }
  return ports;
}

}  // namespace

Command::Command(CLI::App& app) {
  app_ = app.add_subcommand("bans-export", "Keep sets of nftables as the bans are");
  app_->footer(kFooter);
  app_->add_option("--config", config_,
                   "The gateway's configuration: where it is asked, and the ports of its access "
                   "side");
  app_->add_option("--socket", socket_, "Its control socket, in place of the configuration's");
  app_->add_option("--port", ports_, "Ports that are guarded, in place of the configuration's");
  app_->add_option("--table", table_, "Name of the table (inet); it is made, and goes at the end")
      ->check([](const std::string& name) {
        const bool plain = !name.empty() && name.size() <= 64 &&
                           std::ranges::all_of(name,
                                               [](char c) {
                                                 return (c >= 'a' && c <= 'z') ||
                                                        (c >= '0' && c <= '9') || c == '_';
                                               }) &&
                           !(name[0] >= '0' && name[0] <= '9');
        return plain ? std::string() : std::string("a name is made of a-z, 0-9 and _");
      })
      ->capture_default_str();
  app_->add_option("--every", every_, "Seconds between two looks at the bans")
      ->check(CLI::Range(1, 3'600))
      ->capture_default_str();
  app_->add_option("--user", user_,
                   "Account to become when started as root (the configuration's process.user)");
}

bool Command::parsed() const {
  return app_->parsed();
}

int Command::run(void (*notify)(std::string_view)) {
  ctl::Options options;
  options.config = config_;
  options.socket = socket_;
  const auto place = ctl::find_place(options);
  if (!place) return fail(place.error());
  GuardedPorts ports{ports_, ports_};
  if (!config_.empty()) {
    const Config config = load_config(config_).config;
    if (ports_.empty()) ports = ports_of(config);
    if (user_.empty()) user_ = config.process.user;
  }
  if (ports.tcp.empty() && ports.udp.empty()) {
    return fail("which ports are to be guarded? --config FILE says it, or --port PORT");
  }
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  for (const int ignored : {SIGPIPE, SIGUSR1, SIGUSR2, SIGXFSZ}) {
    std::signal(ignored, SIG_IGN);
  }
  auto nftables = Nftables::open(user_);
  if (!nftables) return fail(nftables.error());
  Exporter exporter({*place, std::move(ports), table_, std::chrono::seconds(every_), notify},
                    std::move(*nftables));
  return exporter.run();
}

}  // namespace ringway::ban_export
