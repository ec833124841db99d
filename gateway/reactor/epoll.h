#pragma once

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <deque>
#include <unordered_map>
#include <vector>

#include "gateway/base/counters.h"
#include "gateway/base/fifo.h"
#include "gateway/reactor/buffer_ring.h"
#include "gateway/reactor/clock.h"
#include "gateway/reactor/kernel.h"

namespace ringway {

// The kernel's older interface, for systems that forbid io_uring. Each send and each receive is a
// system call of its own. Sends are tried when they are prepared; what has to wait for space is
// kept here.
//
// A descriptor is watched from its first operation until close(), edge-triggered: an event is
// remembered (readable, writable) until a call says that there is nothing more.
class Epoll final : public Kernel {
 public:
  explicit Epoll(Counters& counters) : counters_(counters) {}
  ~Epoll() override { end(); }

  [[nodiscard]] std::expected<void, std::string> open() override;
  void end() override;
  int handle() const override { return -1; }
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
  // handle: an eventfd that the other one reads.
  void wake(int handle) override;
  void reserve(unsigned) override {}

  [[nodiscard]] bool wait(Duration timeout, std::string& error) override;
  bool has_completions() const override { return !completions_.empty(); }
  std::span<Completion> reap(std::span<Completion> batch) override;

  int register_buffers(std::uint16_t group, BufferRing& ring) override;
  void close(int fd) override;

 private:
  // A send that waits for space.
  struct PendingSend {
    Operation operation;
    Chain chain = Chain::Last;
    bool datagram = false;
    std::size_t done = 0;  // bytes that have left
    std::size_t next = 0;  // the first of pieces that has not
    std::vector<iovec> pieces;
    sockaddr_storage name{};  // datagrams
    socklen_t name_size = 0;
    std::vector<std::uint8_t> control;
  };
  enum class Receive : std::uint8_t { None, Stream, Datagram, Event };
  // What is armed on a descriptor and what the kernel has said about it.
  struct Descriptor {
    std::uint32_t watched = 0;  // the events asked for
    bool readable = false, writable = false;
    bool hung_up = false;  // the peer's end was seen: a read finds it behind the bytes
    bool queued = false;   // in ready_
    bool connecting = false;
    bool accepts = false;  // the multishot accept
    std::uint16_t group = 0;
    std::uint32_t accepts_one = 0;
    Receive receive = Receive::None;
    std::uint32_t bytes_max = 0;
    void* target = nullptr;  // Datagram: msghdr; Event: value
    Operation receive_operation, connect_operation, accept_operation, accept_one_operation;
    bool sends = false;  // pending_ has some
  };

  Descriptor& at(int fd);
  void watch(int fd, Descriptor& descriptor, std::uint32_t events);
  void watch_listener(int fd, Descriptor& descriptor);
  bool has_work(const Descriptor& descriptor) const;
  void enqueue(int fd, Descriptor& descriptor);
  void complete(Operation operation, std::int32_t result);
  // epoll_pwait2(2), or epoll_wait(2) where that is not known. How many events, or -1 with errno.
  int ask(Duration timeout);
  void serve();

  // epoll_receive.cc
  void serve_accepts(int fd, Descriptor& descriptor);
  void serve_receive(int fd, Descriptor& descriptor);
  bool receive_bytes(int fd, Descriptor& descriptor, std::size_t& left);
  bool receive_datagram(int fd, Descriptor& descriptor);
  void read_value(int fd, Descriptor& descriptor);
  void receive_ended(Descriptor& descriptor, std::int32_t result);

  // epoll_send.cc
  void begin_send(int fd, const msghdr& header, Chain chain, Operation operation);
  void wait_for_space(int fd, PendingSend&& pending);
  void serve_connect(int fd, Descriptor& descriptor);
  void serve_sends(int fd, Descriptor& descriptor);
  bool advance(int fd, PendingSend& pending, std::int32_t& result);
  static void skip(PendingSend& pending, std::size_t bytes);
  void cancel_chain(std::deque<PendingSend>& sends);
  bool cancel_sends(int fd, std::uint64_t name);

  // Results of one wait; more are left for the next.
  static constexpr std::size_t kResultsMax = 256;

  Counters& counters_;
  int epoll_ = -1;
  bool prepared_ = false;               // an operation since the last wait
  bool chain_broken_ = false;           // the newest chain's sends are cancelled
  bool coarse_ = false;                 // no epoll_pwait2: milliseconds
  std::deque<Descriptor> descriptors_;  // by number
  std::unordered_map<int, std::deque<PendingSend>> pending_;  // by descriptor; none is empty
  Fifo<int> ready_;  // descriptors with work that can be done
  Fifo<Completion> completions_;
  std::array<BufferTaker, 8> buffers_;  // by group
  std::array<epoll_event, 256> events_;
};

}  // namespace ringway
