#include "tests/sim/machine.h"

#include <errno.h>

#include <algorithm>
#include <cstring>

#include "gateway/transport/sockaddr.h"

namespace ringway::sim {
namespace {

constexpr Duration kUserTimeout = 20s;  // for what is sent to be acknowledged

}  // namespace

std::string_view to_text(Fault fault) {
  constexpr std::array<std::string_view, kFaults> kNames{
      "short receive",  "short send", "slow send",   "ended multishot", "no buffers",
      "no descriptor",  "refused",    "aborted",     "again",           "late cancel",
      "cancelled",      "order",      "overflow",    "interrupted",     "reset",
      "timed out"};
  return kNames[static_cast<std::size_t>(fault)];
}

std::unique_ptr<Kernel> Machine::make_kernel(ShardIndex shard, Program program) {
  auto kernel = std::make_unique<MachineKernel>(*this, shard, std::move(program));
  if (kernels_.size() <= shard) kernels_.resize(shard + std::size_t{1});
  kernels_[shard] = kernel.get();
  return kernel;
}

void Machine::notify(ShardIndex shard) {
  if (MachineKernel* kernel = kernels_[shard]) {
    kernel->complete({.operation = kernel->event_, .result = 8});
  }
}

void Machine::kill() {
  killed_ = true;
  for (auto& [fd, stream] : streams_) release(*stream, Wire::Ending::Reset);
  for (auto& [fd, listener] : listeners_) shut(*listener);
}

// --- Streams -----------------------------------------------------------------------------------

Wire::End Machine::end_of(const StreamRef& stream) {
  return {[this, stream](std::string_view bytes) {
            stream->inbox.append(bytes);
            pump(stream);
          },
          [this, stream](Wire::Ending how) {
            stream->ended = true;
            if (how == Wire::Ending::Reset) {
              end(*stream, ECONNRESET);
              ++hits[Fault::Reset];
            }
            pump(stream);
          }};
}

// Nothing of it goes any further; what was received before can still be read.
void Machine::end(Stream& stream, int error) {
  stream.error = error;
  release(stream, Wire::Ending::Reset);
}

void Machine::release(Stream& stream, Wire::Ending how) {
  if (!stream.wire) return;
  checks_.connection_ended(stream.wire->id());
  stream.wire->close(stream.side, how);
}

void Machine::pump(const StreamRef& stream) {
  const bool has_something = !stream->inbox.empty() || stream->ended || stream->error != 0;
  if (!stream->receives || !has_something || std::exchange(stream->receive_due, true)) return;
  clock_.after(dice_.between(1us, 200us), [this, stream] {
    stream->receive_due = false;
    if (killed_) return;
    deliver(*stream);
    pump(stream);
  });
}

void Machine::deliver(Stream& stream) {
  if (!stream.receives) return;
  MachineKernel& kernel = *stream.kernel;
  Completion completion{.operation = stream.receive};
  BufferTaker& buffers = kernel.buffers_.at(stream.group);
  if (stream.inbox.empty()) {
    completion.result = -stream.error;
  } else if (buffers.empty() || happens(Fault::NoBuffers)) {
    completion.result = -ENOBUFS;
  } else {
    const BufferRing::Entry buffer = buffers.front();
    buffers.take();
    std::size_t size = std::min<std::size_t>(buffer.size, stream.inbox.size());
    if (stream.bytes_max != 0) size = std::min(size, stream.bytes_max);
    if (size > 1 && happens(Fault::ShortReceive)) size = 1 + dice_.below(size - 1);
    std::memcpy(reinterpret_cast<void*>(buffer.address), stream.inbox.data(), size);
    stream.inbox.erase(0, size);
    completion.result = static_cast<std::int32_t>(size);
    completion.buffer = buffer.buffer;
    completion.has_buffer = true;
    completion.more = !happens(Fault::EndedMultishot);
  }
  stream.receives = completion.more;
  kernel.complete(completion);
}

void Machine::pump_sends(const StreamRef& stream) {
  if (stream->sends.empty() || std::exchange(stream->send_due, true)) return;
  const Duration delay =
      happens(Fault::SlowSend) ? dice_.between(1ms, 4s) : dice_.between(0us, 100us);
  clock_.after(delay, [this, stream] {
    stream->send_due = false;
    if (killed_ || stream->sends.empty()) return;
    if (stream->wire && stream->wire->is_silent() && stream->error == 0) {
      return wait_for_acknowledgement(stream);
    }
    serve_send(*stream);
    pump_sends(stream);
  });
}

void Machine::wait_for_acknowledgement(const StreamRef& stream) {
  if (std::exchange(stream->dying, true)) return;
  // TCP_USER_TIMEOUT at the latest; a router may say by ICMP before it that nobody is there.
  clock_.after(dice_.between(1s, kUserTimeout), [this, stream] {
    if (killed_ || stream->closed) return;
    ++hits[Fault::TimedOut];
    end(*stream, ETIMEDOUT);
    pump(stream);
    pump_sends(stream);
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
    const bool is_short = size > 1 && happens(Fault::ShortSend);
    if (is_short) bytes.resize(1 + dice_.below(size - 1));
    stream.wire->send(stream.side, bytes);
    completion.result = static_cast<std::int32_t>(bytes.size());
    if (is_short) end(stream, ECONNRESET);
  }
  const bool broken = completion.result != static_cast<std::int32_t>(size);
  stream.kernel->complete(completion);
  bool linked = broken && send.chain == Kernel::Chain::Linked;
  while (linked && !stream.sends.empty()) {
    linked = stream.sends.front().chain == Kernel::Chain::Linked;
    stream.kernel->complete({.operation = stream.sends.front().operation, .result = -ECANCELED});
    ++hits[Fault::Cancelled];
    stream.sends.pop_front();
  }
}

// --- Datagrams ---------------------------------------------------------------------------------

void Machine::deliver(Datagrams& socket) {
  if (!socket.receives || socket.inbox.empty()) return;
  Completion completion{.operation = socket.receive};
  BufferTaker& buffers = socket.kernel->buffers_.at(socket.group);
  if (buffers.empty() || happens(Fault::NoBuffers)) {
    completion.result = -ENOBUFS;
  } else {
    const auto [from, bytes] = std::move(socket.inbox.front());
    socket.inbox.pop_front();
    trace_.line("shard " + std::to_string(socket.shard), "< " + to_string(from), bytes);
    checks_.received({0, to_string(from), to_string(socket.local)}, bytes, socket.trusted,
                     socket.promised != 0);
    if (socket.promised != 0) --socket.promised;
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
    completion.more = !happens(Fault::EndedMultishot);
  }
  socket.receives = completion.more;
  socket.kernel->complete(completion);
}

void Machine::send_datagram(const Datagrams& socket, const Endpoint& to, std::string_view bytes) {
  trace_.line("shard " + std::to_string(socket.shard), "> " + to_string(to), bytes);
  checks_.reached(to);
  checks_.sent({0, to_string(to), to_string(socket.local)}, bytes);
  network_.send(socket.local, to, bytes);
}

}  // namespace ringway::sim
