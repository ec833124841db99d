#include <errno.h>
#include <netinet/udp.h>

#include <algorithm>
#include <cstring>

#include "gateway/base/check.h"
#include "gateway/transport/sockaddr.h"
#include "tests/sim/machine.h"

namespace ringway::sim {
namespace {

// A shard that neither sleeps nor ends spins.
constexpr int kRestlessMax = 50'000;

std::string bytes_of(const msghdr& header) {
  std::string bytes;
  for (std::size_t i = 0; i < header.msg_iovlen; ++i) {
    bytes.append(static_cast<const char*>(header.msg_iov[i].iov_base), header.msg_iov[i].iov_len);
  }
  return bytes;
}

Endpoint endpoint_of(const void* address, std::size_t size) {
  SocketAddress copy{};
  std::memcpy(&copy, address, std::min(size, sizeof copy));
  return read_socket_address(copy);
}

// Where the kernel cuts a train; 0: it is one datagram.
std::size_t piece_of(const msghdr& header) {
  if (header.msg_controllen == 0) return 0;
  const cmsghdr* control = CMSG_FIRSTHDR(&header);
  std::uint16_t size = 0;
  if (control->cmsg_type == UDP_SEGMENT) std::memcpy(&size, CMSG_DATA(control), sizeof size);
  return size;
}

}  // namespace

std::expected<void, std::string> MachineKernel::open() {
  for (auto& [fd, listener] : machine_.listeners_) {
    if (listener->shard == shard_) listener->kernel = this;
  }
  for (auto& [fd, socket] : machine_.sockets_) {
    if (socket->shard == shard_) socket->kernel = this;
  }
  run_soon();
  return {};
}

void MachineKernel::end() {
  if (std::exchange(ended_, true)) return;
  machine_.kernels_[shard_] = nullptr;
}

// --- When a shard runs -------------------------------------------------------------------------

void MachineKernel::complete(const Completion& completion) {
  if (ended_) return;
  completions_.push_back(completion);
  run_soon();
}

void MachineKernel::run_soon() {
  if (ended_ || std::exchange(due_, true)) return;
  machine_.clock_.after(machine_.dice_.between(0us, 50us), [machine = &machine_, shard = shard_] {
    MachineKernel* kernel = machine->kernels_[shard];
    if (!kernel || machine->killed_) return;
    kernel->due_ = false;
    kernel->run();
  });
}

// A turn takes time: what it leads to is found in the next.
void MachineKernel::run() {
  asleep_ = false;
  program_.turn();
  if (ended_) return;
  if (!asleep_) return run_soon();
  program_.fell_asleep();
}

bool MachineKernel::wait(Duration timeout, std::string&) {
  if (!completions_.empty() || timeout <= Duration::zero()) {
    CHECK(++restless_ < kRestlessMax);
    return true;
  }
  restless_ = 0;
  asleep_ = true;
  until_ = timeout == Duration::max() ? kNever : now() + timeout;
  if (until_ == kNever || until_ == armed_) return true;
  // Woken a little late, as threads are; or too early, by a signal.
  armed_ = until_;
  const Instant when = machine_.happens(Fault::Interrupted)
                           ? now() + machine_.dice_.between(0ns, timeout)
                           : until_ + machine_.dice_.between(0us, 1'500us);
  machine_.clock_.at(when, [machine = &machine_, shard = shard_, until = until_] {
    MachineKernel* kernel = machine->kernels_[shard];
    if (!kernel || machine->killed_ || kernel->armed_ != until) return;
    kernel->armed_ = kNever;
    if (!kernel->due_) kernel->run();
  });
  return true;
}

std::span<Completion> MachineKernel::reap(std::span<Completion> batch) {
  std::size_t count = std::min(batch.size(), completions_.size());
  if (count > 1 && machine_.happens(Fault::Overflow)) count = 1 + machine_.dice_.below(count - 1);
  for (std::size_t i = 0; i < count; ++i) {
    batch[i] = completions_.front();
    completions_.pop_front();
    // Of different operations, any may be told first.
    if (i != 0 && batch[i].operation.packed() != batch[i - 1].operation.packed() &&
        machine_.happens(Fault::OutOfOrder)) {
      std::swap(batch[i], batch[i - 1]);
    }
  }
  return batch.first(count);
}

int MachineKernel::register_buffers(std::uint16_t group, BufferRing& ring) {
  buffers_.emplace(group, BufferTaker(ring));
  return 0;
}

void MachineKernel::wake(int handle) {
  MachineKernel* other = machine_.kernels_[static_cast<std::size_t>(handle)];
  if (other) other->complete({.operation = {OperationKind::WakeShard, {}}});
}

// --- Operations --------------------------------------------------------------------------------

void MachineKernel::accept(int fd, Operation operation) {
  const auto& listener = machine_.listeners_.at(fd);
  listener->many = true;
  listener->many_name = operation;
  machine_.pump(listener);
}

void MachineKernel::accept_one(int fd, Operation operation) {
  const auto& listener = machine_.listeners_.at(fd);
  ++listener->singles;
  listener->single_name = operation;
  machine_.pump(listener);
}

void MachineKernel::connect(int fd, const sockaddr* address, socklen_t size, Operation operation) {
  const auto stream = machine_.streams_.at(fd);
  stream->peer = endpoint_of(address, size);
  stream->side = Wire::Side::Client;
  stream->connects = true;
  stream->connect = operation;
  machine_.checks_.reached(stream->peer);
  const auto done = [machine = &machine_, stream](std::shared_ptr<Wire> wire) {
    if (machine->killed_ || !std::exchange(stream->connects, false)) {
      if (wire) wire->close(Wire::Side::Client);
      return;
    }
    stream->wire = std::move(wire);
    stream->kernel->complete(
        {.operation = stream->connect, .result = stream->wire ? 0 : -ECONNREFUSED});
  };
  if (machine_.happens(Fault::Refused)) {
    return machine_.clock_.after(1ms, [done] { done(nullptr); });
  }
  Endpoint from = stream->local;
  from.port = static_cast<std::uint16_t>(machine_.dice_.between(32'000, 60'000));
  machine_.network_.connect(from, stream->peer, machine_.end_of(stream), done);
}

void MachineKernel::receive(int fd, std::uint16_t group, std::uint32_t bytes_max,
                            Operation operation) {
  const auto stream = machine_.streams_.at(fd);
  CHECK(!stream->receives);
  stream->receives = true;
  stream->receive = operation;
  stream->group = group;
  stream->bytes_max = bytes_max;
  machine_.pump(stream);
}

void MachineKernel::receive_message(int fd, msghdr* header, std::uint16_t group,
                                    Operation operation) {
  const auto& socket = machine_.sockets_.at(fd);
  CHECK(!socket->receives);
  socket->receives = true;
  socket->receive = operation;
  socket->group = group;
  socket->shape = header;
  machine_.pump(socket);
}

void MachineKernel::add_send(int fd, std::vector<iovec> pieces, Chain chain, Operation operation) {
  const auto stream = machine_.streams_.at(fd);
  stream->sends.push_back({std::move(pieces), chain, operation});
  machine_.pump_sends(stream);
}

void MachineKernel::send(int fd, Bytes bytes, Chain chain, Operation operation) {
  add_send(fd, {{const_cast<std::uint8_t*>(bytes.data()), bytes.size()}}, chain, operation);
}

void MachineKernel::send_message(int fd, const msghdr* header, Operation operation) {
  add_send(fd, {header->msg_iov, header->msg_iov + header->msg_iovlen}, Chain::Last, operation);
}

void MachineKernel::send_datagram_now(int fd, const msghdr* header, Operation operation) {
  send_datagrams_now(fd, header, operation);
}

void MachineKernel::send_datagrams_now(int fd, const msghdr* header, Operation operation) {
  if (machine_.happens(Fault::Again)) {
    return complete({.operation = operation, .result = -EAGAIN});
  }
  const Machine::Datagrams& socket = *machine_.sockets_.at(fd);
  const Endpoint to = endpoint_of(header->msg_name, header->msg_namelen);
  const std::string bytes = bytes_of(*header);
  const std::size_t piece = piece_of(*header) == 0 ? bytes.size() : piece_of(*header);
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    machine_.send_datagram(socket, to, bytes.substr(at, piece));
  }
}

void MachineKernel::send_datagram_later(int fd, const msghdr* header, Operation operation) {
  const auto socket = machine_.sockets_.at(fd);
  ++socket->waiting;
  const Endpoint to = endpoint_of(header->msg_name, header->msg_namelen);
  machine_.clock_.after(
      machine_.dice_.between(1us, 20ms),
      [machine = &machine_, socket, to, operation, bytes = bytes_of(*header)] {
        --socket->waiting;
        if (machine->killed_) return;
        machine->send_datagram(*socket, to, bytes);
        socket->kernel->complete(
            {.operation = operation, .result = static_cast<std::int32_t>(bytes.size())});
      });
}

void MachineKernel::cancel(int fd, Operation target) {
  complete({});
  if (const auto found = machine_.listeners_.find(fd); found != machine_.listeners_.end()) {
    return cancel_accepts(*found->second, target);
  }
  if (const auto found = machine_.sockets_.find(fd); found != machine_.sockets_.end()) {
    return cancel_receive(*found->second, target);
  }
  const auto stream = machine_.streams_.at(fd);
  const std::uint64_t name = target.packed();
  const Completion cancelled{.operation = target, .result = -ECANCELED};
  // It may come too late to keep the operation from completing as if nothing were.
  const bool late = machine_.happens(Fault::LateCancel);
  if (stream->receives && stream->receive.packed() == name) {
    if (late && !stream->inbox.empty()) machine_.deliver(*stream);
    if (std::exchange(stream->receives, false)) complete(cancelled);
  }
  if (stream->connect.packed() == name && std::exchange(stream->connects, false)) {
    complete(cancelled);
  }
  const auto is_target = [&](const auto& send) { return send.operation.packed() == name; };
  if (std::ranges::any_of(stream->sends, is_target)) {
    if (late) machine_.serve_send(*stream);
    const auto count = std::erase_if(stream->sends, is_target);
    for (std::size_t i = 0; i < count; ++i) complete(cancelled);
  }
  ++machine_.hits[Fault::Cancelled];
}

// --- Descriptors -------------------------------------------------------------------------------

int MachineKernel::open_stream(int, const sockaddr* local, socklen_t size) {
  if (machine_.happens(Fault::NoDescriptor)) return -EMFILE;
  auto stream = std::make_shared<Machine::Stream>();
  stream->fd = machine_.next_fd_++;
  stream->kernel = this;
  stream->local = local ? endpoint_of(local, size) : machine_.home;
  machine_.streams_[stream->fd] = stream;
  return stream->fd;
}

int MachineKernel::peer_of(int fd, sockaddr* address, socklen_t size) {
  SocketAddress peer{};
  const socklen_t peer_size = write_socket_address(machine_.streams_.at(fd)->peer, peer);
  std::memcpy(address, &peer, std::min(size, peer_size));
  return static_cast<int>(peer_size);
}

void MachineKernel::shutdown(int fd, int how) {
  if (const auto found = machine_.listeners_.find(fd); found != machine_.listeners_.end()) {
    machine_.shut(*found->second);
    return machine_.pump(found->second);
  }
  const auto stream = machine_.streams_.at(fd);
  machine_.release(*stream, Wire::Ending::Closed);
  // The other side closes too, at once or when it pleases.
  const Duration delay = how == SHUT_WR ? machine_.dice_.between(0ms, 2'000ms) : 0ns;
  machine_.clock_.after(delay, [machine = &machine_, stream] {
    if (machine->killed_) return;
    stream->ended = true;
    machine->pump(stream);
  });
}

void MachineKernel::close(int fd) {
  if (close_socket(fd)) return;
  const auto found = machine_.streams_.find(fd);
  CHECK(found != machine_.streams_.end());
  Machine::Stream& stream = *found->second;
  if (!ended_) CHECK(!stream.receives && !stream.connects && stream.sends.empty());
  machine_.release(stream, Wire::Ending::Closed);
  stream.closed = true;
  stream.receives = stream.connects = false;
  stream.sends.clear();
  machine_.streams_.erase(found);
}

}  // namespace ringway::sim
