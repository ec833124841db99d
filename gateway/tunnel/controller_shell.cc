#include "gateway/tunnel/controller_shell.h"

#include <algorithm>

#include "tls/random.h"

namespace ringway::tunnel {
namespace {

std::uint64_t seed() {
  return read_u64(tls::random_bytes<8>());
}

}  // namespace

ControllerShell::ControllerShell(const Process& process, Listeners& listeners)
    : EndShell(process),
      listeners_(listeners),
      end_(process.settings.controller, *this, numbers_, seed(), process.cookie_key) {}

ControllerShell::~ControllerShell() {
  reactor_.end();
}

std::expected<void, std::string> ControllerShell::start(int admin_fd) {
  if (auto done = open(end_.links(), admin_fd); !done) return done;
  if (auto done = listeners_.start(kernel(), numbers_); !done) return done;
  end_.start(now());
  return {};
}

Instant ControllerShell::next_deadline() const {
  return std::min(end_.next_deadline(), listeners_.next_deadline());
}

void ControllerShell::expire() {
  end_.expire(now());
  listeners_.expire(now());
}

void ControllerShell::completed(const Completion& completion) {
  if (completion.operation.kind == OperationKind::ReceiveDatagram) {
    listeners_.completed(completion, end_, now());
  }
}

void ControllerShell::on_received(std::uint16_t place, Bytes bytes) {
  end_.received(place, bytes, now());
}

void ControllerShell::on_closed(std::uint16_t place, const std::string& reason) {
  end_.closed(place, reason, now());
}

ControllerOutside::Sent ControllerShell::send_datagram(const SourceName& to, Bytes bytes) {
  return listeners_.send(to, bytes, now());
}

}  // namespace ringway::tunnel
