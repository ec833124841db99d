#include "gateway/reactor/receive_buffers.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "gateway/base/check.h"

namespace ringway {
namespace {

std::string no_memory_text(std::size_t size) {
  return "the system refuses " + std::to_string(size >> 20) +
         " MiB of address space for receive buffers; raise the limit of address space (ulimit -v, "
         "LimitAS=) or allow overcommitted memory (sysctl vm.overcommit_memory=0)";
}

}  // namespace

ReceiveBuffers::~ReceiveBuffers() {
  if (ring_.entries) munmap(ring_.entries, ring_.count * sizeof(BufferRing::Entry));
  if (memory_) munmap(memory_, std::size_t{shape_.count} * shape_.stride);
}

std::expected<void, std::string> ReceiveBuffers::open(Kernel& kernel, const Shape& shape) {
  CHECK((shape.count & (shape.count - 1)) == 0 && shape.stride >= shape.size);
  shape_ = shape;
  const auto map = [](std::size_t size) {
    return mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                -1, 0);
  };
  const std::size_t size = std::size_t{shape.count} * shape.stride;
  void* entries = map(shape.count * sizeof(BufferRing::Entry));
  if (entries == MAP_FAILED) return std::unexpected(no_memory_text(size));
  ring_ = {static_cast<BufferRing::Entry*>(entries), shape.count};
  void* memory = map(size);
  if (memory == MAP_FAILED) return std::unexpected(no_memory_text(size));
  memory_ = static_cast<std::uint8_t*>(memory);
  // A buffer has room for the largest message but normally gets a small one: only the pages that
  // are written to shall become resident.
  madvise(memory, size, MADV_NOHUGEPAGE);

  const int result = kernel.register_buffers(shape.group, ring_);
  refusal_ = -result;
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
  BufferRing::Entry& entry = ring_.at(tail_);
  entry.address = reinterpret_cast<std::uint64_t>(memory_ + std::size_t{buffer} * shape_.stride);
  entry.size = shape_.size;
  entry.buffer = buffer;
  ++tail_;
  ++available_;
}

void ReceiveBuffers::publish() {
  ring_.publish(tail_);
}

}  // namespace ringway
