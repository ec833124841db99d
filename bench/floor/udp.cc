#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <deque>
#include <vector>

#include "bench/floor/options.h"
#include "bench/floor/report.h"
#include "bench/floor/ring.h"
#include "gateway/transport/datagram_control.h"

// UDP to UDP. Each client endpoint gets a socket of its own towards the server, so that an answer
// finds its way back by the socket it arrives on and no byte of a message is read. That is one
// receive and one send for each message, the least that a proxy can do.

namespace ringway::floor {
namespace {

enum Kind : std::uint64_t { kReceive = 1, kSent = 2 };
constexpr std::size_t kPeersMax = 64;

std::uint64_t user_data(Kind kind, std::uint64_t index) {
  return (kind << 32) | index;
}

int udp_socket(const sockaddr_in* local) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket", errno);
  const int size = 8 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (local == nullptr) local = &any;
  if (bind(fd, reinterpret_cast<const sockaddr*>(local), sizeof *local) != 0) die("bind", errno);
  return fd;
}

class Forwarder {
 public:
  explicit Forwarder(const Options& options)
      : options_(options),
        ring_(4096, 16384),
        buffers_(ring_, 0, options.buffer_count, options.buffer_size, options.buffer_stride),
        slots_(options.buffer_count) {
    template_.msg_namelen = sizeof(sockaddr_in);
    fds_[0] = udp_socket(&options.listen);
    fd_count_ = 1;
    arm(0);
  }

  void run() {
    while (!stopping()) {
      ring_.submit_and_wait();
      // All sends of the last turn were submitted: those that skip completions free their buffers.
      give_back_sent();
      unsigned head;
      unsigned seen = 0;
      io_uring_cqe* cqe;
      io_uring_for_each_cqe(ring_.get(), head, cqe) {
        ++seen;
        complete(*cqe);
      }
      io_uring_cq_advance(ring_.get(), seen);
      if (options_.send == Send::Sendmmsg && !unsent_.empty()) flush_mmsg();
      if (options_.send == Send::Train) flush_trains();
      batched_ = 0;
      buffers_.publish();
      rearm_waiting();
    }
    print_counters(ring_.counters);
  }

 private:
  // What a send needs while the kernel may still look at it.
  struct Slot {
    msghdr message{};
    iovec piece{};
    sockaddr_in to{};
  };

  // Datagrams of one size for one peer.
  struct Train {
    static constexpr std::size_t kMax = 32;
    msghdr message{};
    std::array<iovec, kMax> pieces;
    std::size_t count = 0;
    DatagramControl control;
    sockaddr_in to{};
    int fd = -1;
    std::uint64_t user_data = 0;
  };

  void arm(std::size_t socket) {
    io_uring_sqe* sqe = ring_.sqe();
    io_uring_prep_recvmsg_multishot(sqe, fds_[socket], &template_, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = buffers_.group();
    sqe->user_data = user_data(kReceive, socket);
  }

  void rearm_waiting() {
    if (waiting_ == 0 || buffers_.held() == buffers_.count()) return;
    for (std::size_t i = 0; i < fd_count_; ++i) {
      if ((waiting_ >> i) & 1) arm(i);
    }
    waiting_ = 0;
  }

  void complete(const io_uring_cqe& cqe) {
    const std::uint64_t index = cqe.user_data & 0xffffffff;
    if (cqe.user_data >> 32 == kSent) {
      if (cqe.res < 0) ++ring_.counters.dropped;
      if (options_.send == Send::Ring) buffers_.give_back(static_cast<std::uint16_t>(index));
      return;
    }
    if ((cqe.flags & IORING_CQE_F_MORE) == 0) {
      ++ring_.counters.rearms;
      if (cqe.res == -ENOBUFS) ++ring_.counters.exhausted;
      waiting_ |= std::uint64_t{1} << index;
    }
    if ((cqe.flags & IORING_CQE_F_BUFFER) == 0) return;
    const auto id = static_cast<std::uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
    buffers_.take();
    if (cqe.res < 0 || !forward(index, id, static_cast<std::size_t>(cqe.res))) {
      ++ring_.counters.dropped;
      buffers_.give_back(id);
    }
  }

  // Layout of a buffer: io_uring_recvmsg_out, the name area that was asked for, payload.
  bool forward(std::size_t socket, std::uint16_t id, std::size_t size) {
    constexpr std::size_t kHead = sizeof(io_uring_recvmsg_out) + sizeof(sockaddr_in);
    if (size <= kHead) return false;
    std::uint8_t* buffer = buffers_.buffer(id);
    io_uring_recvmsg_out out;
    std::memcpy(&out, buffer, sizeof out);
    if (out.payloadlen != size - kHead) return false;
    ++ring_.counters.received;
    Slot& slot = slots_[id];
    std::size_t from = 0;
    if (socket == 0) {
      sockaddr_in peer;
      std::memcpy(&peer, buffer + sizeof out, sizeof peer);
      from = socket_for(peer);
      if (from == 0) return false;
      slot.to = options_.server;
    } else {
      slot.to = peers_[socket];
    }
    slot.piece = {buffer + kHead, size - kHead};
    slot.message = {};
    slot.message.msg_name = &slot.to;
    slot.message.msg_namelen = sizeof slot.to;
    slot.message.msg_iov = &slot.piece;
    slot.message.msg_iovlen = 1;
    send(fds_[from], id);
    return true;
  }

  // The socket towards the server that belongs to this client; 0 if the table is full.
  std::size_t socket_for(const sockaddr_in& peer) {
    for (std::size_t i = 1; i < fd_count_; ++i) {
      if (peers_[i].sin_port == peer.sin_port &&
          peers_[i].sin_addr.s_addr == peer.sin_addr.s_addr) {
        return i;
      }
    }
    if (fd_count_ == kPeersMax) return 0;
    const std::size_t index = fd_count_++;
    fds_[index] = udp_socket(nullptr);
    peers_[index] = peer;
    arm(index);
    return index;
  }

  void send(int fd, std::uint16_t id) {
    ++ring_.counters.sent;
    switch (options_.send) {
      case Send::Ring:
      case Send::RingSkip:
      case Send::RingAddress: {
        const bool skip = options_.send != Send::Ring;
        io_uring_sqe* sqe = ring_.sqe();
        if (options_.send == Send::RingAddress) {
          Slot& slot = slots_[id];
          io_uring_prep_send(sqe, fd, slot.piece.iov_base, slot.piece.iov_len, MSG_DONTWAIT);
          sqe->addr2 = reinterpret_cast<std::uint64_t>(&slot.to);
          sqe->addr_len = sizeof slot.to;
        } else {
          io_uring_prep_sendmsg(sqe, fd, &slots_[id].message, skip ? MSG_DONTWAIT : 0);
        }
        if (skip) sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        sqe->user_data = user_data(kSent, id);
        if (skip) unsent_.push_back(id);
        ++batched_;
        if (options_.batch != 0 && batched_ >= options_.batch) {
          batched_ = 0;
          ring_.submit();
          give_back_sent();
        }
        return;
      }
      case Send::Inline:
        ++ring_.counters.enters;
        if (sendmsg(fd, &slots_[id].message, MSG_DONTWAIT) < 0) ++ring_.counters.dropped;
        buffers_.give_back(id);
        return;
      case Send::Train:
        join_train(fd, id);
        unsent_.push_back(id);
        return;
      case Send::Sendmmsg:
        if (!unsent_.empty() && batch_fd_ != fd) flush_mmsg();
        batch_fd_ = fd;
        unsent_.push_back(id);
        if (options_.batch != 0 && unsent_.size() >= options_.batch) flush_mmsg();
        return;
    }
  }

  void join_train(int fd, std::uint16_t id) {
    const Slot& slot = slots_[id];
    for (std::size_t i = trains_open_; i-- > 0;) {
      Train& train = trains_[i];
      if (train.fd != fd || train.to.sin_port != slot.to.sin_port ||
          train.to.sin_addr.s_addr != slot.to.sin_addr.s_addr) {
        continue;
      }
      if (train.count == Train::kMax || train.pieces[0].iov_len != slot.piece.iov_len) break;
      train.pieces[train.count++] = slot.piece;
      return;
    }
    if (trains_open_ == trains_.size()) trains_.emplace_back();
    Train& train = trains_[trains_open_++];
    train.fd = fd;
    train.to = slot.to;
    train.pieces[0] = slot.piece;
    train.count = 1;
    train.user_data = user_data(kSent, id);
  }

  void flush_trains() {
    for (std::size_t i = 0; i < trains_open_; ++i) {
      Train& train = trains_[i];
      train.message = {};
      train.message.msg_name = &train.to;
      train.message.msg_namelen = sizeof train.to;
      train.message.msg_iov = train.pieces.data();
      train.message.msg_iovlen = train.count;
      if (train.count > 1) {
        const auto size = static_cast<std::uint16_t>(train.pieces[0].iov_len);
        train.control.attach(train.message, size);
      }
      io_uring_sqe* sqe = ring_.sqe();
      io_uring_prep_sendmsg(sqe, train.fd, &train.message, MSG_DONTWAIT);
      sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
      sqe->user_data = train.user_data;
    }
    trains_open_ = 0;
  }

  void flush_mmsg() {
    std::array<mmsghdr, 64> batch;
    for (std::size_t done = 0; done < unsent_.size();) {
      const std::size_t count = std::min(batch.size(), unsent_.size() - done);
      for (std::size_t i = 0; i < count; ++i) batch[i] = {slots_[unsent_[done + i]].message, 0};
      ++ring_.counters.enters;
      const int sent =
          sendmmsg(batch_fd_, batch.data(), static_cast<unsigned>(count), MSG_DONTWAIT);
      if (sent < static_cast<int>(count)) ring_.counters.dropped += count;
      done += count;
    }
    give_back_sent();
  }

  void give_back_sent() {
    for (const std::uint16_t id : unsent_) buffers_.give_back(id);
    unsent_.clear();
  }

  const Options& options_;
  Ring ring_;
  BufferGroup buffers_;
  std::vector<Slot> slots_;  // one for each buffer
  msghdr template_{};
  std::array<int, kPeersMax> fds_{};            // fds_[0] listens, the others face the server
  std::array<sockaddr_in, kPeersMax> peers_{};  // of fds_[i], i > 0
  std::size_t fd_count_ = 0;
  std::uint64_t waiting_ = 0;  // bit i: the receive of fds_[i] has to be armed again
  std::vector<std::uint16_t> unsent_;
  std::deque<Train> trains_;  // the first trains_open_ are of this turn
  std::size_t trains_open_ = 0;
  int batch_fd_ = -1;
  unsigned batched_ = 0;
};

}  // namespace

void run_udp(const Options& options) {
  Forwarder(options).run();
}

}  // namespace ringway::floor
