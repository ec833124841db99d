#include <errno.h>
#include <unistd.h>

#include <utility>

#include "gateway/base/check.h"
#include "protocol/base/keyed_hash.h"
#include "tests/sim/machine.h"

// Sockets that are bound: who is given what arrives at their address, and their end.

namespace ringway::sim {
namespace {

constexpr HashKey kSpread{5, 7};  // of datagrams over the sockets of one address

}  // namespace

void Machine::add_listener(int descriptor, const Endpoint& local, ShardIndex shard) {
  const auto listener = std::make_shared<Listener>();
  listener->kernel = kernel_of(shard);
  listener->local = local;
  listener->shard = shard;
  CHECK(listeners_.emplace(descriptor, listener).second);
  network_.listen(
      local,
      [this, local](const Endpoint& from, std::shared_ptr<Wire> wire) -> std::optional<Wire::End> {
        std::vector<ListenerRef> open;
        for (auto& [fd, one] : listeners_) {
          if (one->local == local && !one->shut) open.push_back(one);
        }
        if (killed_ || open.empty()) return std::nullopt;
        const ListenerRef& chosen = open[dice_.below(open.size())];
        auto stream = std::make_shared<Stream>();
        stream->wire = std::move(wire);
        stream->peer = from;
        chosen->backlog.push_back(stream);
        pump(chosen);
        return end_of(stream);
      });
}

void Machine::add_datagram_socket(int descriptor, const Endpoint& local, ShardIndex shard,
                                  bool trusted) {
  const auto socket = std::make_shared<Datagrams>();
  socket->kernel = kernel_of(shard);
  socket->local = local;
  socket->shard = shard;
  socket->trusted = trusted;
  CHECK(sockets_.emplace(descriptor, socket).second);
  network_.bind(local, [this, local](const Endpoint& from, std::string_view bytes) {
    if (killed_) return;
    std::vector<DatagramsRef> all;
    for (auto& [fd, one] : sockets_) {
      if (one->local == local) all.push_back(one);
    }
    if (all.empty()) return trace_.line("udp", "nobody at " + to_string(local));
    const DatagramsRef& chosen = all[keyed_hash(kSpread, to_string(from)) % all.size()];
    chosen->inbox.emplace_back(from, bytes);
    pump(chosen);
  });
}

void Machine::leaves(int descriptor) {
  const auto found = sockets_.find(descriptor);
  if (found != sockets_.end()) found->second->promised = found->second->inbox.size();
}

// The kernel refuses who waits, and who comes.
void Machine::shut(Listener& listener) {
  listener.shut = true;
  for (const StreamRef& waiting : listener.backlog) release(*waiting, Wire::Ending::Reset);
  listener.backlog.clear();
}

// A program that closes what the kernel still works on has lost count of it. False: it is no such
// socket.
bool MachineKernel::close_socket(int fd) {
  if (const auto found = machine_.listeners_.find(fd); found != machine_.listeners_.end()) {
    Machine::Listener& listener = *found->second;
    if (!ended_) CHECK(!listener.many && listener.singles == 0);
    machine_.shut(listener);
    machine_.listeners_.erase(found);
  } else if (const auto udp = machine_.sockets_.find(fd); udp != machine_.sockets_.end()) {
    const Machine::Datagrams& socket = *udp->second;
    if (!ended_) CHECK(!socket.receives && socket.waiting == 0);
    if (socket.promised != 0) {
      machine_.checks_.fail("a socket is closed, and " + std::to_string(socket.promised) +
                            " datagrams that came before its listener was removed are lost");
    }
    machine_.sockets_.erase(udp);
  } else {
    return false;
  }
  ::close(fd);
  return true;
}

bool MachineKernel::has_datagram(int fd) {
  return !machine_.sockets_.at(fd)->inbox.empty();
}

void MachineKernel::cancel_accepts(Machine::Listener& listener, Operation target) {
  if (listener.many && listener.many_name.packed() == target.packed()) {
    // Somebody came a moment before.
    if (!listener.backlog.empty() && machine_.happens(Fault::LateCancel)) {
      machine_.serve_accept(listener);
    }
    ++machine_.hits[Fault::Cancelled];
    if (std::exchange(listener.many, false)) complete({.operation = target, .result = -ECANCELED});
  }
  for (; listener.singles != 0 && listener.single_name.packed() == target.packed();
       --listener.singles) {
    complete({.operation = target, .result = -ECANCELED});
  }
}

void MachineKernel::cancel_receive(Machine::Datagrams& socket, Operation target) {
  if (!socket.receives || socket.receive.packed() != target.packed()) return;
  if (machine_.happens(Fault::LateCancel)) machine_.deliver(socket);
  ++machine_.hits[Fault::Cancelled];
  if (std::exchange(socket.receives, false)) complete({.operation = target, .result = -ECANCELED});
}

// --- Listeners ---------------------------------------------------------------------------------

void Machine::pump(const ListenerRef& listener) {
  const bool armed = listener->many || listener->singles != 0;
  if (!armed || (listener->backlog.empty() && !listener->shut)) return;
  if (std::exchange(listener->due, true)) return;
  clock_.after(dice_.between(1us, 200us), [this, listener] {
    listener->due = false;
    if (killed_) return;
    serve_accept(*listener);
    pump(listener);
  });
}

void Machine::serve_accept(Listener& listener) {
  if (!listener.many && listener.singles == 0) return;
  if (listener.backlog.empty() && !listener.shut) return;
  Completion completion{.operation = listener.many ? listener.many_name : listener.single_name};
  if (listener.shut) {
    completion.result = -EINVAL;
  } else if (happens(Fault::NoDescriptor)) {
    completion.result = -EMFILE;
  } else if (happens(Fault::AbortedAccept)) {
    release(*listener.backlog.front(), Wire::Ending::Reset);
    listener.backlog.pop_front();
    completion.result = -ECONNABORTED;
  } else {
    const StreamRef stream = listener.backlog.front();
    listener.backlog.pop_front();
    stream->fd = next_fd_++;
    stream->kernel = listener.kernel;
    streams_[stream->fd] = stream;
    completion.result = stream->fd;
    completion.more = listener.many && !happens(Fault::EndedMultishot);
  }
  if (listener.many) {
    listener.many = completion.more;
  } else {
    --listener.singles;
  }
  listener.kernel->complete(completion);
}

// --- Datagrams ---------------------------------------------------------------------------------

void Machine::pump(const DatagramsRef& socket) {
  if (!socket->receives || socket->inbox.empty() || std::exchange(socket->due, true)) return;
  clock_.after(dice_.between(1us, 100us), [this, socket] {
    socket->due = false;
    if (killed_) return;
    deliver(*socket);
    pump(socket);
  });
}

}  // namespace ringway::sim
