#include "gateway/reactor/kernel_choice.h"

#include <errno.h>

#include "gateway/reactor/epoll.h"
#include "gateway/reactor/receive_buffers.h"
#include "gateway/reactor/ring.h"

namespace ringway {
namespace {

bool has_no_ring(int error) {
  return error == EPERM || error == EACCES || error == ENOSYS || error == EINVAL ||
         error == EOPNOTSUPP;
}

// Profiles may allow the first of its three system calls and forbid the others.
std::expected<void, std::string> try_ring(int& error) {
  Counters counters;
  ReceiveBuffers buffers;
  Ring ring(counters);
  auto opened = ring.open();
  error = ring.refusal();
  if (!opened) return opened;
  opened = buffers.open(ring, {1, 8, 64, 64});
  error = buffers.refusal();
  if (!opened) return opened;
  ring.cancel(-1, {});
  std::string text;
  if (!ring.wait(Duration::zero(), text)) {
    error = EPERM;
    return std::unexpected(text);
  }
  return {};
}

}  // namespace

KernelFactory kernels_of(KernelKind kind) {
  return [kind](Counters& counters, ShardIndex) -> std::unique_ptr<Kernel> {
    if (kind == KernelKind::Epoll) return std::make_unique<Epoll>(counters);
    return std::make_unique<Ring>(counters);
  };
}

std::expected<KernelChoice, std::string> choose_kernel(KernelKind wanted) {
  if (wanted == KernelKind::Epoll) return KernelChoice{KernelKind::Epoll, {}};
  int error = 0;
  const auto tried = try_ring(error);
  if (tried) return KernelChoice{KernelKind::IoUring, {}};
  if (wanted == KernelKind::Auto && has_no_ring(error)) {
    return KernelChoice{KernelKind::Epoll, tried.error()};
  }
  return std::unexpected(tried.error());
}

}  // namespace ringway
