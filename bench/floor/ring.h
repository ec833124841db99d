#pragma once

#include <liburing.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

// The least that a program needs around liburing 2.3: one ring and provided-buffer groups. The
// set-up flags are the product's, so that a ratio compares what is done with the bytes and not how
// the kernel is asked.

namespace ringway::floor {

[[noreturn]] inline void die(const char* what, int error) {
  std::fprintf(stderr, "ringway-floor: %s: %s\n", what, std::strerror(error));
  std::exit(1);
}

struct Counters {
  std::uint64_t enters = 0;    // io_uring_enter and, in the experiments, other send calls
  std::uint64_t received = 0;  // datagrams, or WebSocket and stream pieces
  std::uint64_t sent = 0;
  std::uint64_t dropped = 0;  // no peer known, send failed, truncated
  std::uint64_t rearms = 0;
  std::uint64_t exhausted = 0;  // -ENOBUFS
};

class Ring {
 public:
  Ring(unsigned entries, unsigned completions) {
    io_uring_params params{};
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                   IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL |
                   IORING_SETUP_CQSIZE;
    params.cq_entries = completions;
    const int result = io_uring_queue_init_params(entries, &ring_, &params);
    if (result < 0) die("io_uring_queue_init_params", -result);
    io_uring_register_ring_fd(&ring_);
  }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  ~Ring() { io_uring_queue_exit(&ring_); }

  io_uring* get() { return &ring_; }

  // A full submission queue is submitted on the spot.
  io_uring_sqe* sqe() {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) {
      submit();
      sqe = io_uring_get_sqe(&ring_);
      if (sqe == nullptr) die("submission queue", EBUSY);
    }
    return sqe;
  }

  void submit() {
    ++counters.enters;
    io_uring_submit(&ring_);
  }

  void submit_and_wait() {
    ++counters.enters;
    io_uring_submit_and_wait(&ring_, 1);
  }

  Counters counters;

 private:
  io_uring ring_{};
};

// A plain buffer ring. Buffer i starts at memory + i * stride; what follows size in a stride is
// never touched, so a large stride costs address space only.
class BufferGroup {
 public:
  BufferGroup(Ring& ring, std::uint16_t group, unsigned count, std::size_t size, std::size_t stride)
      : count_(count), size_(size), stride_(stride), group_(group) {
    memory_ = map(count * stride);
    madvise(memory_, count * stride, MADV_NOHUGEPAGE);
    entries_ =
        static_cast<io_uring_buf_ring*>(static_cast<void*>(map(count * sizeof(io_uring_buf))));
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<std::uint64_t>(entries_);
    registration.ring_entries = count;
    registration.bgid = group;
    const int result = io_uring_register_buf_ring(ring.get(), &registration, 0);
    if (result < 0) die("io_uring_register_buf_ring", -result);
    io_uring_buf_ring_init(entries_);
    for (unsigned i = 0; i < count; ++i) give_back(static_cast<std::uint16_t>(i));
    publish();
  }
  BufferGroup(const BufferGroup&) = delete;
  BufferGroup& operator=(const BufferGroup&) = delete;

  std::uint8_t* buffer(std::uint16_t id) { return memory_ + id * stride_; }
  std::size_t size() const { return size_; }
  std::uint16_t group() const { return group_; }
  unsigned count() const { return count_; }
  unsigned held() const { return held_; }

  void take() { ++held_; }
  void give_back(std::uint16_t id) {
    io_uring_buf_ring_add(entries_, buffer(id), static_cast<unsigned>(size_), id,
                          io_uring_buf_ring_mask(count_), pending_++);
    if (held_ > 0) --held_;
  }
  void publish() {
    if (pending_ == 0) return;
    io_uring_buf_ring_advance(entries_, pending_);
    pending_ = 0;
  }

 private:
  static std::uint8_t* map(std::size_t bytes) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) die("mmap", errno);
    return static_cast<std::uint8_t*>(memory);
  }

  std::uint8_t* memory_ = nullptr;
  io_uring_buf_ring* entries_ = nullptr;
  unsigned count_;
  unsigned held_ = 0;
  int pending_ = 0;
  std::size_t size_;
  std::size_t stride_;
  std::uint16_t group_;
};

}  // namespace ringway::floor
