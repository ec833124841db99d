#include "gateway/tunnel/relay_shell.h"

#include <unistd.h>

#include <algorithm>
#include <array>

#include "gateway/tunnel/operation_tags.h"

namespace ringway::tunnel {
RelayShell::RelayShell(const Process& process, int listen_fd)
    : EndShell(process),
      listen_fd_(listen_fd),
      from_(process.settings.relay.links_max),
      targets_(process.settings.target, process.settings.relay.streams_max),
      end_(process.settings.relay, *this, numbers_) {}

RelayShell::~RelayShell() {
  reactor_.end();
  ::close(listen_fd_);
}

std::expected<void, std::string> RelayShell::start(int admin_fd) {
  if (auto done = open(end_.links(), admin_fd); !done) return done;
  if (auto done = targets_.start(kernel()); !done) return done;
  arm();
  end_.start(now());
  return {};
}

Instant RelayShell::next_deadline() const {
  return std::min(end_.next_deadline(), accepting_ ? kNever : accept_at_);
}

void RelayShell::arm() {
  targets_.arm();
  if (accepting_ || now() < accept_at_) return;
  accepting_ = true;
  kernel().accept_one(listen_fd_, {OperationKind::Accept, {kTunnelListener, 1}});
}

void RelayShell::completed(const Completion& completion) {
  if (completion.operation.kind != OperationKind::Accept) {
    return targets_.completed(completion, end_, now());
  }
  accepting_ = false;
  // No descriptor is left, say: not again at once.
  if (completion.result < 0) accept_at_ = now() + 100ms;
  if (completion.result >= 0) accept(completion.result);
}

void RelayShell::accept(int fd) {
  SocketAddress name{};
  const int size = kernel().peer_of(fd, &name.any, sizeof name);
  const Address from = size > 0 ? read_socket_address(name).address : Address{};
  const bool known = tls_ || (size > 0 && may_be_plain(from, settings_.plain));
  const auto place = known ? end_.accepted(now()) : std::nullopt;
  if (!known) {
    numbers_.connections_refused.add();
    say_now_and_then("a connection from " + text_of(from) + " is closed: --plain does not name it");
  }
  if (!place) return kernel().close(fd);
  from_[*place] = from;
  connections_->accepted(*place, fd);
}

void RelayShell::on_received(std::uint16_t place, Bytes bytes) {
  end_.received(place, bytes, now());
}

void RelayShell::on_closed(std::uint16_t place, const std::string& reason) {
  if (end_.link(place).up()) {
    say_line("the controller end at " + text_of(from_[place]) + " is gone: " + reason);
  } else {
    complain(place, reason);
  }
  end_.closed(place);
}

// A controller end that is wrong tries again several times a second.
void RelayShell::complain(std::uint16_t link, const std::string& reason) {
  say_now_and_then("a connection from " + text_of(from_[link]) + " is closed: " + reason);
}

}  // namespace ringway::tunnel
