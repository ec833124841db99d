#pragma once

#include <cstdint>

namespace ringway {

// Which of the system's interfaces the shards wait in. Auto: io_uring, or epoll where it is
// refused.
enum class KernelKind : std::uint8_t { Auto, IoUring, Epoll };

}  // namespace ringway
