#include "gateway/tunnel/shell.h"

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdint>

#include "gateway/tunnel/admin.h"
#include "gateway/tunnel/controller_shell.h"
#include "gateway/tunnel/relay_shell.h"
#include "gateway/tunnel/start.h"
#include "gateway/tunnel/voice.h"

namespace ringway::tunnel {
namespace {

using Failure = std::unexpected<std::string>;

std::atomic<bool> stopped{false};
std::atomic<int> stop_event{-1};

void on_signal(int) {
  stopped.store(true);
  const std::uint64_t one = 1;
  static_cast<void>(!write(stop_event.load(), &one, sizeof one));
}

// Descriptors that are left for connections, whatever the sockets to the target take.
constexpr std::uint64_t kDescriptorsKept = 256;

// Each controller's socket has one at the relay end: take what the system allows. How many.
std::uint64_t raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  limit.rlim_cur = limit.rlim_max;
  static_cast<void>(setrlimit(RLIMIT_NOFILE, &limit));
  return limit.rlim_cur;
}

// What this end is, in a line.
std::string described(const Settings& settings) {
  const char* how = settings.keys.empty() ? ", without TLS" : ", TLS";
  if (settings.end == End::Relay) {
    return "relay end, " + settings.relay_listen_text + " to rtpengine at " + settings.target.text +
           how;
  }
  return "controller end, " + settings.listen.front().text + " to " +
         settings.controller.relays.front().name + how;
}

template <typename Shell>
std::expected<void, std::string> serve(Shell& shell, const Settings& settings, int admin_fd,
                                       Notify notify) {
  if (auto started = shell.start(admin_fd); !started) return started;
  write_line(described(settings));
  for (const ListenAddress& address : settings.listen) {
    if (address.unix_socket || address.endpoint.address.is_loopback()) continue;
    write_line("whoever reaches " + address.text +
               " commands rtpengine; let only the SIP server in");
  }
  notify("READY=1");
  const auto done = shell.loop();
  notify("STOPPING=1");
  return done;
}

}  // namespace

std::expected<void, std::string> run(Settings settings, Notify notify) {
  const std::uint64_t streams =
      std::max(raise_descriptor_limit(), 2 * kDescriptorsKept) - kDescriptorsKept;
  settings.relay.streams_max =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(settings.relay.streams_max, streams));
  std::expected<tls::TlsContext, std::string> context = Failure(std::string());
  if (!settings.keys.empty()) {
    context = load_keys(settings.keys);
    if (!context) return Failure(context.error());
  }
  const tls::TlsContext* tls = context ? &*context : nullptr;
  Listeners listeners;
  int listen_fd = -1, admin_fd = -1;
  if (settings.end == End::Controller) {
    if (auto opened = listeners.open(settings.listen); !opened) return opened;
  } else {
    const auto opened = listen_on(settings.relay_listen, settings.relay_listen_text);
    if (!opened) return Failure(opened.error());
    listen_fd = *opened;
  }
  if (settings.admin) {
    const auto opened = listen_on(*settings.admin, "the admin address");
    if (!opened) return Failure(opened.error());
    admin_fd = *opened;
  }
  const HashKey cookies = cookie_key(settings);  // read while the key may be
  if (auto became = become(settings.user); !became) return became;

  const int wake_fd = eventfd(0, EFD_CLOEXEC);
  stop_event.store(wake_fd);
  for (const int ignored : {SIGPIPE, SIGUSR1, SIGUSR2, SIGXFSZ}) {
    std::signal(ignored, SIG_IGN);
  }
  std::signal(SIGTERM, on_signal);
  std::signal(SIGINT, on_signal);
  std::signal(SIGHUP, on_signal);
  const Process process{settings, tls, cookies, wake_fd, stopped};
  std::expected<void, std::string> done;
  if (settings.end == End::Controller) {
    ControllerShell shell(process, listeners);
    done = serve(shell, settings, admin_fd, notify);
  } else {
    RelayShell shell(process, listen_fd);
    done = serve(shell, settings, admin_fd, notify);
  }
  close(wake_fd);
  return done;
}

}  // namespace ringway::tunnel
