#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>

#include "gateway/base/counters.h"
#include "gateway/reactor/operation.h"
#include "protocol/base/bytes.h"
#include "protocol/base/time.h"

struct io_uring;
struct io_uring_sqe;

namespace ringway {

// One io_uring, used by the thread that opened it and by nobody else. The only code that knows
// liburing.
//
// Operations are collected and reach the kernel with the next wait(), all in one system call; what
// they point to (unless said otherwise) must stay in place until then. Sockets must not be
// non-blocking, or nothing would ever be waited for.
class Ring {
 public:
  static constexpr unsigned kSubmissions = 1024;
  static constexpr unsigned kCompletions = 16'384;

  explicit Ring(Counters& counters);
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // On the thread that will use it.
  // Errors: a sentence that says what is missing and what to do about it.
  [[nodiscard]] std::expected<void, std::string> open();
  int fd() const;

  // Multishot: one completion for each connection. What waits in the backlog when it is armed is
  // accepted at once, be it thousands.
  void accept(int fd, Operation operation);
  // One connection.
  void accept_one(int fd, Operation operation);
  // Multishot into buffers of group, at most about bytes_max in one go (0: no limit).
  void receive(int fd, std::uint16_t group, std::uint32_t bytes_max, Operation operation);
  // Multishot; header tells how much room name and control data get.
  void receive_message(int fd, msghdr* header, std::uint16_t group, Operation operation);
  void connect(int fd, const sockaddr* address, socklen_t size, Operation operation);

  enum class Chain : std::uint8_t { Last, Linked };  // Linked: the next one waits for this one
  // On a stream: all of it, waiting for space as long as it takes; bytes stay until completion.
  void send(int fd, Bytes bytes, Chain chain, Operation operation);
  // The same; header and its vector are copied by the kernel, the bytes stay until completion.
  void send_message(int fd, const msghdr* header, Operation operation);
  // A datagram that is sent or refused at once (-EAGAIN): only failures are reported, and the
  // kernel needs nothing of it after wait() has returned. header: one piece, no control data.
  //
  // CPU of a transaction on the raw forwarder at 60,000 a second (bench/run --only experiments;
  // medians of three, whose ranges overlap): this way, all of a turn in one submission, 11.7 us, in
  // pieces of 32 10.9, of eight 12.5, one for each 13.5; sendmsg(2) for each 13.0, sendmmsg(2)
  // 12.8. A completion for each costs nothing that can be seen (11.6), but keeps the buffer.
  void send_datagram_now(int fd, const msghdr* header, Operation operation);
  // The same for a header with several pieces and control data.
  void send_datagrams_now(int fd, const msghdr* header, Operation operation);
  // A datagram that waits for space; bytes stay until completion, always reported.
  void send_datagram_later(int fd, const msghdr* header, Operation operation);

  void read(int fd, MutableBytes bytes, Operation operation);
  // Cancels all operations with this name; their completions say -ECANCELED, or what they did.
  void cancel(Operation target);
  // Posts operation into another thread's ring.
  void wake(int ring_fd, Operation operation);
  // Makes sure that count operations fit without a submission in between.
  void reserve(unsigned count);

  // Submits everything, and waits until something has completed or timeout has passed; zero or
  // less: only looks; Duration::max(): for ever. False: the ring is broken (errno text in error).
  [[nodiscard]] bool wait(Duration timeout, std::string& error);
  // True if reap() would return something without wait().
  bool has_completions() const;
  // Takes up to batch.size() completions.
  std::span<Completion> reap(std::span<Completion> batch);

  // The kernel takes buffers from memory, a ring of count entries (ReceiveBuffers).
  // 0 or -errno.
  int register_buffers(std::uint16_t group, void* memory, std::uint32_t count);

 private:
  io_uring_sqe* next(Operation operation);
  bool all_submitted() const;

  Counters& counters_;
  std::unique_ptr<io_uring> ring_;
  bool open_ = false;
};

}  // namespace ringway
