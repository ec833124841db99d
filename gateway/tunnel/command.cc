#include "gateway/tunnel/command.h"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "gateway/config/table_reader.h"
#include "gateway/tunnel/start.h"

namespace ringway::tunnel {
namespace {

constexpr const char* kFooter = R"(
Without a fragment and without a loss: one message in, the same message out. The SIP server and
rtpengine stay as they are.

Instead of two socats:
  once, anywhere:        ringway tunnel keys --out /etc/ringway/tunnel
                         (prints which folder to copy to which host)
  on rtpengine's host:   ringway tunnel relay --listen 0.0.0.0:2225 \
                           --rtpengine 127.0.0.1:2223 --keys /etc/ringway/tunnel/relay
  on the SIP server:     ringway tunnel controller --listen 127.0.0.1:2223 \
                           --relay RTPENGINE_HOST:2225 --keys /etc/ringway/tunnel/controller

The SIP server's rtpengine socket then is udp:127.0.0.1:2223, as if rtpengine ran beside it.
Does it work?          printf '1 d7:command4:pinge' | nc -u -w1 127.0.0.1 2223
                         (prints 1 d6:result4:ponge, or an error that says what fails)
With a file: ringway tunnel --config FILE (configs/tunnel-controller.toml, tunnel-relay.toml).)";

int fail(const std::string& text) {
  std::fprintf(stderr, "ringway tunnel: %s\n", text.c_str());
  return 1;
}

void add_common(CLI::App& app, Wishes& wishes, std::string& silence) {
  app.add_option("--keys", wishes.keys, "Folder that `ringway tunnel keys` made for this end");
  app.add_option("--plain", wishes.plain,
                 "Private networks to which the tunnel goes without TLS (10.0.0.0/24); this host "
                 "needs neither this nor --keys");
  app.add_option("--kind", wishes.kind,
                 "control: rtpengine's; datagrams: any other UDP request-response protocol")
      ->capture_default_str();
  app.add_option("--admin", wishes.admin, "Counters: /metrics, /status, /healthz at ADDRESS:PORT");
  app.add_option("--admin-name", wishes.admin_names,
                 "A host name by which --admin is asked, beside its address and localhost");
  app.add_option("--user", wishes.user,
                 "Account to become when started as root (ringway, else nobody; root stays root)");
  app.add_option("--silence", silence, "A far end that owes an answer for so long is gone")
      ->capture_default_str();
}

}  // namespace

Command::Command(CLI::App& app) {
  tunnel_ = app.add_subcommand("tunnel", "Carry rtpengine's control messages between hosts");
  tunnel_->footer(kFooter);
  tunnel_->require_subcommand(0, 1);
  tunnel_->add_option("--config", file_, "One end's settings (TOML)");

  controller_ = tunnel_->add_subcommand("controller", "The end beside the SIP server");
  controller_
      ->add_option("--listen", wishes_.listen,
                   "Where the SIP server finds its rtpengine: ADDRESS:PORT (UDP) or unix:PATH")
      ->required();
  controller_
      ->add_option("--relay", wishes_.relay,
                   "Relay end, HOST:PORT; several: the next one takes over when one fails")
      ->required();
  controller_->add_option("--connections", wishes_.connections, "To each relay end, 1 to 8")
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  controller_->add_option("--timeout", timeout_, "After which an unanswered request gets an error")
      ->capture_default_str();
  add_common(*controller_, wishes_, silence_);

  relay_ = tunnel_->add_subcommand("relay", "The end beside rtpengine");
  relay_->add_option("--listen", wishes_.listen, "Where controller ends connect: ADDRESS:PORT")
      ->required()
      ->expected(1);
  relay_
      ->add_option("--rtpengine,--target", wishes_.rtpengine,
                   "Its listen-ng, ADDRESS:PORT, or its listen-tcp-ng, tcp:ADDRESS:PORT")
      ->required();
  relay_->add_option("--ping", wishes_.ping, "Ask rtpengine whether it serves: auto or off")
      ->capture_default_str();
  add_common(*relay_, wishes_, silence_);

  keys_ = tunnel_->add_subcommand("keys", "Make the certificates of both ends");
  keys_->add_option("--out", out_, "Folder to make them in")->required();
}

bool Command::parsed() const {
  return tunnel_->parsed();
}

int Command::run(Notify notify) {
  if (keys_->parsed()) {
    const auto made = make_keys(out_);
    if (!made) return fail(made.error());
    std::fputs(made->c_str(), stdout);
    return 0;
  }
  if (!controller_->parsed() && !relay_->parsed()) {
    if (file_.empty()) {
      std::fputs(tunnel_->help().c_str(), stdout);
      return 1;
    }
    return run_file(notify);
  }
  const auto timeout = parse_duration(timeout_), silence = parse_duration(silence_);
  if (!timeout || *timeout < 100ms || *timeout > 60s) {
    return fail("--timeout: 100ms to 60s, for example 4500ms");
  }
  if (!silence || *silence < 200ms || *silence > 60s) {
    return fail("--silence: 200ms to 60s, for example 1s");
  }
  wishes_.timeout = *timeout;
  wishes_.silence = *silence;
  return serve(wishes_, controller_->parsed() ? End::Controller : End::Relay, notify);
}

int Command::run_file(Notify notify) {
  std::vector<Mistake> mistakes;
  const Wishes wishes = read_wishes(file_, mistakes);
  for (const Mistake& mistake : mistakes) {
    const std::string place = mistake.position.line == 0
                                  ? std::string()
                                  : ":" + std::to_string(mistake.position.line) + ":" +
                                        std::to_string(mistake.position.column);
    std::fprintf(stderr, "%s%s: %s\n", file_.c_str(), place.c_str(), mistake.text.c_str());
  }
  if (!mistakes.empty()) return 1;
  return serve(wishes, wishes.end == "controller" ? End::Controller : End::Relay, notify);
}

int Command::serve(const Wishes& wishes, End end, Notify notify) {
  const auto settings = check_wishes(wishes, end);
  if (!settings) return fail(settings.error());
  const auto done = ringway::tunnel::run(*settings, notify);
  return done ? 0 : fail(done.error());
}

}  // namespace ringway::tunnel
