#include "gateway/tunnel/end_shell.h"

#include "gateway/reactor/kernel_choice.h"
#include "gateway/tunnel/operation_tags.h"

namespace ringway::tunnel {
namespace {

constexpr std::uint16_t kStreamGroup = 0;
constexpr std::uint32_t kStreamSize = 32 * 1024;

// io_uring, or epoll where that is refused. If neither can be had, Reactor::open() says why.
KernelKind kernel_kind() {
  const auto choice = choose_kernel(KernelKind::Auto);
  return choice ? choice->kind : KernelKind::IoUring;
}

}  // namespace

EndShell::EndShell(const Process& process)
    : settings_(process.settings),
      tls_(process.tls),
      reactor_(kernels_of(kernel_kind())(counters_, 0), counters_, waker_, process.wake_fd),
      stopped_(process.stopped) {}

EndShell::~EndShell() {
  reactor_.end();
}

std::expected<void, std::string> EndShell::open(std::uint16_t places, int admin_fd) {
  if (auto opened = reactor_.open(); !opened) return opened;
  auto opened = buffers_.open(kernel(), {kStreamGroup, 128, kStreamSize, kStreamSize + 64});
  if (!opened) return opened;
  connections_ = std::make_unique<Connections>(kernel(), buffers_, tls_, places, *this);
  admin_ = std::make_unique<Admin>(
      kernel(), buffers_, admin_fd, settings_.admin ? settings_.admin->address : Address{},
      OwnHosts(settings_.admin_names), *this);
  return {};
}

std::expected<void, std::string> EndShell::loop() {
  while (!stopped_.load()) {
    const auto completions = reactor_.turn(next_deadline(), [&] { return stopped_.load(); });
    if (!reactor_.failure().empty()) return std::unexpected(reactor_.failure());
    for (const Completion& completion : completions) dispatch(completion);
    if (now() >= next_deadline()) expire();
    connections_->flush();
    buffers_.publish();
    connections_->arm();
    admin_->arm();
    arm();
  }
  stop();
  return {};
}

void EndShell::dispatch(const Completion& completion) {
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

std::string EndShell::metrics() {
  std::size_t queued = 0;
  for (std::uint16_t place = 0; place < links(); ++place) {
    queued += link_at(place).queued_bytes();
  }
  numbers_.queued_bytes.set(queued);
  return metrics_page(numbers_, settings_.end == End::Controller ? "controller" : "relay");
}

}  // namespace ringway::tunnel
