#include "gateway/reactor/ring_setup.h"

#include <errno.h>
#include <liburing.h>
#include <string.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>

namespace ringway {
namespace {

// All of Linux 6.1: one thread submits, completions are worked off when it asks for them, and a
// failed entry does not keep those behind it from being submitted.
constexpr unsigned kSetupFlags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                 IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
                                 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE |
                                 IORING_SETUP_R_DISABLED;  // until it is restricted

// All that this ring will ever do; the kernel refuses the rest with EACCES. Code that got in
// could not open a file or a process by way of the ring, past the list of system calls.
constexpr std::uint8_t kOperations[] = {
    IORING_OP_ACCEPT, IORING_OP_ASYNC_CANCEL, IORING_OP_CONNECT, IORING_OP_MSG_RING, IORING_OP_READ,
    IORING_OP_RECV,   IORING_OP_RECVMSG,      IORING_OP_SEND,    IORING_OP_SENDMSG};
constexpr std::uint8_t kRegistrations[] = {IORING_REGISTER_ENABLE_RINGS, IORING_REGISTER_RING_FDS,
                                           IORING_UNREGISTER_RING_FDS, IORING_REGISTER_PBUF_RING};
constexpr std::uint8_t kEntryFlags = IOSQE_BUFFER_SELECT | IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;

// 0, or the error's number.
int restrict_and_enable(io_uring* ring) {
  std::array<io_uring_restriction, std::size(kOperations) + std::size(kRegistrations) + 1> list{};
  std::size_t count = 0;
  for (const std::uint8_t operation : kOperations) {
    list[count].opcode = IORING_RESTRICTION_SQE_OP;
    list[count++].sqe_op = operation;
  }
  for (const std::uint8_t registration : kRegistrations) {
    list[count].opcode = IORING_RESTRICTION_REGISTER_OP;
    list[count++].register_op = registration;
  }
  list[count].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
  list[count++].sqe_flags = kEntryFlags;
  // Debian's liburing 2.3 declares functions for these two, and its shared library lacks them.
  const auto handle = static_cast<unsigned>(ring->ring_fd);
  const int result = io_uring_register(handle, IORING_REGISTER_RESTRICTIONS, list.data(),
                                       static_cast<unsigned>(count));
  if (result < 0) return -result;
  return -std::min(io_uring_register(handle, IORING_REGISTER_ENABLE_RINGS, nullptr, 0), 0);
}

std::string setup_error(int error) {
  switch (error) {
    case ENOSYS:
      return "this kernel has no io_uring; Ringway needs Linux 6.1 or newer with io_uring";
    case EPERM:
    case EACCES:
      return "io_uring is forbidden here; set the sysctl kernel.io_uring_disabled to 0 and, in a "
             "container, allow io_uring_setup, io_uring_enter and io_uring_register in its seccomp "
             "profile";
    case ENOMEM:
      return "io_uring cannot get its memory; raise the limit of locked memory (ulimit -l, "
             "LimitMEMLOCK=) to 16 MiB or more";
    case EINVAL:
      return "this kernel's io_uring is too old; Ringway needs Linux 6.1 or newer";
    case EMFILE:
    case ENFILE:
      return "no file descriptor is left for io_uring; raise the limit of open files (ulimit -n, "
             "LimitNOFILE=)";
    default:
      return std::string("io_uring cannot be set up: ") + strerror(error);
  }
}

}  // namespace

std::expected<void, RingRefusal> open_ring(io_uring& ring, unsigned submissions,
                                           unsigned completions) {
  io_uring_params params{};
  params.flags = kSetupFlags;
  params.cq_entries = completions;
  const int result = io_uring_queue_init_params(submissions, &ring, &params);
  if (result < 0) return std::unexpected(RingRefusal{-result, setup_error(-result)});
  if ((params.features & IORING_FEAT_NODROP) == 0 || (params.features & IORING_FEAT_EXT_ARG) == 0) {
    io_uring_queue_exit(&ring);
    return std::unexpected(RingRefusal{EINVAL, setup_error(EINVAL)});
  }
  if (const int error = restrict_and_enable(&ring); error != 0) {
    io_uring_queue_exit(&ring);
    return std::unexpected(RingRefusal{
        error,
        std::string("io_uring cannot be kept to its list of operations: ") + strerror(error)});
  }
  io_uring_register_ring_fd(&ring);  // an optimisation; nothing is lost without it
  return {};
}

}  // namespace ringway
