#include "gateway/tunnel/shell.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <memory>

#include "gateway/reactor/kernel_choice.h"
#include "gateway/reactor/reactor.h"
#include "gateway/tunnel/admin.h"
#include "gateway/tunnel/connections.h"
#include "gateway/tunnel/operation_tags.h"
#include "gateway/tunnel/start.h"
#include "tls/random.h"

namespace ringway::tunnel {
namespace {

using Failure = std::unexpected<std::string>;
constexpr std::uint16_t kStreamGroup = 0;
constexpr std::uint32_t kStreamSize = 32 * 1024;

std::atomic<bool> stopped{false};
std::atomic<int> stop_event{-1};

void on_signal(int) {
  stopped.store(true);
  const std::uint64_t one = 1;
  static_cast<void>(!write(stop_event.load(), &one, sizeof one));
}

// Lines on stderr; no more than kLinesMax in a second, whatever strangers do.
class Voice {
 public:
  static constexpr unsigned kLinesMax = 20;

  void say(const std::string& text, Instant now) {
    if (now - since_ >= 1s) {
      if (said_ > kLinesMax) {
        std::fprintf(stderr, "ringway tunnel: %u more lines were left out\n", said_ - kLinesMax);
      }
      since_ = now;
      said_ = 0;
    }
    if (++said_ <= kLinesMax) std::fprintf(stderr, "ringway tunnel: %s\n", text.c_str());
  }

 private:
  Instant since_{};
  unsigned said_ = 0;
};

// io_uring, or epoll where that is refused. If neither can be had, Reactor::open() says why.
KernelKind kernel_kind() {
  const auto choice = choose_kernel(KernelKind::Auto);
  return choice ? choice->kind : KernelKind::IoUring;
}

// What both ends have: the reactor, the buffers of streams, connections, the admin port.
class Base : public ConnectionOwner, public Admin::Pages {
 public:
  Base(const Settings& settings, const tls::TlsContext* tls, int wake_fd)
      : settings_(settings),
        tls_(tls),
        reactor_(kernels_of(kernel_kind())(counters_, 0), counters_, waker_, wake_fd) {}
  ~Base() { reactor_.end(); }

  std::expected<void, std::string> start(std::uint16_t places, int admin_fd) {
    if (auto opened = reactor_.open(); !opened) return opened;
    auto opened = buffers_.open(kernel(), {kStreamGroup, 128, kStreamSize, kStreamSize + 64});
    if (!opened) return opened;
    connections_ = std::make_unique<Connections>(kernel(), buffers_, tls_, places, *this);
    admin_ = std::make_unique<Admin>(kernel(), buffers_, admin_fd, *this);
    return {};
  }

  std::expected<void, std::string> loop() {
    while (!stopped.load()) {
      const auto completions = reactor_.turn(next_deadline(), [] { return stopped.load(); });
      if (!reactor_.failure().empty()) return Failure(reactor_.failure());
      for (const Completion& completion : completions) dispatch(completion);
      if (now() >= next_deadline()) expire();
      connections_->flush();
      buffers_.publish();
      connections_->arm();
      admin_->arm();
      arm();
    }
    return {};
  }

 protected:
  virtual Instant next_deadline() const = 0;
  virtual void expire() = 0;
  virtual void arm() = 0;
  virtual void completed(const Completion& completion) = 0;
  virtual std::size_t queued() = 0;

  Kernel& kernel() { return reactor_.kernel(); }
  Instant now() const { return reactor_.now(); }

  void say_line(const std::string& text) { voice_.say(text, now()); }

  void dispatch(const Completion& completion) {
    const Operation& operation = completion.operation;
    switch (operation.kind) {
      case OperationKind::ReceiveStream:
      case OperationKind::SendStream:
      case OperationKind::Connect:
        if ((operation.id.slot & kAdminTag) != 0) return admin_->completed(completion);
        if ((operation.id.slot & kTargetTag) != 0) return completed(completion);
        return connections_->completed(completion);
      case OperationKind::Accept:
        if (operation.id.slot == kAdminListener) return admin_->completed(completion);
        return completed(completion);
      case OperationKind::ReceiveDatagram:
      case OperationKind::SendDatagram:
        return completed(completion);
      case OperationKind::WakeEvent:
      case OperationKind::None:
      case OperationKind::WakeShard:
        return;
    }
  }

  std::string metrics() override {
    numbers_.queued_bytes.set(queued());
    return metrics_page(numbers_, settings_.end == End::Controller ? "controller" : "relay");
  }

  const Settings& settings_;
  const tls::TlsContext* tls_;
  Counters counters_;
  Waker waker_;
  Numbers numbers_;
  Voice voice_;
  ReceiveBuffers buffers_;
  Reactor reactor_;
  std::unique_ptr<Connections> connections_;
  std::unique_ptr<Admin> admin_;
};

class ControllerShell final : public Base, private ControllerOutside {
 public:
  ControllerShell(const Settings& settings, const tls::TlsContext* tls, int wake_fd,
                  Listeners& listeners)
      : Base(settings, tls, wake_fd),
        listeners_(listeners),
        end_(settings.controller, *this, numbers_, seed(), key()) {}
  ~ControllerShell() { reactor_.end(); }

  std::expected<void, std::string> start(int admin_fd) {
    if (auto done = Base::start(end_.links(), admin_fd); !done) return done;
    if (auto done = listeners_.start(kernel(), numbers_); !done) return done;
    end_.start(now());
    return {};
  }

 private:
  static std::uint64_t seed() { return read_u64(tls::random_bytes<8>()); }
  // New with each start: what this process has asked is nobody else's.
  static HashKey key() {
    const auto bytes = tls::random_bytes<16>();
    return {read_u64(bytes), read_u64(Bytes(bytes).subspan(8))};
  }

  Instant next_deadline() const override { return end_.next_deadline(); }
  void expire() override { end_.expire(now()); }
  void arm() override { listeners_.arm(); }
  void completed(const Completion& completion) override {
    if (completion.operation.kind == OperationKind::ReceiveDatagram) {
      listeners_.completed(completion, end_, now());
    }
  }
  std::size_t queued() override {
    std::size_t bytes = 0;
    for (std::uint16_t i = 0; i < end_.links(); ++i) bytes += end_.link(i).queued_bytes();
    return bytes;
  }
  std::string status() override { return end_.status(); }

  void on_connected(std::uint16_t place) override { end_.connected(place, now()); }
  void on_opened(std::uint16_t place) override { end_.opened(place, now()); }
  void on_received(std::uint16_t place, Bytes bytes) override {
    end_.received(place, bytes, now());
  }
  void on_closed(std::uint16_t place, const std::string& reason) override {
    end_.closed(place, reason, now());
  }
  Link& link_at(std::uint16_t place) override { return end_.link(place); }

  Sent send_datagram(const SourceName& to, Bytes bytes) override {
    return listeners_.send(to, bytes);
  }
  void connect(std::uint16_t link, const Endpoint& to) override { connections_->connect(link, to); }
  void close(std::uint16_t link) override { connections_->close(link); }
  void say(const std::string& text) override { say_line(text); }

  Listeners& listeners_;
  ControllerEnd end_;
};

class RelayShell final : public Base, private RelayOutside {
 public:
  RelayShell(const Settings& settings, const tls::TlsContext* tls, int wake_fd, int listen_fd)
      : Base(settings, tls, wake_fd),
        listen_fd_(listen_fd),
        targets_(settings.target, settings.relay.streams_max),
        end_(settings.relay, *this, numbers_) {}
  ~RelayShell() {
    reactor_.end();
    ::close(listen_fd_);
  }

  std::expected<void, std::string> start(int admin_fd) {
    if (auto done = Base::start(end_.links(), admin_fd); !done) return done;
    if (auto done = targets_.start(kernel()); !done) return done;
    arm();
    end_.start(now());
    return {};
  }

 private:
  Instant next_deadline() const override {
    return std::min(end_.next_deadline(), accepting_ ? kNever : accept_at_);
  }
  void expire() override { end_.expire(now()); }
  void arm() override {
    targets_.arm();
    if (accepting_ || now() < accept_at_) return;
    accepting_ = true;
    kernel().accept_one(listen_fd_, {OperationKind::Accept, {kTunnelListener, 1}});
  }
  void completed(const Completion& completion) override {
    if (completion.operation.kind != OperationKind::Accept) {
      return targets_.completed(completion, end_, now());
    }
    accepting_ = false;
    // No descriptor is left, say: not again at once.
    if (completion.result < 0) accept_at_ = now() + 100ms;
    if (completion.result >= 0) accept(completion.result);
  }
  void accept(int fd) {
    SocketAddress name{};
    const int size = kernel().peer_of(fd, &name.any, sizeof name);
    const bool known =
        tls_ || (size > 0 && may_be_plain(read_socket_address(name).address, settings_.plain));
    const auto place = known ? end_.accepted(now()) : std::nullopt;
    if (!known) numbers_.connections_refused.add();
    if (!place) return kernel().close(fd);
    connections_->accepted(*place, fd);
  }
  std::size_t queued() override {
    std::size_t bytes = 0;
    for (std::uint16_t i = 0; i < end_.links(); ++i) bytes += end_.link(i).queued_bytes();
    return bytes;
  }
  std::string status() override { return end_.status(); }

  void on_connected(std::uint16_t) override {}
  void on_opened(std::uint16_t place) override { end_.opened(place, now()); }
  void on_received(std::uint16_t place, Bytes bytes) override {
    end_.received(place, bytes, now());
  }
  void on_closed(std::uint16_t place, const std::string& reason) override {
    if (end_.link(place).up()) say_line("a controller end is gone: " + reason);
    end_.closed(place);
  }
  Link& link_at(std::uint16_t place) override { return end_.link(place); }

  bool open_target(SlotId socket) override { return targets_.open(socket); }
  Sent send_target(SlotId socket, Bytes message) override { return targets_.send(socket, message); }
  void close_target(SlotId socket) override { targets_.close(socket); }
  void close(std::uint16_t link) override { connections_->close(link); }
  void say(const std::string& text) override { say_line(text); }

  int listen_fd_;
  bool accepting_ = false;
  Instant accept_at_{};
  Targets targets_;
  RelayEnd end_;
};

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
  std::fprintf(stderr, "ringway tunnel: %s\n", described(settings).c_str());
  for (const ListenAddress& address : settings.listen) {
    if (address.unix_socket || address.endpoint.address.is_loopback()) continue;
    std::fprintf(
        stderr,
        "ringway tunnel: whoever reaches %s commands rtpengine; let only the SIP server in\n",
        address.text.c_str());
  }
  notify("READY=1");
  const auto done = shell.loop();
  notify("STOPPING=1");
  return done;
}

}  // namespace

std::expected<void, std::string> run(const Settings& settings, Notify notify) {
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
  if (auto became = become(settings.user); !became) return became;

  const int wake_fd = eventfd(0, EFD_CLOEXEC);
  stop_event.store(wake_fd);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGTERM, on_signal);
  std::signal(SIGINT, on_signal);
  std::expected<void, std::string> done;
  if (settings.end == End::Controller) {
    ControllerShell shell(settings, tls, wake_fd, listeners);
    done = serve(shell, settings, admin_fd, notify);
  } else {
    RelayShell shell(settings, tls, wake_fd, listen_fd);
    done = serve(shell, settings, admin_fd, notify);
  }
  close(wake_fd);
  return done;
}

}  // namespace ringway::tunnel
