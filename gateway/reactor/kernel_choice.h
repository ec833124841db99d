#pragma once

#include <functional>
#include <memory>

#include "gateway/base/counters.h"
#include "gateway/base/flow_id.h"
#include "gateway/reactor/kernel.h"

namespace ringway {

// Makes the kernel of one shard, on that shard's thread. Counters outlive it.
using KernelFactory = std::function<std::unique_ptr<Kernel>(Counters&, ShardIndex)>;

// io_uring.
KernelFactory ring_kernels();

}  // namespace ringway
