#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>

#include "gateway/config/load.h"
#include "gateway/config/validate.h"
#include "gateway/control/control.h"
#include "gateway/control/lab_process.h"
#include "gateway/control/setup.h"
#include "gateway/shard/exchange.h"
#include "gateway/shard/shard.h"
#include "gateway/transport/listener.h"
#include "gateway/tunnel/command.h"
#include "tls/allocator.h"
#include "tls/certificate.h"

// The wiring diagram: configuration, sockets, shards, control thread.

namespace ringway {
namespace {

int fail(const std::string& text) {
  std::fprintf(stderr, "ringway: %s\n", text.c_str());
  return 1;
}

void print(const std::string& file, const std::vector<Mistake>& mistakes) {
  for (const Mistake& mistake : mistakes) {
    if (mistake.position.line == 0) {
      std::fprintf(stderr, "%s: %s\n", file.c_str(), mistake.text.c_str());
    } else {
      std::fprintf(stderr, "%s:%u:%u: %s\n", file.c_str(),
                   static_cast<unsigned>(mistake.position.line),
                   static_cast<unsigned>(mistake.position.column), mistake.text.c_str());
    }
  }
}

// Every flow is a descriptor: take what the system allows.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  static_cast<void>(setrlimit(RLIMIT_NOFILE, &limit));
}

// How the shards wait for the network, if it is not what an unhindered system gives.
void log_kernel(LogWriter& log, const KernelChoice& kernel) {
  if (kernel.kind != KernelKind::Epoll) return;
  const bool refused = !kernel.reason.empty();
  log.event(refused ? LogLevel::Warning : LogLevel::Info, "reactor_epoll",
            {{"reason", refused ? std::string_view(kernel.reason) : "configured"},
             {"lost", "rate: more system calls for each message than with io_uring"}});
}

// What `demo` adds around the gateway: pages beside the configured ones, a child to follow.
struct Extras {
  std::string phone_json;
  int follow = -1;
};

// A TLS listener is named by its certificate (RFC 5922 7.5): names that the config leaves out are
// read from it.
void read_certificate_names(Config& config) {
  for (ListenConfig& listen : config.listen) {
    if (listen.transport != Transport::Tls || !listen.advertise_host.empty()) continue;
    for (const CertificateConfig& certificate : listen.certificates) {
      const auto facts = tls::describe_certificate({certificate.chain_file, {}});
      if (!facts || !listen.advertise_host.empty()) continue;
      for (const std::string& name : facts->names) {
        if (name.find_first_of("*:/") != name.npos || parse_address(name)) continue;
        listen.advertise_host = name;
        break;
      }
    }
  }
}

int serve(Config config, const Extras& extras) {
  raise_descriptor_limit();
  const auto kernel = choose_kernel(config.reactor);
  if (!kernel) return fail(kernel.error());
  read_certificate_names(config);
  std::signal(SIGPIPE, SIG_IGN);
  const unsigned cores = std::max(std::thread::hardware_concurrency(), 1u);
  const unsigned shards = config.shards != 0 ? config.shards : std::min(cores, 64u);

  auto listeners = open_listeners(config, shards);
  if (!listeners) return fail(listeners.error());
  const auto token_key = make_token_key(config);
  if (!token_key) return fail(token_key.error());
  const auto filter = make_filter(config);
  if (!filter) return fail(filter.error());
  const tls::TicketKeys ticket_keys{tls::TicketKey::random(), std::nullopt};
  const auto tls_settings = make_tls_settings(config, ticket_keys, shards);
  if (!tls_settings) return fail(tls_settings.error());
  std::shared_ptr<const StaticPages> pages;
  if (!config.page.directory.empty()) {
    auto loaded = StaticPages::load(config.page.directory);
    if (!loaded) return fail(loaded.error());
    pages = *loaded;
    if (!extras.phone_json.empty()) {
      pages = std::make_shared<const StaticPages>(
          pages->with("/phone.json", {"application/json", extras.phone_json}));
    }
  }

  LogWriter log(LogWriter::format_of(config.log_format), config.log_level);
  log_kernel(log, *kernel);
  Control control({config, log, ticket_keys, *filter, listeners->front().infos});
  if (const auto opened = control.open(); !opened) return fail(opened.error());
  if (extras.follow >= 0) control.follow(extras.follow);
  Exchange exchange(shards);
  std::vector<std::unique_ptr<Shard>> running;
  for (unsigned i = 0; i < shards; ++i) {
    running.push_back(std::make_unique<Shard>(ShardSetup{
        config, static_cast<ShardIndex>(i), config.pin ? static_cast<int>(i % cores) : -1,
        std::move((*listeners)[i]), exchange, (*tls_settings)[i], pages,
        FilterRules::for_another_shard(*filter), nullptr, *token_key, control.log_queue(i),
        control.wake(), kernels_of(kernel->kind)}));
  }
  for (const auto& shard : running) {
    if (const auto started = shard->start(); !started) return fail(started.error());
  }
  return control.run(running);
}

int run(const std::string& file) {
  const LoadedConfig loaded = load_config(file);
  print(file, loaded.mistakes);
  if (!loaded.mistakes.empty()) return 1;
  return serve(loaded.config, {});
}

int check(const std::string& file) {
  const LoadedConfig loaded = load_config(file);
  print(file, loaded.mistakes);
  if (!loaded.mistakes.empty()) return 1;
  const Config& config = loaded.config;
  const auto tls_settings = make_tls_settings(config, {tls::TicketKey::random(), std::nullopt}, 1);
  const auto filter = make_filter(config);
  const auto key = make_token_key(config);
  for (const std::string& complaint : {tls_settings ? "" : tls_settings.error(),
                                       filter ? "" : filter.error(), key ? "" : key.error()}) {
    if (!complaint.empty()) return fail(file + ": " + complaint);
  }
  std::printf("%s: ok\n", file.c_str());
  for (const ListenConfig& listen : config.listen) {
    std::uint8_t memory[kEndpointTextMax];
    Writer address(memory);
    write_endpoint(listen.address, address);
    std::printf("  listens   %-4s %.*s (%s side)\n", std::string(to_text(listen.transport)).c_str(),
                static_cast<int>(address.size()), address.written_text().data(),
                listen.side == Side::Access ? "access" : "network");
  }
  for (const NextHopConfig& next_hop : config.next_hops) {
    std::printf("  next hop  %s%s\n", next_hop.name.c_str(),
                next_hop.domains.empty() ? " (default)" : "");
  }
  std::printf("  media     %zu rtpengine%s\n", config.media.relays.size(),
              config.media.relays.empty() ? ": SDP passes untouched" : "");
  return 0;
}

struct DemoOptions {
  std::string wss = "0.0.0.0:8443", certificate, key, rtpengine, page, host, admin;
};

int demo(const DemoOptions& options) {
  Config config;
  const auto wss = parse_endpoint(options.wss);
  const auto rtpengine = parse_endpoint(options.rtpengine);
  if (!wss) return fail("--wss: " + options.wss + " is not ADDRESS:PORT");
  if (!rtpengine) return fail("--rtpengine: " + options.rtpengine + " is not ADDRESS:PORT");
  const std::string host = options.host.empty() ? "127.0.0.1" : options.host;
  auto lab = start_lab(host);
  if (!lab) return fail(lab.error());

  ListenConfig browsers;
  browsers.name = "browsers";
  browsers.transport = Transport::Wss;
  browsers.address = *wss;
  browsers.advertise_host = host;
  browsers.certificates.push_back({{}, options.certificate, options.key, {}, {}, true});
  ListenConfig inside;
  inside.name = "inside";
  inside.side = Side::Network;
  inside.address = *parse_endpoint("127.0.0.1:0");
  config.listen = {browsers, inside};
  NextHopConfig next_hop;
  next_hop.name = "lab";
  const auto address = parse_endpoint(lab->address);
  next_hop.host = lab->address.substr(0, lab->address.rfind(':'));
  next_hop.port = address ? address->port : 0;
  next_hop.transport = Transport::Udp;
  config.next_hops = {next_hop};
  config.media.relays = {*rtpengine};
  config.page.directory = options.page;
  config.timers.drain = 2s;
  if (!options.admin.empty()) {
    const auto admin = parse_endpoint(options.admin);
    if (!admin) return fail("--admin: " + options.admin + " is not ADDRESS:PORT");
    config.admin = {true, *admin};
  }
  const int code = serve(config, {lab->page, lab->output});
  stop_lab(*lab);
  return code;
}

int make_certificate(const std::string& directory, const std::vector<std::string>& names) {
  const auto pair = tls::make_self_signed(names, 825);
  if (!pair) return fail(pair.error().text);
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  const std::string chain = directory + "/certificate.pem", key = directory + "/key.pem";
  std::ofstream(chain) << pair->certificate;
  {
    const mode_t before = umask(077);
    std::ofstream(key) << pair->key;
    umask(before);
  }
  if (!std::filesystem::exists(chain) || !std::filesystem::exists(key)) {
    return fail(directory + " cannot be written to");
  }
  std::printf("%s\n%s\n", chain.c_str(), key.c_str());
  return 0;
}

int main(int argc, char** argv) {
  CLI::App app{"Ringway: the edge that browser softphones and SIP phones connect to", "ringway"};
  app.set_version_flag("--version", std::string("ringway " RINGWAY_VERSION));
  app.require_subcommand(1);
  std::string file;
  auto* run_command = app.add_subcommand("run", "Serve with a configuration file");
  run_command->add_option("--config", file, "Configuration (TOML)")->required();
  auto* check_command = app.add_subcommand("check", "Report every mistake in a configuration file");
  check_command->add_option("--config", file, "Configuration (TOML)")->required();
  DemoOptions options;
  auto* demo_command = app.add_subcommand("demo", "The gateway with a lab beside it: a first call");
  demo_command->add_option("--wss", options.wss, "Where browsers connect")->capture_default_str();
  demo_command->add_option("--certificate", options.certificate, "Certificate chain (PEM)")
      ->required();
  demo_command->add_option("--key", options.key, "Its key (PEM)")->required();
  demo_command->add_option("--rtpengine", options.rtpengine, "rtpengine's listen-tcp-ng")
      ->required();
  demo_command->add_option("--page", options.page, "Directory of the softphone page");
  demo_command->add_option("--host", options.host, "Name or address that browsers use");
  demo_command->add_option("--admin", options.admin, "Admin address, e.g. 127.0.0.1:8080");
  std::string directory;
  std::vector<std::string> names;
  auto* certificate_command =
      app.add_subcommand("certificate", "Make a self-signed certificate and its key");
  certificate_command->add_option("--out", directory, "Directory to write to")->required();
  certificate_command->add_option("--name", names, "Host names and addresses")->required();
  tunnel::Command tunnel(app);
  CLI11_PARSE(app, argc, argv);
  if (tunnel.parsed()) return tunnel.run(notify_service_manager);
  if (run_command->parsed()) return run(file);
  if (check_command->parsed()) return check(file);
  if (demo_command->parsed()) return demo(options);
  return make_certificate(directory, names);
}

}  // namespace
}  // namespace ringway

int main(int argc, char** argv) {
  ringway::tls::install_allocator();
  return ringway::main(argc, argv);
}
