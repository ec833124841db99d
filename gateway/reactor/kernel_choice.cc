#include "gateway/reactor/kernel_choice.h"

#include "gateway/reactor/ring.h"

namespace ringway {

KernelFactory ring_kernels() {
  return [](Counters& counters, ShardIndex) { return std::make_unique<Ring>(counters); };
}

}  // namespace ringway
