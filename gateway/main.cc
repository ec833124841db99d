#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <expected>
#include <filesystem>
#include <memory>
#include <new>
#include <optional>
#include <system_error>

#include "gateway/admission/bans.h"
#include "gateway/ban_export/command.h"
#include "gateway/base/system_limits.h"
#include "gateway/certificate_files.h"
#include "gateway/check.h"
#include "gateway/config/load.h"
#include "gateway/config/tcp_twins.h"
#include "gateway/control/control.h"
#include "gateway/control/lab_process.h"
#include "gateway/control/listener_book.h"
#include "gateway/control/service_manager.h"
#include "gateway/control/setup.h"
#include "gateway/control/tls_setup.h"
#include "gateway/cpus.h"
#include "gateway/ctl/ctl.h"
#include "gateway/hardening.h"
#include "gateway/shard/exchange.h"
#include "gateway/shard/shard.h"
#include "gateway/transport/bounds.h"
#include "gateway/transport/listener.h"
#include "gateway/tunnel/command.h"
#include "tls/allocator.h"
#include "tls/random.h"

// The wiring diagram: configuration, sockets, shards, control thread.

namespace ringway {
namespace {

int fail(const std::string& text) {
  std::fprintf(stderr, "ringway: %s\n", text.c_str());
  return 1;
}

// Where the parent has closed one of the standard descriptors, the next socket would get its
// number, and with it what is meant for a log.
void hold_standard_descriptors() {
  int fd = 0;
  while (fd >= 0 && fd <= STDERR_FILENO) fd = open("/dev/null", O_RDWR);
  if (fd > STDERR_FILENO) close(fd);
}

// Every flow is a descriptor: take what the system allows.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  static_cast<void>(setrlimit(RLIMIT_NOFILE, &limit));
}

// That many are open before the first connection comes: a shard has its listeners, what it waits
// with, what wakes it, relays by UDP and what is kept for next hops; the rest is the control
// thread's, with some for files that are read.
std::uint64_t descriptors_needed(const Config& config, unsigned shards) {
  constexpr std::uint64_t kControl = 32, kShard = 2;
  return kControl + shards * (config.listen.size() + config.media.relays.size() + kShard +
                              bounds::kSpareDescriptors);
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
  std::string file;  // that a reload reads; empty: none
  std::vector<Mistake> warnings;
};

// The service manager holds the listeners of this process, so that nothing is refused between its
// end and the next one's start; what it holds for nobody any more it lets go of.
void keep_listeners(std::vector<ShardListeners>& shards, KeptSockets& kept, LogWriter& log) {
  for (const std::string& name : kept.drop_rest()) {
    forget_descriptors(name);
    log.event(LogLevel::Warning, "kept_socket_unused",
              {{"name", name}, {"meaning", "no listener of this configuration has its address"}});
  }
  if (!has_service_manager()) return;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    shards[i].kept = true;
    for (std::size_t k = 0; k < shards[i].sockets.size(); ++k) {
      keep_listener(shards[i].infos[k], i, shards[i].sockets[k].fd());
    }
  }
}

HashKey random_hash_key() {
  const auto bytes = tls::random_bytes<sizeof(HashKey)>();
  HashKey key;
  std::memcpy(key.data(), bytes.data(), sizeof key);
  return key;
}

// nullptr: the configuration names none.
std::expected<std::shared_ptr<const StaticPages>, std::string> load_pages(const Config& config,
                                                                          const Extras& extras) {
  if (config.page.directory.empty()) return nullptr;
  auto loaded = StaticPages::load(config.page.directory);
  if (!loaded) return std::unexpected(loaded.error());
  if (extras.phone_json.empty()) return *loaded;
  return std::make_shared<const StaticPages>(
      (*loaded)->with("/phone.json", {"application/json", extras.phone_json}));
}

// SIGHUP has a meaning once there is something to reload. SIGUSR1 and SIGUSR2 have none: scripts
// that were written for other servers (log rotation) send them, and they end nothing. SIGXFSZ comes
// of a log file at its limit (LimitFSIZE=).
void ignore_signals() {
  for (const int ignored : {SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2, SIGXFSZ}) {
    std::signal(ignored, SIG_IGN);
  }
}

void log_warnings(LogWriter& log, const std::vector<Mistake>& warnings,
                  const SourceLists& lists) {
  for (const Mistake& warning : warnings) {
    log.event(LogLevel::Warning, "config_warning",
              {{"line", warning.position.line}, {"text", warning.text}});
  }
  for (const std::string& doubt : lists.doubts) {
    log.event(LogLevel::Warning, "block_list_doubtful", {{"reason", doubt}});
  }
}

int serve(Config config, const Extras& extras) {
  ignore_signals();
  raise_descriptor_limit();
  const auto kernel = choose_kernel(config.reactor);
  if (!kernel) return fail(kernel.error());
  read_certificate_names(config);
  add_tcp_twins(config);
  const Cpus cpus = read_cpus();
  const unsigned shards = config.shards != 0 ? config.shards : cpus.shards();

  if (const auto enough = check_limits(descriptors_needed(config, shards)); !enough) {
    return fail(enough.error());
  }

  KeptSockets kept = KeptSockets::from_environment();
  auto listeners = open_listeners(config, shards, &kept);
  if (!listeners) return fail(listeners.error());
  const auto token_key = make_token_key(config);
  if (!token_key) return fail(token_key.error());
  const auto filter = make_filter(config);
  if (!filter) return fail(filter.error());
  const auto lists = make_source_lists(config, ListUse::First);
  if (!lists) return fail(lists.error());
  const auto fraud = make_fraud_rules(config);
  if (!fraud) return fail(fraud.error());
  CallCaps caps;
  std::optional<Bans> bans;
  try {
    bans.emplace(config.limits.bans, random_hash_key(), shards);
  } catch (const NoAddressSpace& missing) {
    return fail(
        memory_refusal("the ban table finds no address space", missing.bytes, "limits.bans"));
  }
  const tls::TicketKeys ticket_keys{tls::TicketKey::random(), std::nullopt};
  TlsMemory tls_memory;
  const auto tls_settings = make_tls_settings(config, ticket_keys, shards, &tls_memory);
  if (!tls_settings) return fail(tls_settings.error());
  const auto pages = load_pages(config, extras);
  if (!pages) return fail(pages.error());

  LogWriter log(LogWriter::format_of(config.log_format), config.log_level);
  log_kernel(log, *kernel);
  HeldListeners held;
  for (const ShardListeners& shard : *listeners) held.push_back(shard.infos);
  Control control({config, log, ticket_keys, *filter, std::move(held), extras.file,
                   *tls_settings, *pages, &*bans, std::move(tls_memory)});
  log_warnings(log, extras.warnings, **lists);
  if (const auto opened = control.open(); !opened) return fail(opened.error());
  if (const auto done = give_up_rights(config.process); !done) return fail(done.error());
  if (extras.follow >= 0) control.follow(extras.follow);
  keep_listeners(*listeners, kept, log);
  Exchange exchange(shards);
  const auto next_hops = control.first_next_hops(500ms);
  std::vector<std::unique_ptr<Shard>> running;
  for (unsigned i = 0; i < shards; ++i) {
    running.push_back(std::make_unique<Shard>(ShardSetup{
        config, static_cast<ShardIndex>(i), config.pin ? cpus.allowed[i % cpus.allowed.size()] : -1,
        std::move((*listeners)[i]), exchange, (*tls_settings)[i], *pages,
        FilterRules::for_another_shard(*filter), next_hops, *token_key, control.log_queue(i),
        control.wake(), kernels_of(kernel->kind), &*bans, *lists, *fraud, &caps}));
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
  return serve(loaded.config, {{}, -1, std::filesystem::absolute(file).string(), warn(loaded)});
}

// What a reload of the running gateway would do with the file as it stands.
int check_against_running(const std::string& file) {
  const int code = check(file);
  if (code != 0) return code;
  ctl::Options options;
  options.config = file;
  options.dry_run = true;
  options.words = {"reload"};
  return ctl::run(options);
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
  config.process.seccomp = false;  // it has a child to end
  if (!options.admin.empty()) {
    const auto admin = parse_endpoint(options.admin);
    if (!admin) return fail("--admin: " + options.admin + " is not ADDRESS:PORT");
    config.admin.enabled = true;
    config.admin.address = *admin;
  }
  const int code = serve(config, {lab->page, lab->output, {}, {}});
  stop_lab(*lab);
  return code;
}

int make_certificate(const std::string& directory, const std::vector<std::string>& names,
                     bool force) {
  const auto files =
      make_certificate_files(directory, names, force ? Overwrite::Yes : Overwrite::No);
  if (!files) return fail(files.error());
  std::printf("%s\n%s\n", files->chain.c_str(), files->key.c_str());
  return 0;
}

void add_ctl(CLI::App& app, ctl::Options& options) {
  auto* command = app.add_subcommand("ctl", "Ask or command a running gateway");
  command->add_option("--config", options.config, "Its configuration, which says where it listens");
  command->add_option("--socket", options.socket, "Its control socket");
  command->add_option("--admin", options.admin, "Its admin address, ADDRESS:PORT");
  command->add_option("--token-file", options.token_file, "Token for that, first line of a file");
  command->add_flag("--json", options.json, "Print JSON");
  command->add_flag("--dry-run", options.dry_run, "reload: only say what would happen");
  command->add_option("--for", options.lasting, "bans add: how long, like 1h");
  command->add_option("command", options.words, "What is asked")->required();
  command->footer(ctl::commands_help());
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
  bool against_running = false;
  check_command->add_flag("--against-running", against_running,
                          "Also say what a reload would change, and what needs a restart");
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
  bool force = false;
  certificate_command->add_flag("--force", force, "Replace files that exist");
  ctl::Options asked;
  add_ctl(app, asked);
  tunnel::Command tunnel(app);
  ban_export::Command bans_export(app);
  CLI11_PARSE(app, argc, argv);
  if (tunnel.parsed()) return tunnel.run(notify_service_manager);
  if (bans_export.parsed()) return bans_export.run(notify_service_manager);
  if (run_command->parsed()) return run(file);
  if (check_command->parsed()) return against_running ? check_against_running(file) : check(file);
  if (demo_command->parsed()) return demo(options);
  if (certificate_command->parsed()) return make_certificate(directory, names, force);
  return ctl::run(asked);
}

}  // namespace
}  // namespace ringway

int main(int argc, char** argv) {
  ringway::hold_standard_descriptors();
  ringway::tls::install_allocator();
  try {
    return ringway::main(argc, argv);
  } catch (const std::bad_alloc&) {
    return ringway::fail(ringway::memory_refusal("there is not enough memory", 0, "limits"));
  } catch (const std::filesystem::filesystem_error& error) {
    return ringway::fail(error.what());
  } catch (const std::system_error& error) {  // of a thread or a descriptor
    return ringway::fail(ringway::refusal(error));
  }
}
