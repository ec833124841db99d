#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "gateway/base/flow_id.h"
#include "gateway/reactor/buffer_ring.h"
#include "gateway/reactor/kernel.h"
#include "tests/sim/clock.h"
#include "tests/sim/dice.h"
#include "tests/sim/network.h"

namespace ringway::sim {

class MachineKernel;

// The computer that whole shards run on in the simulation: descriptors, simulated time, and all
// that a kernel may do to a program. Shards are real threads, of which one runs at a time: the
// others, and the world when one runs, wait for the baton.
class Machine {
 public:
  // How often the kernel does the worst that it may: of one operation.
  struct Odds {
    double short_receive = 0.2, short_send = 0.01, slow_send = 0.1, ended_multishot = 0.1,
           no_buffers = 0.05, no_descriptor = 0.05, refused = 0.2, again = 0.1, late = 0.5,
           swapped = 0.3;
  };
  // How often it did.
  struct Hits {
    std::uint64_t short_receives = 0, short_sends = 0, slow_sends = 0, ended_multishots = 0,
                  no_buffers = 0, no_descriptors = 0, refused = 0, again = 0, late = 0, swapped = 0,
                  resets = 0;
  };

  Machine(Clock& clock, Dice& dice, Network& network)
      : clock_(clock), dice_(dice), network_(network) {}

  Odds odds;
  Hits hits;

  // The sockets of all shards for one address share it. descriptor: theirs, any number.
  void add_listener(int descriptor, const Endpoint& local, ShardIndex shard);
  void add_datagram_socket(int descriptor, const Endpoint& local, ShardIndex shard);
  std::unique_ptr<Kernel> make_kernel(ShardIndex shard);
  // Until each shard waits.
  void settle();
  // A message from the control thread was put into the shard's queue.
  void notify(ShardIndex shard);
  // Streams that are not closed.
  std::size_t open_streams() const { return streams_.size(); }

 private:
  friend class MachineKernel;

  struct Stream {
    int fd = -1;
    MachineKernel* kernel = nullptr;  // null: in the backlog
    std::shared_ptr<Wire> wire;       // null: not connected
    Wire::Side side = Wire::Side::Server;
    Endpoint peer;
    std::string inbox;
    int error = 0;  // errno; ended: 0 bytes follow the inbox
    bool ended = false;
    // Armed:
    bool receives = false, connects = false, scheduled = false;
    Operation receive, connect;
    std::uint16_t group = 0;
    std::size_t bytes_max = 0;
    struct Send {
      std::vector<iovec> pieces;  // the program's memory, read when it is sent
      Kernel::Chain chain;
      Operation operation;
    };
    std::deque<Send> sends;
  };
  struct Listener {
    MachineKernel* kernel = nullptr;
    Endpoint local;
    ShardIndex shard = 0;
    bool many = false, shut = false, scheduled = false;
    int singles = 0;
    Operation many_name, single_name;
    std::deque<std::shared_ptr<Stream>> backlog;
  };
  struct Datagrams {
    MachineKernel* kernel = nullptr;
    Endpoint local;
    ShardIndex shard = 0;
    bool receives = false, scheduled = false;
    Operation receive;
    std::uint16_t group = 0;
    const msghdr* shape = nullptr;
    std::deque<std::pair<Endpoint, std::string>> inbox;
  };

  Wire::End end_of(const std::shared_ptr<Stream>& stream);
  void pump(const std::shared_ptr<Stream>& stream);
  void deliver(Stream& stream);
  void pump_sends(const std::shared_ptr<Stream>& stream);
  void serve_send(Stream& stream);
  void reset(Stream& stream);
  void pump(Listener& listener);
  void serve_accept(Listener& listener);
  void pump(Datagrams& socket);
  void deliver(Datagrams& socket);
  void run(MachineKernel& kernel);
  bool chance(double probability, std::uint64_t& hit) {
    const bool happens = dice_.chance(probability);
    hit += happens ? 1 : 0;
    return happens;
  }

  Clock& clock_;
  Dice& dice_;
  Network& network_;
  int next_fd_ = 1'000'000;
  std::map<int, std::shared_ptr<Stream>> streams_;
  std::map<int, Listener> listeners_;
  std::map<int, Datagrams> sockets_;
  std::vector<MachineKernel*> kernels_;  // by shard; null: ended

  std::mutex mutex_;
  std::condition_variable changed_;
  MachineKernel* running_ = nullptr;  // who has the baton; null: the world
};

// One shard's kernel.
class MachineKernel final : public Kernel {
 public:
  MachineKernel(Machine& machine, ShardIndex shard) : machine_(machine), shard_(shard) {}

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

  [[nodiscard]] bool wait(Duration timeout, std::string& error) override;
  bool has_completions() const override { return !completions_.empty(); }
  std::span<Completion> reap(std::span<Completion> batch) override;
  int register_buffers(std::uint16_t group, BufferRing& ring) override;

  int open_stream(int family, const sockaddr* local, socklen_t size) override;
  int peer_of(int fd, sockaddr* address, socklen_t size) override;
  void shutdown(int fd, int how) override;
  void close(int fd) override;

 private:
  friend class Machine;

  void complete(const Completion& completion);
  void schedule_run();
  void add_send(int fd, std::vector<iovec> pieces, Chain chain, Operation operation);

  Machine& machine_;
  ShardIndex shard_;
  std::deque<Completion> completions_;
  std::map<std::uint16_t, BufferTaker> buffers_;
  Operation event_;
  bool first_ = true;  // has never waited
  bool scheduled_ = false;
  bool parked_ = false, ended_ = false;  // under the machine's mutex
  Instant until_ = kNever;
  int restless_ = 0;  // waits in a row that did not wait
};

}  // namespace ringway::sim
