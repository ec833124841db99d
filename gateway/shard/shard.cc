#include "gateway/shard/shard.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "gateway/base/system_limits.h"
#include "gateway/shard/shard_thread.h"
#include "gateway/transport/sockaddr.h"
#include "tls/random.h"

namespace ringway {
namespace {

constexpr int kClosingStepsATurn = 8;
constexpr Duration kNewcomersEvery = 1ms;  // however much others have to do
constexpr int kFlushesATurn = 8;
constexpr Duration kDeadlineMissed = 100ms;  // later than that is worth a word

template <typename T>
T random_value() {
  const auto bytes = tls::random_bytes<sizeof(T)>();
  T value;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

std::string memory_complaint(std::size_t bytes) {
  return memory_refusal("a shard's tables find no address space", bytes,
                        "shards, limits.buffer_bytes and limits.transactions");
}

}  // namespace

ControlPort::ControlPort() : wake_fd_(eventfd(0, EFD_CLOEXEC)) {
  if (wake_fd_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
}

ControlPort::~ControlPort() {
  ::close(wake_fd_);
}

bool ControlPort::send(ToShard&& message) {
  if (!to_shard_.push(std::move(message))) return false;
  // Always: it is rare, and a shard that is awake loses nothing by one more completion.
  const std::uint64_t one = 1;
  return ::write(wake_fd_, &one, sizeof one) == sizeof one;
}

Shard::Shard(ShardSetup setup) : thread_(std::make_unique<ShardThread>(std::move(setup))) {}
Shard::~Shard() = default;
std::expected<void, std::string> Shard::start() {
  return thread_->start();
}
void Shard::join() {
  thread_->join();
}
ControlPort& Shard::control() {
  return thread_->port();
}
const Counters& Shard::counters() const {
  return thread_->counters();
}

ShardThread::ShardThread(ShardSetup setup)
    : setup_(std::move(setup)), config_(setup_.config), posted_(setup_.exchange.shards()) {}

ShardThread::~ShardThread() {
  if (thread_.joinable()) {
    while (!port_.send(Stop{})) sched_yield();
    join();
  }
  for (std::size_t to = 0; parts_ && to < setup_.exchange.shards(); ++to) {
    setup_.exchange.box(setup_.index, static_cast<ShardIndex>(to)).abandon();
  }
}

std::expected<void, std::string> ShardThread::start() {
  std::promise<std::expected<void, std::string>> started;
  auto result = started.get_future();
  // Signals are the control thread's; the new thread inherits that none comes to it.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this, &started] { run(started); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  auto outcome = result.get();
  if (!outcome) join();
  return outcome;
}

void ShardThread::join() {
  if (thread_.joinable()) thread_.join();
}

ShardThread::Parts::Parts(ShardThread& thread)
    : buffers(thread.config_.limits.buffer_bytes),
      log(thread.setup_.index, thread.config_.log_level, thread.setup_.log, thread.counters_),
      gate(thread.setup_.bans
               ? SourceGate(*thread.setup_.bans, thread.setup_.index, thread.counters_)
               : SourceGate()),
      reactor(thread.setup_.make_kernel(thread.counters_, thread.setup_.index), thread.counters_,
              thread.setup_.exchange.waker(thread.setup_.index), thread.port_.wake_fd_),
      datagrams(
          thread.setup_.listeners, reactor.kernel(), thread.setup_.exchange.local_addresses(),
          thread.counters_,
          thread.config_.udp_trains ? Datagrams::Trains::UnderLoad : Datagrams::Trains::Never),
      streams({thread.config_, thread.setup_.index, thread.setup_.listeners, reactor.kernel(),
               buffers, thread.counters_, log, random_value<HashKey>(),
               random_value<std::uint64_t>(), &gate}),
      mac(thread.setup_.token_key),
      core({thread.config_, thread.setup_.index,
            static_cast<ShardIndex>(thread.setup_.exchange.shards()),
            thread.setup_.listeners.infos, mac, random_value<std::uint64_t>(),
            thread.setup_.exchange.epoch(), buffers,
            thread.counters_, log,
            // Shards' clock is CLOCK_MONOTONIC, which is steady_clock's.
            std::chrono::system_clock::now().time_since_epoch() -
                std::chrono::steady_clock::now().time_since_epoch(),
            &gate, thread.setup_.caps}),
      names(thread.config_.limits.contexts) {}

std::expected<void, std::string> ShardThread::open() {
  if (setup_.cpu >= 0) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(static_cast<std::size_t>(setup_.cpu), &cpus);
    pthread_setaffinity_np(pthread_self(), sizeof cpus, &cpus);  // an optimisation
  }
  try {
    parts_ = std::make_unique<Parts>(*this);
  } catch (const NoAddressSpace& missing) {
    return std::unexpected(memory_complaint(missing.bytes));
  } catch (const std::bad_alloc&) {
    return std::unexpected(memory_complaint(0));
  }
  if (auto opened = parts_->reactor.open(); !opened) return opened;
  parts_->log.set_time(now());
  parts_->gate.publish(setup_.lists);
  parts_->core.publish_fraud(setup_.fraud);
  parts_->gate.set_enabled(config_.bans.enabled);
  parts_->streams.publish_tls(setup_.tls);
  parts_->streams.publish_pages(setup_.pages);
  if (setup_.filter) parts_->core.publish_filter(setup_.filter);
  if (setup_.next_hops) parts_->core.publish_next_hops(setup_.next_hops, now(), parts_->outbox);
  if (auto opened = open_relays(); !opened) return opened;
  if (auto opened = parts_->datagrams.open(); !opened) return opened;
  if (auto opened = parts_->streams.open(now()); !opened) return opened;
  deliver();
  flush();
  return {};
}

// A socket for each relay by UDP, connected, so that nobody else's datagrams come in by it. There
// is no connection to wait for: pings tell whether somebody answers.
std::expected<void, std::string> ShardThread::open_relays() {
  for (std::size_t i = 0; i < config_.media.relays.size(); ++i) {
    const RelayConfig& relay = config_.media.relays[i];
    if (relay.transport != Transport::Udp) continue;
    SocketAddress address;
    const socklen_t size = write_socket_address(relay.address, address);
    Socket socket(::socket(address.any.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!socket || connect(socket.fd(), &address.any, size) != 0) {
      return std::unexpected("no UDP socket towards the media relay at " +
                             text_of(relay.address) + ": " + std::strerror(errno));
    }
    const auto place = static_cast<std::uint8_t>(i);
    parts_->datagrams.sockets().add_connected(socket.fd(), relay_listener(place));
    parts_->relay_sockets.push_back(std::move(socket));
    parts_->core.relay_connected(place, now(), parts_->outbox);
  }
  return {};
}

void ShardThread::run(std::promise<std::expected<void, std::string>>& started) {
  pthread_setname_np(pthread_self(), ("shard-" + std::to_string(setup_.index)).c_str());
  auto opened = open();
  const bool is_open = opened.has_value();
  started.set_value(std::move(opened));
  while (is_open && !stopping_) turn();
  end();
}

// One turn: wait, dispatch what has completed, read the mail, serve deadlines, a few handshakes,
// and send everything that came of it.
void ShardThread::turn() {
  const auto completions = parts_->reactor.turn(next_deadline(), [this] { return has_mail(); });
  if (!parts_->reactor.failure().empty()) {
    tell_control(ShardFailed{parts_->reactor.failure()});
    stopping_ = true;
    return;
  }
  parts_->log.set_time(now());
  note_lag();
  for (const Completion& completion : completions) dispatch(completion);
  if (parts_->reactor.drained()) parts_->datagrams.completions_drained();
  read_mail();
  expire();
  serve_comers_and_goers();
  advance_drain();
  serve_leaving();
  flush();
}

// A shard that can do its work catches up with the kernel again and again. While it does not, what
// waits in its sockets grows: by a fifth of the time, if it is asked for a fifth more than it can.
void ShardThread::note_lag() {
  if (!parts_->reactor.is_crowded() || caught_up_at_ == Instant{}) caught_up_at_ = now();
  const Duration lag = (now() - caught_up_at_) / 5;
  counters_.lag_microseconds.set(static_cast<std::uint64_t>(lag / 1us));
  const OverloadConfig& overload = config_.overload;
  parts_->core.set_overloaded(overload.enabled && lag > overload.lag, now());
}

// A step of a handshake costs as much as a hundred messages (the first 173 us, of a hundred one
// 260; the last 34 us), one of a close as some five: established flows come first. With two
// handshake steps in each turn, when 5,000 browsers left and came back at once, the messages of
// others waited up to 60 ms behind what the kernel had ready, 20 results at a time.
void ShardThread::serve_comers_and_goers() {
  Streams& streams = parts_->streams;
  if (!streams.has_handshakes() && !streams.has_closings()) return;
  if (parts_->reactor.is_crowded() && now() < newcomers_at_) return;
  newcomers_at_ = now() + kNewcomersEvery;
  for (int i = 0; i < kClosingStepsATurn && streams.step_closing(now()); ++i) pump();
  if (streams.step_handshake(now())) pump();
}

void ShardThread::flush() {
  // Sending may fail, which may cause more to be sent; what is left waits for the next turn.
  for (int i = 0; i < kFlushesATurn; ++i) {
    parts_->streams.flush(now());
    pump();
    if (!parts_->streams.has_unflushed()) break;
  }
  parts_->datagrams.flush();
  for (std::size_t shard = 0; shard < posted_.size(); ++shard) {
    const auto to = static_cast<ShardIndex>(shard);
    if (to == setup_.index) continue;
    setup_.exchange.box(setup_.index, to).reclaim();
    if (!posted_[shard]) continue;
    posted_[shard] = false;
    parts_->reactor.wake(setup_.exchange.waker(to));
  }
  counters_.buffers_in_use.set(parts_->buffers.in_use());
  counters_.buffer_bytes_in_use.set(parts_->buffers.bytes_in_use());
}

Instant ShardThread::next_deadline() const {
  const Streams& streams = parts_->streams;
  if (streams.has_handshakes() || streams.has_closings() || streams.has_unflushed()) return now();
  return std::min(
      {parts_->core.next_deadline(), parts_->streams.next_deadline(), drain_deadline(),
       leaving_next_});
}

void ShardThread::expire() {
  Duration late{};
  if (parts_->core.next_deadline() <= now()) {
    late = parts_->core.expire(now(), parts_->outbox);
    deliver();
  }
  if (parts_->streams.next_deadline() <= now()) {
    late = std::max(late, parts_->streams.expire(now()));
    pump();
  }
  if (late <= kDeadlineMissed) return;
  // Who is to blame decides what helps: another core, or a look at what the shard does.
  const bool woken_late = parts_->reactor.overslept() > kDeadlineMissed / 2;
  (woken_late ? counters_.late_wakes : counters_.missed_deadlines).add();
  parts_->log.warning(woken_late ? "woken_late" : "deadline_missed",
                      {{"late_ms", late / 1ms}, {"shard", int{setup_.index}}});
}

}  // namespace ringway
