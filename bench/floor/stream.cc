#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string_view>
#include <vector>

#include "bench/floor/bridge.h"
#include "bench/floor/options.h"
#include "bench/floor/report.h"
#include "bench/floor/ring.h"

// TCP to UDP and TLS+WebSocket to UDP. Towards the server there is one UDP socket for all, as in
// the product. What tells the answers apart is the one thing looked at: the eight characters after
// the branch's magic cookie, in which the load generator names its connection. On plain TCP a read
// is taken for one message, which holds for a generator with one request in flight on each
// connection.

namespace ringway::floor {
namespace {

enum Kind : std::uint64_t {
  kAccept = 1,
  kStreamReceive,
  kStreamSent,
  kDatagram,
  kDatagramSent,
  kClosed,
};
constexpr unsigned kDirectMax = 16'384;
constexpr std::uint16_t kStreamBuffers = 0;
constexpr std::uint16_t kDatagramBuffers = 1;
constexpr std::size_t kTagTableSize = 1 << 16;
constexpr std::size_t kDatagramSizeMax = 4096;
constexpr std::uint32_t kNobody = ~0u;

std::uint64_t user_data(Kind kind, std::uint64_t index) {
  return (kind << 32) | index;
}

// Where the answers to this message, or this answer, belong; kTagTableSize without a tag.
std::size_t tag_index(Bytes message) {
  constexpr std::string_view kCookie = "branch=z9hG4bK";
  const std::string_view text = as_text(message.first(std::min<std::size_t>(message.size(), 512)));
  const std::size_t at = text.find(kCookie);
  if (at == text.npos || at + kCookie.size() + 8 > text.size()) return kTagTableSize;
  std::size_t value = 0;
  for (const char c : text.substr(at + kCookie.size(), 8)) {
    value = value * 16 + static_cast<std::size_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  return (value + (value >> 16)) % kTagTableSize;
}

struct Connection {
  int fd = -1;
  std::unique_ptr<Bridge> bridge;       // null on plain TCP
  std::vector<std::uint8_t> output;     // ready, not yet given to the kernel
  std::vector<std::uint8_t> in_flight;  // of the one send that may run
  bool sending = false;
  bool receiving = false;
  bool dirty = false;  // in the turn's list
  bool closing = false;
};

class StreamForwarder {
 public:
  explicit StreamForwarder(const Options& options)
      : options_(options),
        ring_(4096, 32768),
        stream_buffers_(ring_, kStreamBuffers, 1024, 4096, 4096),
        datagram_buffers_(ring_, kDatagramBuffers, 512, 2048, 2048),
        tags_(kTagTableSize, kNobody),
        datagrams_(1024) {
    if (options.direct) {
      const int result = io_uring_register_files_sparse(ring_.get(), kDirectMax);
      if (result < 0) die("io_uring_register_files_sparse", -result);
    }
    if (options.mode == Mode::WssUdp) context_ = make_tls_context(options.certificate, options.key);
    listen_on(options.listen);
    open_udp();
    arm_accept();
    arm_datagrams();
  }

  void run() {
    while (!stopping()) {
      ring_.submit_and_wait();
      datagrams_used_ = 0;  // sent with MSG_DONTWAIT: the kernel keeps nothing after submission
      unsigned head;
      unsigned seen = 0;
      io_uring_cqe* cqe;
      io_uring_for_each_cqe(ring_.get(), head, cqe) {
        ++seen;
        complete(*cqe);
      }
      io_uring_cq_advance(ring_.get(), seen);
      // flush() may append: a connection that fails is marked again.
      for (std::size_t i = 0; i < dirty_.size(); ++i) flush(dirty_[i]);
      dirty_.clear();
      stream_buffers_.publish();
      datagram_buffers_.publish();
    }
    print_counters(ring_.counters);
  }

 private:
  using Datagram = std::array<std::uint8_t, kDatagramSizeMax>;

  void listen_on(const sockaddr_in& address) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    // What is accepted inherits it, also where it has no descriptor to set it by.
    setsockopt(listener_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const int seconds = 10;
    if (options_.defer_accept) {
      setsockopt(listener_, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds);
    }
    if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        listen(listener_, 4096) != 0) {
      die("listen", errno);
    }
  }

  void open_udp() {
    udp_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int size = 8 << 20;
    setsockopt(udp_, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    setsockopt(udp_, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    if (bind(udp_, reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0) die("bind", errno);
    template_.msg_namelen = sizeof(sockaddr_in);
  }

  void arm_accept() {
    io_uring_sqe* sqe = ring_.sqe();
    if (options_.direct) {
      io_uring_prep_multishot_accept_direct(sqe, listener_, nullptr, nullptr, 0);
    } else {
      io_uring_prep_multishot_accept(sqe, listener_, nullptr, nullptr, SOCK_CLOEXEC);
    }
    sqe->user_data = user_data(kAccept, 0);
  }

  void arm_datagrams() {
    io_uring_sqe* sqe = ring_.sqe();
    io_uring_prep_recvmsg_multishot(sqe, udp_, &template_, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = kDatagramBuffers;
    sqe->user_data = user_data(kDatagram, 0);
  }

  void arm_stream(std::uint32_t index) {
    io_uring_sqe* sqe = ring_.sqe();
    io_uring_prep_recv_multishot(sqe, connections_[index]->fd, nullptr, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->flags |= direct_flag();
    sqe->buf_group = kStreamBuffers;
    sqe->user_data = user_data(kStreamReceive, index);
    connections_[index]->receiving = true;
  }

  void complete(const io_uring_cqe& cqe) {
    const auto index = static_cast<std::uint32_t>(cqe.user_data & 0xffffffff);
    switch (static_cast<Kind>(cqe.user_data >> 32)) {
      case kAccept:
        if (cqe.res >= 0) accept(cqe.res);
        if ((cqe.flags & IORING_CQE_F_MORE) == 0) arm_accept();
        return;
      case kStreamReceive:
        stream_received(index, cqe);
        return;
      case kStreamSent:
        stream_sent(index, cqe.res);
        return;
      case kDatagram:
        datagram_received(cqe);
        return;
      case kDatagramSent:
        ++ring_.counters.dropped;
        return;  // only failures post
      case kClosed:
        return;
    }
  }

  void accept(int fd) {
    std::uint32_t index;
    if (free_.empty()) {
      index = static_cast<std::uint32_t>(connections_.size());
      connections_.emplace_back();
    } else {
      index = free_.back();
      free_.pop_back();
    }
    connections_[index] = std::make_unique<Connection>();
    connections_[index]->fd = fd;
    if (context_ != nullptr) connections_[index]->bridge = std::make_unique<Bridge>(context_);
    arm_stream(index);
  }

  void stream_received(std::uint32_t index, const io_uring_cqe& cqe) {
    Connection& connection = *connections_[index];
    const bool more = (cqe.flags & IORING_CQE_F_MORE) != 0;
    if (!more) connection.receiving = false;
    bool alive = cqe.res > 0 || cqe.res == -ENOBUFS;
    if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) {
      const auto id = static_cast<std::uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
      const Bytes bytes(stream_buffers_.buffer(id), static_cast<std::size_t>(cqe.res));
      auto sink = [&](Bytes message) { forward(index, message); };
      if (connection.bridge != nullptr) {
        alive = connection.bridge->receive(bytes, sink);
      } else {
        sink(bytes);
      }
      stream_buffers_.give_back(id);
    }
    mark(index);
    if (cqe.res == -ENOBUFS) ++ring_.counters.exhausted;
    if (!more && alive) {
      ++ring_.counters.rearms;
      stream_buffers_.publish();
      arm_stream(index);
    }
    if (!alive) close_later(index);
  }

  void forward(std::uint32_t index, Bytes message) {
    ++ring_.counters.received;
    const std::size_t tag = tag_index(message);
    if (tag == kTagTableSize || message.size() > kDatagramSizeMax) {
      ++ring_.counters.dropped;
      return;
    }
    tags_[tag] = index;
    if (datagrams_used_ == datagrams_.size()) {
      ring_.submit();
      datagrams_used_ = 0;
    }
    Datagram& datagram = datagrams_[datagrams_used_++];
    std::memcpy(datagram.data(), message.data(), message.size());
    io_uring_sqe* sqe = ring_.sqe();
    io_uring_prep_send(sqe, udp_, datagram.data(), message.size(), MSG_DONTWAIT);
    sqe->addr2 = reinterpret_cast<std::uint64_t>(&options_.server);
    sqe->addr_len = sizeof options_.server;
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = user_data(kDatagramSent, 0);
    ++ring_.counters.sent;
  }

  void datagram_received(const io_uring_cqe& cqe) {
    if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) {
      constexpr std::size_t kHead = sizeof(io_uring_recvmsg_out) + sizeof(sockaddr_in);
      const auto id = static_cast<std::uint16_t>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
      const Bytes bytes(datagram_buffers_.buffer(id), static_cast<std::size_t>(cqe.res));
      if (bytes.size() > kHead) answer(bytes.subspan(kHead));
      datagram_buffers_.give_back(id);
    }
    if ((cqe.flags & IORING_CQE_F_MORE) == 0) {
      ++ring_.counters.rearms;
      if (cqe.res == -ENOBUFS) ++ring_.counters.exhausted;
      datagram_buffers_.publish();
      arm_datagrams();
    }
  }

  void answer(Bytes message) {
    ++ring_.counters.received;
    const std::size_t tag = tag_index(message);
    const std::uint32_t index = tag == kTagTableSize ? kNobody : tags_[tag];
    if (index == kNobody || connections_[index] == nullptr || connections_[index]->closing) {
      ++ring_.counters.dropped;
      return;
    }
    Connection& connection = *connections_[index];
    if (connection.bridge != nullptr) {
      connection.bridge->send(message);
    } else {
      connection.output.insert(connection.output.end(), message.begin(), message.end());
    }
    ++ring_.counters.sent;
    mark(index);
  }

  std::uint8_t direct_flag() const { return options_.direct ? IOSQE_FIXED_FILE : 0; }

  // Releasing alone neither ends the receive nor sends a FIN. There is no shutdown(2) for a direct
  // descriptor.
  void shut_down(int fd) {
    if (!options_.direct) {
      shutdown(fd, SHUT_RDWR);
      return;
    }
    io_uring_sqe* sqe = ring_.sqe();
    io_uring_prep_shutdown(sqe, fd, SHUT_RDWR);
    sqe->flags |= IOSQE_FIXED_FILE;
    sqe->user_data = user_data(kClosed, 0);
  }

  void mark(std::uint32_t index) {
    if (connections_[index]->dirty) return;
    connections_[index]->dirty = true;
    dirty_.push_back(index);
  }

  // End of a turn: all that a connection has goes out in one send; one send at a time.
  void flush(std::uint32_t index) {
    Connection& connection = *connections_[index];
    connection.dirty = false;
    if (connection.closing) {
      finish_close(index);
      return;
    }
    if (connection.bridge != nullptr && !connection.bridge->flush(connection.output)) {
      close_later(index);
      return;
    }
    if (connection.sending || connection.output.empty()) return;
    connection.in_flight.swap(connection.output);
    connection.output.clear();
    io_uring_sqe* sqe = ring_.sqe();
    io_uring_prep_send(sqe, connection.fd, connection.in_flight.data(), connection.in_flight.size(),
                       MSG_WAITALL | MSG_NOSIGNAL);
    sqe->flags |= direct_flag();
    sqe->user_data = user_data(kStreamSent, index);
    connection.sending = true;
  }

  void stream_sent(std::uint32_t index, int result) {
    Connection& connection = *connections_[index];
    connection.sending = false;
    const bool whole = result == static_cast<int>(connection.in_flight.size());
    connection.in_flight.clear();
    if (!whole) close_later(index);
    if (connection.closing || !connection.output.empty()) mark(index);
  }

  void close_later(std::uint32_t index) {
    Connection& connection = *connections_[index];
    if (!connection.closing) shut_down(connection.fd);
    connection.closing = true;
    mark(index);
  }

  void finish_close(std::uint32_t index) {
    Connection& connection = *connections_[index];
    if (connection.sending || connection.receiving) return;  // their completions mark it again
    if (options_.direct) {
      io_uring_sqe* sqe = ring_.sqe();
      io_uring_prep_close_direct(sqe, static_cast<unsigned>(connection.fd));
      sqe->user_data = user_data(kClosed, index);
    } else {
      close(connection.fd);
    }
    connections_[index].reset();
    free_.push_back(index);
  }

  const Options& options_;
  Ring ring_;
  BufferGroup stream_buffers_;
  BufferGroup datagram_buffers_;
  SSL_CTX* context_ = nullptr;
  int listener_ = -1;
  int udp_ = -1;
  msghdr template_{};
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<std::uint32_t> free_;
  std::vector<std::uint32_t> dirty_;
  std::vector<std::uint32_t> tags_;
  std::vector<Datagram> datagrams_;
  std::size_t datagrams_used_ = 0;
};

}  // namespace

void run_stream(const Options& options) {
  StreamForwarder(options).run();
}

}  // namespace ringway::floor
