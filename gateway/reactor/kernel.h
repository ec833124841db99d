#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <string>

#include "gateway/reactor/operation.h"
#include "protocol/base/bytes.h"
#include "protocol/base/time.h"

namespace ringway {

// What a shard asks of an operating system: operations on descriptors that complete later, the
// wait for them, and the time. Used by the thread that opened it and by nobody else. Behind it are
// io_uring (Ring), epoll (Epoll) and, in tests, a kernel that is made up; nothing above knows
// which.
//
// Operations are collected and reach the kernel with the next wait() at the latest; what they point
// to (unless said otherwise) must stay in place until then. Sockets are blocking ones when they are
// handed over; an implementation may change that.
//
// The calls are virtual, because tests bring a kernel that the gateway does not know.
class Kernel {
 public:
  virtual ~Kernel() = default;
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  // On the thread that will use it.
  // Errors: a sentence that says what is missing and what to do about it.
  [[nodiscard]] virtual std::expected<void, std::string> open() = 0;
  // Lets go of all memory and descriptors that operations still hold. After it only close().
  virtual void end() = 0;
  // What other threads hand to their wake() to end this one's wait(); -1: there is no such thing,
  // and an eventfd that this one reads is written instead.
  virtual int handle() const = 0;
  // The monotonic clock. A shard reads it once a turn.
  virtual Instant now() const = 0;

  // --- Operations that complete later -----------------------------------------------------------

  // Multishot: one completion for each connection. What waits in the backlog when it is armed is
  // accepted at once, be it thousands.
  virtual void accept(int fd, Operation operation) = 0;
  // One connection.
  virtual void accept_one(int fd, Operation operation) = 0;
  // address: in place until completion.
  virtual void connect(int fd, const sockaddr* address, socklen_t size, Operation operation) = 0;

  // Multishot into buffers of group, at most about bytes_max in one go (0: no limit). The end of
  // the stream is a result of 0.
  virtual void receive(int fd, std::uint16_t group, std::uint32_t bytes_max,
                       Operation operation) = 0;
  // Multishot. A buffer begins with a DatagramHead, the name and the control data; header tells how
  // much room these two get, and stays in place.
  virtual void receive_message(int fd, msghdr* header, std::uint16_t group,
                               Operation operation) = 0;

  enum class Chain : std::uint8_t { Last, Linked };  // Linked: the next one waits for this one
  // On a stream: all of it, waiting for space as long as it takes; bytes stay until completion. A
  // result of less than all of it means that the stream is broken. When one of a chain did not
  // send all, those behind it complete with -ECANCELED.
  virtual void send(int fd, Bytes bytes, Chain chain, Operation operation) = 0;
  // The same; header and its vector are copied, the bytes stay until completion.
  virtual void send_message(int fd, const msghdr* header, Operation operation) = 0;
  // A datagram that is sent or refused at once (-EAGAIN): only failures are reported, and nothing
  // of it is needed after wait() has returned. header: one piece, no control data.
  virtual void send_datagram_now(int fd, const msghdr* header, Operation operation) = 0;
  // The same for a header with control data, and with several pieces if that tells how it is cut.
  virtual void send_datagrams_now(int fd, const msghdr* header, Operation operation) = 0;
  // A datagram that waits for space; header, control data and bytes stay until completion, always
  // reported.
  virtual void send_datagram_later(int fd, const msghdr* header, Operation operation) = 0;

  // The value of an eventfd, once it is not zero.
  virtual void read_event(int fd, std::uint64_t* value, Operation operation) = 0;
  // Cancels all operations on fd with this name; their completions say -ECANCELED, or what they
  // did. Completes itself with OperationKind::None.
  virtual void cancel(int fd, Operation target) = 0;
  // Ends the wait of the thread whose kernel has this handle. handle may be gone.
  virtual void wake(int handle) = 0;
  // Makes sure that count operations fit without a submission in between.
  virtual void reserve(unsigned count) = 0;

  // --- Completions ------------------------------------------------------------------------------

  // Submits everything, and waits until something has completed or timeout has passed; zero or
  // less: only looks; Duration::max(): for ever. False: it is broken (errno text in error).
  [[nodiscard]] virtual bool wait(Duration timeout, std::string& error) = 0;
  // True if reap() would return something without wait().
  virtual bool has_completions() const = 0;
  // Takes up to batch.size() completions.
  virtual std::span<Completion> reap(std::span<Completion> batch) = 0;

  // --- Buffers ----------------------------------------------------------------------------------

  // Receives of group take their buffers from ring, which stays in place until end(). 0 or -errno.
  virtual int register_buffers(std::uint16_t group, struct BufferRing& ring) = 0;

  // --- Descriptors ------------------------------------------------------------------------------

  // A socket to connect, bound to local if that is given (its port is chosen later). It may be
  // bound to an address that the host will get only later. The descriptor or -errno.
  virtual int open_stream(int family, const sockaddr* local, socklen_t local_size);
  // Whose connection it is: the size of the address, or -errno.
  virtual int peer_of(int fd, sockaddr* address, socklen_t size);
  // how: SHUT_WR, SHUT_RDWR. Receives that are armed end; a listener takes no connection any more.
  virtual void shutdown(int fd, int how);
  // A datagram with content waits in it that no receive has taken yet.
  virtual bool has_datagram(int fd);
  // Nothing of it is armed any more.
  virtual void close(int fd);

 protected:
  Kernel() = default;
};

// What the kernel writes in front of a datagram; the room for the name and the control data that
// was asked for comes next, then the payload. The layout is io_uring's (struct
// io_uring_recvmsg_out).
//
//   0          4             8             12     16
//   +----------+-------------+-------------+------+-----------+--------------+---------
//   | name size| control size| payload size| flags| name room | control room | payload
//   +----------+-------------+-------------+------+-----------+--------------+---------
struct DatagramHead {
  std::uint32_t name_size, control_size, payload_size, flags;
};
static_assert(sizeof(DatagramHead) == 16);

}  // namespace ringway
