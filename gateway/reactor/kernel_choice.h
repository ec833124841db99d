#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "gateway/base/counters.h"
#include "gateway/base/flow_id.h"
#include "gateway/base/kernel_kind.h"
#include "gateway/reactor/kernel.h"

namespace ringway {

// Makes the kernel of one shard, on that shard's thread. Counters outlive it.
using KernelFactory = std::function<std::unique_ptr<Kernel>(Counters&, ShardIndex)>;

// kind: IoUring or Epoll.
KernelFactory kernels_of(KernelKind kind);

struct KernelChoice {
  KernelKind kind = KernelKind::IoUring;  // never Auto
  std::string reason;  // why Auto did not take io_uring: a sentence with the cure; else empty
};
// Tries what the shards will do, and lets go of it again. Auto takes epoll where io_uring is
// missing, forbidden or too old; what else fails (memory, descriptors) would fail under epoll too.
// Errors: a sentence that says what is missing and what to do about it.
[[nodiscard]] std::expected<KernelChoice, std::string> choose_kernel(KernelKind wanted);

}  // namespace ringway
