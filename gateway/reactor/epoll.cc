#include "gateway/reactor/epoll.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "gateway/base/check.h"

namespace ringway {
namespace {

constexpr std::uint32_t kIncoming = EPOLLIN | EPOLLRDHUP | EPOLLET;

// epoll_wait(2) counts milliseconds: rounded up, so that a wake is never too early.
int milliseconds_of(Duration timeout) {
  if (timeout == Duration::max()) return -1;
  const auto count = (timeout + 999'999ns) / 1ms;
  return static_cast<int>(std::min<std::int64_t>(count, 3'600'000));
}

}  // namespace

std::expected<void, std::string> Epoll::open() {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ >= 0) return {};
  const bool no_descriptor = errno == EMFILE || errno == ENFILE;
  return std::unexpected(
      no_descriptor ? "no file descriptor is left for epoll; raise the limit of open files (ulimit "
                      "-n, LimitNOFILE=)"
                    : std::string("epoll cannot be set up: ") + strerror(errno));
}

void Epoll::end() {
  if (epoll_ >= 0) ::close(std::exchange(epoll_, -1));
  pending_.clear();
}

Epoll::Descriptor& Epoll::at(int fd) {
  prepared_ = true;
  counters_.ring_submissions.add();
  const auto place = static_cast<std::size_t>(fd);
  if (place >= descriptors_.size()) descriptors_.resize(place + 1);
  return descriptors_[place];
}

void Epoll::watch(int fd, Descriptor& descriptor, std::uint32_t events) {
  if (descriptor.watched == events) return;
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  const int change = descriptor.watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  descriptor.watched = events;
  if (epoll_ctl(epoll_, change, fd, &event) != 0) {
    // Whatever is wrong with it, the calls themselves will say.
    descriptor.watched = 0;
    descriptor.readable = descriptor.writable = true;
  }
}

// The kernel forgets it by itself.
void Epoll::close(int fd) {
  const auto place = static_cast<std::size_t>(fd);
  if (place < descriptors_.size()) {
    const bool queued = descriptors_[place].queued;
    if (descriptors_[place].sends) pending_.erase(fd);
    descriptors_[place] = {};
    descriptors_[place].queued = queued;
  }
  ::close(fd);
}

// --- Preparing ---------------------------------------------------------------------------------

void Epoll::watch_listener(int fd, Descriptor& descriptor) {
  if (descriptor.watched == 0) {
    // A connection may be gone between the event and the call, which must not wait then.
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    watch(fd, descriptor, kIncoming);
  }
  enqueue(fd, descriptor);
}

void Epoll::accept(int fd, Operation operation) {
  Descriptor& descriptor = at(fd);
  descriptor.accepts = true;
  descriptor.accept_operation = operation;
  watch_listener(fd, descriptor);
}

void Epoll::accept_one(int fd, Operation operation) {
  Descriptor& descriptor = at(fd);
  ++descriptor.accepts_one;
  descriptor.accept_one_operation = operation;
  watch_listener(fd, descriptor);
}

void Epoll::receive(int fd, std::uint16_t group, std::uint32_t bytes_max, Operation operation) {
  Descriptor& descriptor = at(fd);
  descriptor.receive = Receive::Stream;
  descriptor.receive_operation = operation;
  descriptor.group = group;
  descriptor.bytes_max = bytes_max;
  watch(fd, descriptor, descriptor.watched | kIncoming);
  enqueue(fd, descriptor);
}

void Epoll::receive_message(int fd, msghdr* header, std::uint16_t group, Operation operation) {
  Descriptor& descriptor = at(fd);
  descriptor.receive = Receive::Datagram;
  descriptor.receive_operation = operation;
  descriptor.group = group;
  descriptor.target = header;
  watch(fd, descriptor, descriptor.watched | kIncoming);
  enqueue(fd, descriptor);
}

void Epoll::read_event(int fd, std::uint64_t* value, Operation operation) {
  Descriptor& descriptor = at(fd);
  descriptor.receive = Receive::Event;
  descriptor.receive_operation = operation;
  descriptor.target = value;
  watch(fd, descriptor, descriptor.watched | kIncoming);
  enqueue(fd, descriptor);
}

void Epoll::cancel(int fd, Operation target) {
  const std::uint64_t name = target.packed();
  std::int32_t found = -ENOENT;
  prepared_ = true;
  counters_.ring_submissions.add();
  const auto ended = [&](Operation operation) {
    found = 0;
    complete(operation, -ECANCELED);
  };
  if (fd >= 0 && static_cast<std::size_t>(fd) < descriptors_.size()) {
    Descriptor& descriptor = descriptors_[static_cast<std::size_t>(fd)];
    if (descriptor.receive != Receive::None && descriptor.receive_operation.packed() == name) {
      descriptor.receive = Receive::None;
      ended(descriptor.receive_operation);
    }
    if (descriptor.connecting && descriptor.connect_operation.packed() == name) {
      descriptor.connecting = false;
      ended(descriptor.connect_operation);
    }
    if (descriptor.accepts && descriptor.accept_operation.packed() == name) {
      descriptor.accepts = false;
      ended(descriptor.accept_operation);
    }
    while (descriptor.accepts_one != 0 && descriptor.accept_one_operation.packed() == name) {
      --descriptor.accepts_one;
      ended(descriptor.accept_one_operation);
    }
    if (descriptor.sends && cancel_sends(fd, name)) found = 0;
  }
  complete({}, found);
}

void Epoll::wake(int handle) {
  counters_.ring_submissions.add();
  const std::uint64_t one = 1;
  // What it wakes stays open until no shard runs.
  static_cast<void>(!::write(handle, &one, sizeof one));
}

int Epoll::register_buffers(std::uint16_t group, BufferRing& ring) {
  if (group >= buffers_.size() || buffers_[group].is_open()) return -EEXIST;
  buffers_[group] = BufferTaker(ring);
  return 0;
}

// --- Waiting -----------------------------------------------------------------------------------

bool Epoll::has_work(const Descriptor& descriptor) const {
  const bool reads =
      descriptor.receive != Receive::None || descriptor.accepts || descriptor.accepts_one != 0;
  const bool writes = descriptor.sends || descriptor.connecting;
  return (reads && descriptor.readable) || (writes && descriptor.writable);
}

void Epoll::enqueue(int fd, Descriptor& descriptor) {
  if (descriptor.queued || !has_work(descriptor)) return;
  descriptor.queued = true;
  ready_.push_back(fd);
}

int Epoll::ask(Duration timeout) {
  const int room = static_cast<int>(events_.size());
  if (!coarse_) {
    const timespec limit{timeout / 1s, (timeout % 1s).count()};
    const int count = epoll_pwait2(epoll_, events_.data(), room,
                                   timeout == Duration::max() ? nullptr : &limit, nullptr);
    // Older sandboxes do not know the call.
    coarse_ = count < 0 && (errno == ENOSYS || errno == EPERM);
    if (!coarse_) return count;
  }
  return epoll_wait(epoll_, events_.data(), room, milliseconds_of(timeout));
}

bool Epoll::wait(Duration timeout, std::string& error) {
  if (!completions_.empty() && !std::exchange(prepared_, false)) return true;
  prepared_ = false;
  if (!completions_.empty() || !ready_.empty()) timeout = Duration::zero();
  timeout = std::max(timeout, Duration::zero());
  counters_.ring_enters.add();
  int count = ask(timeout);
  // A signal, or the end of a stop, ends a wait before the kernel has handed over what came.
  if (count < 0 && errno == EINTR) count = ask(Duration::zero());
  if (count < 0 && errno != EINTR) {
    error = std::string("epoll_wait failed: ") + strerror(errno);
    return false;
  }
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events_[static_cast<std::size_t>(i)];
    Descriptor& descriptor = descriptors_[static_cast<std::size_t>(event.data.fd)];
    const bool broken = (event.events & (EPOLLERR | EPOLLHUP)) != 0;
    const bool hung_up = (event.events & EPOLLRDHUP) != 0;
    descriptor.readable |= broken || hung_up || (event.events & EPOLLIN) != 0;
    descriptor.writable |= broken || (event.events & EPOLLOUT) != 0;
    descriptor.hung_up |= broken || hung_up;
    enqueue(event.data.fd, descriptor);
  }
  serve();
  return true;
}

// Each gets its turn once, and has to leave something to the others.
void Epoll::serve() {
  for (auto left = ready_.size(); left != 0 && completions_.size() < kResultsMax; --left) {
    const int fd = ready_.take_front();
    Descriptor& descriptor = descriptors_[static_cast<std::size_t>(fd)];
    descriptor.queued = false;
    if (descriptor.connecting && descriptor.writable) serve_connect(fd, descriptor);
    if (descriptor.sends && descriptor.writable) serve_sends(fd, descriptor);
    if (descriptor.readable) {
      serve_accepts(fd, descriptor);
      serve_receive(fd, descriptor);
    }
    enqueue(fd, descriptor);
  }
}

void Epoll::complete(Operation operation, std::int32_t result) {
  completions_.push_back({operation, result});
}

std::span<Completion> Epoll::reap(std::span<Completion> batch) {
  const std::size_t count = std::min(batch.size(), completions_.size());
  for (std::size_t i = 0; i < count; ++i) batch[i] = completions_.take_front();
  counters_.ring_completions.add(count);
  return batch.first(count);
}

}  // namespace ringway
