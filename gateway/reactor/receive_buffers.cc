#include "gateway/reactor/receive_buffers.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "gateway/base/check.h"

namespace ringway {

// struct io_uring_buf of the kernel; the tail of the ring lies over the reserved field of the
// first one (io_uring_register_buf_ring(3)).
struct ReceiveBuffers::Entry {
  std::uint64_t address;
  std::uint32_t size;
  std::uint16_t buffer;
  std::uint16_t tail_of_first;
};

ReceiveBuffers::~ReceiveBuffers() {
  if (entries_) munmap(entries_, shape_.count * sizeof(Entry));
  if (memory_) munmap(memory_, std::size_t{shape_.count} * shape_.stride);
}

std::expected<void, std::string> ReceiveBuffers::open(Ring& ring, const Shape& shape) {
  static_assert(sizeof(Entry) == 16);
  CHECK((shape.count & (shape.count - 1)) == 0 && shape.stride >= shape.size);
  shape_ = shape;
  const auto map = [](std::size_t size) {
    return mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                -1, 0);
  };
  void* entries = map(shape.count * sizeof(Entry));
  CHECK(entries != MAP_FAILED);
  entries_ = static_cast<Entry*>(entries);
  const std::size_t size = std::size_t{shape.count} * shape.stride;
  void* memory = map(size);
  CHECK(memory != MAP_FAILED);
  memory_ = static_cast<std::uint8_t*>(memory);
  // A buffer has room for the largest message but normally gets a small one: only the pages that
  // are written to shall become resident.
  madvise(memory, size, MADV_NOHUGEPAGE);

  const int result = ring.register_buffers(shape.group, entries, shape.count);
  if (result == -ENOMEM) {
    return std::unexpected(
        "the receive buffers do not fit into the limit of locked memory; raise it (ulimit -l, "
        "LimitMEMLOCK=) to 16 MiB or more");
  }
  if (result < 0) {
    return std::unexpected(std::string("the kernel refuses a ring of receive buffers (") +
                           strerror(-result) + "); Ringway needs Linux 6.1 or newer");
  }
  for (std::uint32_t i = 0; i < shape.count; ++i) give_back(static_cast<std::uint16_t>(i));
  publish();
  return {};
}

MutableBytes ReceiveBuffers::bytes(std::uint16_t buffer, std::size_t size) const {
  CHECK(buffer < shape_.count && size <= shape_.size);
  return {memory_ + std::size_t{buffer} * shape_.stride, size};
}

void ReceiveBuffers::give_back(std::uint16_t buffer) {
  DCHECK(available_ < shape_.count);
  Entry& entry = entries_[tail_ & (shape_.count - 1)];
  entry.address = reinterpret_cast<std::uint64_t>(memory_ + std::size_t{buffer} * shape_.stride);
  entry.size = shape_.size;
  entry.buffer = buffer;
  ++tail_;
  ++available_;
}

void ReceiveBuffers::publish() {
  __atomic_store_n(&entries_[0].tail_of_first, tail_, __ATOMIC_RELEASE);
}

}  // namespace ringway
