#include "gateway/reactor/ring.h"

#include <errno.h>
#include <liburing.h>
#include <string.h>

#include <algorithm>
#include <utility>

#include "gateway/base/check.h"
#include "gateway/reactor/ring_setup.h"

namespace ringway {
namespace {

unsigned flags_now(const io_uring& ring) {
  return __atomic_load_n(ring.sq.kflags, __ATOMIC_RELAXED);
}

}  // namespace

Ring::Ring(Counters& counters) : counters_(counters), ring_(std::make_unique<io_uring>()) {}

Ring::~Ring() {
  end();
}

void Ring::end() {
  if (std::exchange(open_, false)) io_uring_queue_exit(ring_.get());
}

std::expected<void, std::string> Ring::open() {
  auto opened = open_ring(*ring_, kSubmissions, kCompletions);
  if (!opened) {
    refusal_ = opened.error().error;
    return std::unexpected(std::move(opened.error().text));
  }
  open_ = true;
  return {};
}

int Ring::handle() const {
  return open_ ? ring_->ring_fd : -1;
}

io_uring_sqe* Ring::next(Operation operation) {
  io_uring_sqe* entry = io_uring_get_sqe(ring_.get());
  if (!entry) {
    reserve(1);
    entry = io_uring_get_sqe(ring_.get());
    CHECK(entry);
  }
  counters_.ring_submissions.add();
  io_uring_sqe_set_data64(entry, operation.packed());
  return entry;
}

void Ring::reserve(unsigned count) {
  count = std::min(count, kSubmissions);
  // More than one pass only when the kernel is short of memory or must first post what overflowed.
  for (int attempt = 0; io_uring_sq_space_left(ring_.get()) < count && attempt < 1000; ++attempt) {
    counters_.ring_enters.add();
    io_uring_submit_and_get_events(ring_.get());
  }
}

// The prepare helpers of liburing clear the entry, the name included; so it is set again after.
void Ring::accept(int fd, Operation operation) {
  io_uring_sqe* entry = next(operation);
  io_uring_prep_multishot_accept(entry, fd, nullptr, nullptr, SOCK_CLOEXEC);
  io_uring_sqe_set_data64(entry, operation.packed());
}

void Ring::accept_one(int fd, Operation operation) {
  io_uring_sqe* entry = next(operation);
  io_uring_prep_accept(entry, fd, nullptr, nullptr, SOCK_CLOEXEC);
  io_uring_sqe_set_data64(entry, operation.packed());
}

void Ring::receive(int fd, std::uint16_t group, std::uint32_t bytes_max, Operation operation) {
  io_uring_sqe* entry = next(operation);
  io_uring_prep_recv_multishot(entry, fd, nullptr, bytes_max, 0);
  entry->flags |= IOSQE_BUFFER_SELECT;
  entry->buf_group = group;
  io_uring_sqe_set_data64(entry, operation.packed());
}

void Ring::receive_message(int fd, msghdr* header, std::uint16_t group, Operation operation) {
  io_uring_sqe* entry = next(operation);
  io_uring_prep_recvmsg_multishot(entry, fd, header, MSG_TRUNC);
  entry->flags |= IOSQE_BUFFER_SELECT;
  entry->buf_group = group;
  io_uring_sqe_set_data64(entry, operation.packed());
}

void Ring::connect(int fd, const sockaddr* address, socklen_t size, Operation operation) {
  io_uring_sqe* entry = next(operation);
  io_uring_prep_connect(entry, fd, address, size);
  io_uring_sqe_set_data64(entry, operation.packed());
}

void Ring::send(int fd, Bytes bytes, Chain chain, Operation operation) {
  io_uring_sqe* entry = next(operation);
  io_uring_prep_send(entry, fd, bytes.data(), bytes.size(), MSG_WAITALL | MSG_NOSIGNAL);
  if (chain == Chain::Linked) entry->flags |= IOSQE_IO_LINK;
  io_uring_sqe_set_data64(entry, operation.packed());
}

void Ring::send_message(int fd, const msghdr* header, Operation operation) {
  io_uring_sqe* entry = next(operation);
  io_uring_prep_sendmsg(entry, fd, header, MSG_WAITALL | MSG_NOSIGNAL);
  io_uring_sqe_set_data64(entry, operation.packed());
}

void Ring::send_datagram_now(int fd, const msghdr* header, Operation operation) {
  io_uring_sqe* entry = next(operation);
  // A send with an address (Linux 6.1) spares the kernel reading the header and its vector.
  io_uring_prep_send(entry, fd, header->msg_iov->iov_base, header->msg_iov->iov_len,
                     MSG_DONTWAIT | MSG_NOSIGNAL);
  entry->addr2 = reinterpret_cast<std::uint64_t>(header->msg_name);
  entry->addr_len = static_cast<std::uint16_t>(header->msg_namelen);
  entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
  io_uring_sqe_set_data64(entry, operation.packed());
}

void Ring::send_datagrams_now(int fd, const msghdr* header, Operation operation) {
  io_uring_sqe* entry = next(operation);
  io_uring_prep_sendmsg(entry, fd, header, MSG_DONTWAIT | MSG_NOSIGNAL);
  entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
  io_uring_sqe_set_data64(entry, operation.packed());
}

void Ring::send_datagram_later(int fd, const msghdr* header, Operation operation) {
  io_uring_sqe* entry = next(operation);
  io_uring_prep_sendmsg(entry, fd, header, MSG_NOSIGNAL);
  io_uring_sqe_set_data64(entry, operation.packed());
}

void Ring::read_event(int fd, std::uint64_t* value, Operation operation) {
  io_uring_sqe* entry = next(operation);
  io_uring_prep_read(entry, fd, value, sizeof *value, 0);
  io_uring_sqe_set_data64(entry, operation.packed());
}

// Names are unique in a ring, so the descriptor is not asked.
void Ring::cancel(int, Operation target) {
  io_uring_sqe* entry = next({});
  io_uring_prep_cancel64(entry, target.packed(), IORING_ASYNC_CANCEL_ALL);
  io_uring_sqe_set_data64(entry, Operation{}.packed());
}

void Ring::wake(int handle) {
  io_uring_sqe* entry = next({});
  const Operation message{OperationKind::WakeShard, {}};
  io_uring_prep_msg_ring(entry, handle, 0, message.packed(), 0);
  entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
  io_uring_sqe_set_data64(entry, Operation{}.packed());
}

bool Ring::all_submitted() const {
  return io_uring_sq_ready(ring_.get()) == 0;
}

bool Ring::wait(Duration timeout, std::string& error) {
  const unsigned flags = flags_now(*ring_);
  const bool ready = io_uring_cq_ready(ring_.get()) != 0;
  if ((flags & IORING_SQ_CQ_OVERFLOW) != 0) counters_.ring_overflows.add();
  if (ready && io_uring_sq_ready(ring_.get()) == 0 &&
      (flags & (IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN)) == 0) {
    return true;
  }
  counters_.ring_enters.add();
  int result;
  if (ready || timeout <= Duration::zero()) {
    result = io_uring_submit_and_get_events(ring_.get());
  } else if (timeout == Duration::max()) {
    result = io_uring_submit_and_wait(ring_.get(), 1);
  } else {
    __kernel_timespec limit{timeout.count() / 1'000'000'000, timeout.count() % 1'000'000'000};
    io_uring_cqe* first = nullptr;
    result = io_uring_submit_and_wait_timeout(ring_.get(), &first, 1, &limit, nullptr);
  }
  // The kernel is short of memory, or wants to post what overflowed first: entries stay queued.
  for (int attempt = 0; !all_submitted() && attempt < 1000; ++attempt) {
    counters_.ring_enters.add();
    result = io_uring_submit_and_get_events(ring_.get());
  }
  // A signal, or the end of a stop, ends a wait before the kernel has handed over what came; it is
  // not told as an error if something was submitted.
  if (!has_completions() && (flags_now(*ring_) & IORING_SQ_TASKRUN) != 0) {
    io_uring_get_events(ring_.get());
  }
  if (all_submitted() && (result >= 0 || result == -ETIME || result == -EINTR || result == -EBUSY ||
                          result == -EAGAIN)) {
    return true;
  }
  error = std::string("io_uring_enter failed: ") + strerror(-result);
  return false;
}

bool Ring::has_completions() const {
  return io_uring_cq_ready(ring_.get()) != 0;
}

std::span<Completion> Ring::reap(std::span<Completion> batch) {
  std::size_t count = 0;
  unsigned head = 0;
  io_uring_cqe* entry = nullptr;
  io_uring_for_each_cqe(ring_.get(), head, entry) {
    if (count == batch.size()) break;
    Completion& completion = batch[count++];
    completion.operation = Operation::unpack(entry->user_data);
    completion.result = entry->res;
    completion.has_buffer = (entry->flags & IORING_CQE_F_BUFFER) != 0;
    completion.buffer = static_cast<std::uint16_t>(entry->flags >> IORING_CQE_BUFFER_SHIFT);
    completion.more = (entry->flags & IORING_CQE_F_MORE) != 0;
  }
  io_uring_cq_advance(ring_.get(), static_cast<unsigned>(count));
  counters_.ring_completions.add(count);
  return batch.first(count);
}

int Ring::register_buffers(std::uint16_t group, BufferRing& ring) {
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uint64_t>(ring.entries);
  registration.ring_entries = ring.count;
  registration.bgid = group;
  return io_uring_register_buf_ring(ring_.get(), &registration, 0);
}

}  // namespace ringway
