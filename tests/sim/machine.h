#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/base/flow_id.h"
#include "gateway/reactor/buffer_ring.h"
#include "gateway/reactor/kernel.h"
#include "tests/sim/checks.h"
#include "tests/sim/clock.h"
#include "tests/sim/dice.h"
#include "tests/sim/network.h"

namespace ringway::sim {

class MachineKernel;

// What a kernel may do to a program besides what the program wants.
enum class Fault : std::uint8_t {
  ShortReceive,    // a part of what is there
  ShortSend,       // a part is sent, then the connection is broken
  SlowSend,        // the peer does not read for a while
  EndedMultishot,  // the operation has to be armed again
  NoBuffers,       // -ENOBUFS although some may be free
  NoDescriptor,    // -EMFILE
  Refused,         // a connection that we open
  AbortedAccept,   // -ECONNABORTED: the peer has gone while it waited
  Again,           // a datagram finds no space
  LateCancel,      // the operation was done when the cancellation came
  Cancelled,       // -ECANCELED
  OutOfOrder,      // completions of different operations
  Overflow,        // more completions than there is space for: some come with a later wait
  Interrupted,     // a wait that ends for no reason
  Reset,           // of a connection, at any byte
  TimedOut,        // what was sent is never acknowledged
};
inline constexpr std::size_t kFaults = 16;
std::string_view to_text(Fault fault);

// How often each happens where it may, or happened.
template <typename T>
class PerFault {
 public:
  T& operator[](Fault fault) { return values_[static_cast<std::size_t>(fault)]; }
  T operator[](Fault fault) const { return values_[static_cast<std::size_t>(fault)]; }

 private:
  std::array<T, kFaults> values_{};
};

// The computer that the shards of one process run on: their sockets, simulated time, and all that a
// kernel may do to a program. It runs each shard's turns when something is due there.
class Machine {
 public:
  Machine(Clock& clock, Dice& dice, Trace& trace, Checks& checks, Network& network)
      : clock_(clock), dice_(dice), trace_(trace), checks_(checks), network_(network) {}

  // Where connections come from that are bound to no address.
  Endpoint home;
  PerFault<double> odds;
  PerFault<std::uint64_t> hits;

  // At any time. The sockets of all shards for one address share it. descriptor: one of this
  // process that stands for the socket, and is closed with it.
  void add_listener(int descriptor, const Endpoint& local, ShardIndex shard);
  // trusted: of the network side, whose messages name targets.
  void add_datagram_socket(int descriptor, const Endpoint& local, ShardIndex shard, bool trusted);
  // A reload takes its listener away: the program is to read what is in the socket by now.
  void leaves(int descriptor);
  // Sockets that listen or are for datagrams, and are not closed.
  std::size_t open_sockets() const { return listeners_.size() + sockets_.size(); }
  // turn: one turn of that shard. fell_asleep: it waits for something.
  struct Program {
    std::function<void()> turn, fell_asleep;
  };
  std::unique_ptr<Kernel> make_kernel(ShardIndex shard, Program program);
  // A message from the control thread was put into the shard's queue.
  void notify(ShardIndex shard);
  // The process is gone: its connections are reset, and nothing of it is run any more.
  void kill();
  // Streams that are not closed.
  std::size_t open_streams() const { return streams_.size(); }

 private:
  friend class MachineKernel;

  struct Stream {
    int fd = -1;
    MachineKernel* kernel = nullptr;  // null: in the backlog
    std::shared_ptr<Wire> wire;       // null: not connected
    Wire::Side side = Wire::Side::Server;
    Endpoint local, peer;
    std::string inbox;
    int error = 0;       // errno
    bool ended = false;  // 0 bytes follow the inbox
    bool closed = false;
    // Armed:
    bool receives = false, connects = false;
    Operation receive, connect;
    std::uint16_t group = 0;
    std::size_t bytes_max = 0;
    struct Send {
      std::vector<iovec> pieces;  // the program's memory, read when it is sent
      Kernel::Chain chain;
      Operation operation;
    };
    std::deque<Send> sends;
    bool receive_due = false, send_due = false, dying = false;
  };
  using StreamRef = std::shared_ptr<Stream>;
  struct Listener {
    MachineKernel* kernel = nullptr;  // null: its shard has not begun
    Endpoint local;
    ShardIndex shard = 0;
    bool many = false, shut = false, due = false;
    int singles = 0;
    Operation many_name, single_name;
    std::deque<StreamRef> backlog;
  };
  using ListenerRef = std::shared_ptr<Listener>;
  struct Datagrams {
    MachineKernel* kernel = nullptr;  // likewise
    Endpoint local;
    ShardIndex shard = 0;
    bool trusted = false;
    bool receives = false, due = false;
    Operation receive;
    std::uint16_t group = 0;
    const msghdr* shape = nullptr;
    std::size_t waiting = 0;  // sends
    std::deque<std::pair<Endpoint, std::string>> inbox;
    std::size_t promised = 0;  // so many of them came before its listener was taken away
  };
  using DatagramsRef = std::shared_ptr<Datagrams>;

  Wire::End end_of(const StreamRef& stream);
  void pump(const StreamRef& stream);
  void deliver(Stream& stream);
  void pump_sends(const StreamRef& stream);
  void serve_send(Stream& stream);
  void wait_for_acknowledgement(const StreamRef& stream);
  void end(Stream& stream, int error);
  void release(Stream& stream, Wire::Ending how);
  MachineKernel* kernel_of(ShardIndex shard) const {
    return shard < kernels_.size() ? kernels_[shard] : nullptr;
  }
  void pump(const ListenerRef& listener);
  void serve_accept(Listener& listener);
  void shut(Listener& listener);
  void pump(const DatagramsRef& socket);
  void deliver(Datagrams& socket);
  void send_datagram(const Datagrams& socket, const Endpoint& to, std::string_view bytes);
  bool happens(Fault fault) {
    if (odds[fault] == 0 || !dice_.chance(odds[fault])) return false;
    ++hits[fault];
    return true;
  }

  Clock& clock_;
  Dice& dice_;
  Trace& trace_;
  Checks& checks_;
  Network& network_;
  bool killed_ = false;
  int next_fd_ = 1'000'000;
  std::map<int, StreamRef> streams_;
  std::map<int, ListenerRef> listeners_;
  std::map<int, DatagramsRef> sockets_;
  std::vector<MachineKernel*> kernels_;  // by shard; null: ended
};

// One shard's kernel.
class MachineKernel final : public Kernel {
 public:
  MachineKernel(Machine& machine, ShardIndex shard, Machine::Program program)
      : machine_(machine), shard_(shard), program_(std::move(program)) {}

  [[nodiscard]] std::expected<void, std::string> open() override;
  void end() override;
  int handle() const override { return shard_; }
  Instant now() const override { return machine_.clock_.now(); }

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
  void read_event(int, std::uint64_t*, Operation operation) override { event_ = operation; }
  void cancel(int fd, Operation target) override;
  void wake(int handle) override;
  void reserve(unsigned) override {}

  // Never waits: where it would, the turn ends with nothing done, and the machine begins another
  // when something is due.
  [[nodiscard]] bool wait(Duration timeout, std::string& error) override;
  bool has_completions() const override { return !completions_.empty(); }
  std::span<Completion> reap(std::span<Completion> batch) override;
  int register_buffers(std::uint16_t group, BufferRing& ring) override;

  int open_stream(int family, const sockaddr* local, socklen_t size) override;
  int peer_of(int fd, sockaddr* address, socklen_t size) override;
  void shutdown(int fd, int how) override;
  bool has_datagram(int fd) override;
  void close(int fd) override;

 private:
  friend class Machine;

  void complete(const Completion& completion);
  void run_soon();
  void run();
  void add_send(int fd, std::vector<iovec> pieces, Chain chain, Operation operation);
  void cancel_accepts(Machine::Listener& listener, Operation target);
  void cancel_receive(Machine::Datagrams& socket, Operation target);
  bool close_socket(int fd);

  Machine& machine_;
  ShardIndex shard_;
  Machine::Program program_;
  std::deque<Completion> completions_;
  std::map<std::uint16_t, BufferTaker> buffers_;
  Operation event_;
  bool ended_ = false;
  bool due_ = false;     // a turn is on the clock
  bool asleep_ = false;  // the last wait would have waited
  Instant until_ = kNever;
  Instant armed_ = kNever;  // what the clock will wake it for
  int restless_ = 0;  // turns since it slept
};

}  // namespace ringway::sim
