#pragma once

#include <memory>

#include "gateway/base/counters.h"
#include "gateway/reactor/buffer_ring.h"
#include "gateway/reactor/clock.h"
#include "gateway/reactor/kernel.h"

struct io_uring;
struct io_uring_sqe;

namespace ringway {

// One io_uring. The only code that knows liburing. All operations of a turn reach the kernel in one
// system call.
class Ring final : public Kernel {
 public:
  static constexpr unsigned kSubmissions = 1024;
  static constexpr unsigned kCompletions = 16'384;

  explicit Ring(Counters& counters);
  ~Ring() override;

  [[nodiscard]] std::expected<void, std::string> open() override;
  // Why open() failed: an errno; 0 if it did not.
  int refusal() const { return refusal_; }
  void end() override;
  int handle() const override;
  Instant now() const override { return read_clock(); }

  void accept(int fd, Operation operation) override;
  void accept_one(int fd, Operation operation) override;
  void connect(int fd, const sockaddr* address, socklen_t size, Operation operation) override;
  void receive(int fd, std::uint16_t group, std::uint32_t bytes_max, Operation operation) override;
  void receive_message(int fd, msghdr* header, std::uint16_t group, Operation operation) override;
  void send(int fd, Bytes bytes, Chain chain, Operation operation) override;
  void send_message(int fd, const msghdr* header, Operation operation) override;
  void send_datagram_now(int fd, const msghdr* header, Operation operation) override;
  void send_datagrams_now(int fd, const msghdr* header, Operation operation) override;
  void send_datagram_later(int fd, const msghdr* header, Operation operation) override;
  void read_event(int fd, std::uint64_t* value, Operation operation) override;
  void cancel(int fd, Operation target) override;
  void wake(int handle) override;
  void reserve(unsigned count) override;

  [[nodiscard]] bool wait(Duration timeout, std::string& error) override;
  bool has_completions() const override;
  std::span<Completion> reap(std::span<Completion> batch) override;

  int register_buffers(std::uint16_t group, BufferRing& ring) override;

 private:
  io_uring_sqe* next(Operation operation);
  bool all_submitted() const;

  Counters& counters_;
  std::unique_ptr<io_uring> ring_;
  bool open_ = false;
  int refusal_ = 0;
};

}  // namespace ringway
