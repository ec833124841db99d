#include "tests/sim/machine.h"

#include <errno.h>

#include <algorithm>
#include <cstring>

#include "gateway/base/check.h"
#include "gateway/transport/sockaddr.h"
#include "protocol/base/keyed_hash.h"

namespace ringway::sim {

void Machine::add_listener(int descriptor, const Endpoint& local, ShardIndex shard) {
  Listener& listener = listeners_[descriptor];
  listener.local = local;
  listener.shard = shard;
  network_.listen(
      local,
      [this, local](const Endpoint& from, std::shared_ptr<Wire> wire) -> std::optional<Wire::End> {
        std::vector<Listener*> open;
        for (auto& [fd, one] : listeners_) {
          if (one.local == local && !one.shut) open.push_back(&one);
        }
        if (open.empty()) return std::nullopt;
        Listener& chosen = *open[dice_.below(open.size())];
        auto stream = std::make_shared<Stream>();
        stream->wire = std::move(wire);
        stream->peer = from;
        chosen.backlog.push_back(stream);
        pump(chosen);
        return end_of(stream);
      });
}

void Machine::add_datagram_socket(int descriptor, const Endpoint& local, ShardIndex shard) {
  Datagrams& socket = sockets_[descriptor];
  socket.local = local;
  socket.shard = shard;
  network_.bind(local, [this, local](const Endpoint& from, std::string_view bytes) {
    std::vector<Datagrams*> open;
    for (auto& [fd, one] : sockets_) {
      if (one.local == local) open.push_back(&one);
    }
    const std::uint64_t hash = keyed_hash(HashKey{5, 7}, as_bytes(Network::to_string(from)));
    Datagrams& chosen = *open[hash % open.size()];
    chosen.inbox.emplace_back(from, bytes);
    pump(chosen);
  });
}

std::unique_ptr<Kernel> Machine::make_kernel(ShardIndex shard) {
  auto kernel = std::make_unique<MachineKernel>(*this, shard);
  if (kernels_.size() <= shard) kernels_.resize(shard + std::size_t{1});
  kernels_[shard] = kernel.get();
  return kernel;
}

Wire::End Machine::end_of(const std::shared_ptr<Stream>& stream) {
  return {[this, stream](std::string_view bytes) {
            stream->inbox.append(bytes);
            pump(stream);
          },
          [this, stream](Wire::Ending how) {
            stream->ended = true;
            if (how == Wire::Ending::Reset) {
              stream->error = ECONNRESET;
              ++hits.resets;
            }
            pump(stream);
          }};
}

void Machine::reset(Stream& stream) {
  stream.error = ECONNRESET;
  if (stream.wire) stream.wire->close(stream.side, Wire::Ending::Reset);
}

// --- Streams -----------------------------------------------------------------------------------

void Machine::pump(const std::shared_ptr<Stream>& stream) {
  const bool has_something = !stream->inbox.empty() || stream->ended || stream->error != 0;
  if (!stream->receives || !has_something || std::exchange(stream->scheduled, true)) return;
  clock_.after(dice_.between(1us, 200us), [this, stream] {
    stream->scheduled = false;
    deliver(*stream);
    pump(stream);
  });
}

void Machine::deliver(Stream& stream) {
  if (!stream.receives) return;
  MachineKernel& kernel = *stream.kernel;
  Completion completion{.operation = stream.receive};
  BufferTaker& buffers = kernel.buffers_.at(stream.group);
  if (!stream.inbox.empty()) {
    if (buffers.empty() || chance(odds.no_buffers, hits.no_buffers)) {
      completion.result = -ENOBUFS;
    } else {
      const BufferRing::Entry buffer = buffers.front();
      buffers.take();
      std::size_t size = std::min<std::size_t>(buffer.size, stream.inbox.size());
      if (stream.bytes_max != 0) size = std::min(size, stream.bytes_max);
      if (size > 1 && chance(odds.short_receive, hits.short_receives)) {
        size = 1 + dice_.below(size - 1);
      }
      std::memcpy(reinterpret_cast<void*>(buffer.address), stream.inbox.data(), size);
      stream.inbox.erase(0, size);
      completion.result = static_cast<std::int32_t>(size);
      completion.buffer = buffer.buffer;
      completion.has_buffer = true;
      completion.more = !chance(odds.ended_multishot, hits.ended_multishots);
    }
  } else {
    completion.result = -stream.error;
  }
  stream.receives = completion.more;
  kernel.complete(completion);
}

void Machine::pump_sends(const std::shared_ptr<Stream>& stream) {
  const Duration delay =
      chance(odds.slow_send, hits.slow_sends) ? dice_.between(1ms, 2s) : dice_.between(0us, 100us);
  clock_.after(delay, [this, stream] {
    if (stream->sends.empty()) return;
    serve_send(*stream);
    if (!stream->sends.empty()) pump_sends(stream);
  });
}

void Machine::serve_send(Stream& stream) {
  const Stream::Send send = std::move(stream.sends.front());
  stream.sends.pop_front();
  std::string bytes;
  for (const iovec& piece : send.pieces) {
    bytes.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
  }
  Completion completion{.operation = send.operation};
  const std::size_t size = bytes.size();
  if (stream.error != 0 || !stream.wire) {
    completion.result = -EPIPE;
  } else {
    const bool is_short = size > 1 && chance(odds.short_send, hits.short_sends);
    if (is_short) bytes.resize(1 + dice_.below(size - 1));
    stream.wire->send(stream.side, bytes);
    completion.result = static_cast<std::int32_t>(bytes.size());
    if (is_short) reset(stream);
  }
  const bool broken = completion.result != static_cast<std::int32_t>(size);
  stream.kernel->complete(completion);
  bool linked = broken && send.chain == Kernel::Chain::Linked;
  while (linked && !stream.sends.empty()) {
    linked = stream.sends.front().chain == Kernel::Chain::Linked;
    stream.kernel->complete({.operation = stream.sends.front().operation, .result = -ECANCELED});
    stream.sends.pop_front();
  }
}

// --- Listeners and datagrams -------------------------------------------------------------------

void Machine::pump(Listener& listener) {
  const bool armed = listener.many || listener.singles != 0;
  if (!armed || (listener.backlog.empty() && !listener.shut)) return;
  if (std::exchange(listener.scheduled, true)) return;
  clock_.after(dice_.between(1us, 200us), [this, &listener] {
    listener.scheduled = false;
    serve_accept(listener);
    pump(listener);
  });
}

void Machine::serve_accept(Listener& listener) {
  if (!listener.many && listener.singles == 0) return;
  Completion completion{.operation = listener.many ? listener.many_name : listener.single_name};
  if (listener.shut) {
    completion.result = -EINVAL;
  } else if (chance(odds.no_descriptor, hits.no_descriptors)) {
    completion.result = -EMFILE;
  } else {
    const std::shared_ptr<Stream> stream = listener.backlog.front();
    listener.backlog.pop_front();
    stream->fd = next_fd_++;
    stream->kernel = listener.kernel;
    streams_[stream->fd] = stream;
    completion.result = stream->fd;
    completion.more = listener.many && !chance(odds.ended_multishot, hits.ended_multishots);
  }
  if (listener.many) {
    listener.many = completion.more;
  } else {
    --listener.singles;
  }
  listener.kernel->complete(completion);
}

void Machine::pump(Datagrams& socket) {
  if (!socket.receives || socket.inbox.empty() || std::exchange(socket.scheduled, true)) return;
  clock_.after(dice_.between(1us, 100us), [this, &socket] {
    socket.scheduled = false;
    deliver(socket);
    pump(socket);
  });
}

void Machine::deliver(Datagrams& socket) {
  if (!socket.receives || socket.inbox.empty()) return;
  Completion completion{.operation = socket.receive};
  BufferTaker& buffers = socket.kernel->buffers_.at(socket.group);
  if (buffers.empty() || chance(odds.no_buffers, hits.no_buffers)) {
    completion.result = -ENOBUFS;
  } else {
    const auto [from, bytes] = std::move(socket.inbox.front());
    socket.inbox.pop_front();
    const BufferRing::Entry buffer = buffers.front();
    buffers.take();
    auto* const begin = reinterpret_cast<std::uint8_t*>(buffer.address);
    SocketAddress address{};
    const socklen_t name_size = write_socket_address(from, address);
    const DatagramHead head{name_size, 0, static_cast<std::uint32_t>(bytes.size()), 0};
    const std::size_t front =
        sizeof head + socket.shape->msg_namelen + socket.shape->msg_controllen;
    std::memcpy(begin, &head, sizeof head);
    std::memcpy(begin + sizeof head, &address, name_size);
    const std::size_t size = std::min<std::size_t>(bytes.size(), buffer.size - front);
    std::memcpy(begin + front, bytes.data(), size);
    completion.result = static_cast<std::int32_t>(front + size);
    completion.buffer = buffer.buffer;
    completion.has_buffer = true;
    completion.more = !chance(odds.ended_multishot, hits.ended_multishots);
  }
  socket.receives = completion.more;
  socket.kernel->complete(completion);
}

// --- The baton ---------------------------------------------------------------------------------

void Machine::settle() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    return std::ranges::all_of(
        kernels_, [](const MachineKernel* kernel) { return !kernel || kernel->parked_; });
  });
}

void Machine::run(MachineKernel& kernel) {
  std::unique_lock lock(mutex_);
  if (kernel.ended_ || !kernel.parked_) return;
  running_ = &kernel;
  changed_.notify_all();
  changed_.wait(lock, [&] { return running_ == nullptr; });
}

void Machine::notify(ShardIndex shard) {
  MachineKernel* kernel = kernels_[shard];
  if (!kernel) return;
  kernel->complete({.operation = kernel->event_, .result = 8});
}

}  // namespace ringway::sim
