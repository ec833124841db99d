#include "gateway/tunnel/targets.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace ringway::tunnel {
namespace {

constexpr std::uint16_t kGroup = 3;
constexpr std::uint32_t kSize = 65'536;
constexpr int kSocketBytes = 4 << 20;

}  // namespace

Targets::Targets(const TargetAddress& address, std::uint32_t streams_max)
    : address_(address), targets_(2 * streams_max + 16), of_stream_(streams_max) {
  name_size_ = write_socket_address(address.endpoint, name_);
}

Targets::~Targets() {
  for (std::uint32_t slot = 0; slot < targets_.used_slots(); ++slot) {
    if (Target* target = targets_.at(slot)) ::close(target->fd);
  }
}

std::expected<void, std::string> Targets::start(Kernel& kernel) {
  kernel_ = &kernel;
  return buffers_.open(kernel, {kGroup, 128, kSize, kSize + 64});
}

SlotId Targets::id_of(SlotId stream) const {
  const SlotId id = of_stream_[stream.slot];
  const Target* target = targets_.find(id);
  return target && target->stream == stream ? id : SlotId{};
}

bool Targets::open(SlotId stream) {
  const SlotId id = targets_.take();
  if (!id) return false;
  Target& target = *targets_.find(id);
  const int kind = address_.tcp ? SOCK_STREAM : SOCK_DGRAM;
  target.fd = socket(socket_family(address_.endpoint.family()), kind | SOCK_CLOEXEC, 0);
  if (target.fd < 0) {
    targets_.release(id);
    return false;
  }
  target.stream = stream;
  of_stream_[stream.slot] = id;
  if (address_.tcp) {
    target.connecting = true;
    kernel_->connect(target.fd, &name_.any, name_size_, operation(OperationKind::Connect, id));
    return true;
  }
  for (const int option : {SO_RCVBUF, SO_SNDBUF}) {
    static_cast<void>(
        setsockopt(target.fd, SOL_SOCKET, option, &kSocketBytes, sizeof kSocketBytes));
  }
  static_cast<void>(::connect(target.fd, &name_.any, name_size_));
  arm(id, target);
  return true;
}

void Targets::close(SlotId stream) {
  const SlotId id = id_of(stream);
  if (!id) return;
  Target& target = *targets_.find(id);
  target.stream = {};
  kernel_->shutdown(target.fd, SHUT_RDWR);
  if (target.receiving) {
    kernel_->cancel(target.fd, operation(OperationKind::ReceiveDatagram, id));
  }
  if (target.connecting) kernel_->cancel(target.fd, operation(OperationKind::Connect, id));
  if (target.sending) kernel_->cancel(target.fd, operation(OperationKind::SendStream, id));
  release_if_idle(id, target);
}

void Targets::release_if_idle(SlotId id, Target& target) {
  if (target.stream || target.receiving || target.connecting || target.sending) return;
  kernel_->close(target.fd);
  targets_.release(id);
}

RelayOutside::Sent Targets::send(SlotId stream, Bytes message) {
  using Sent = RelayOutside::Sent;
  const SlotId id = id_of(stream);
  if (!id) return Sent::Full;
  Target& target = *targets_.find(id);
  if (address_.tcp) {
    // Nothing but the message's own bencode tells rtpengine where it ends.
    bencode::MessageFramer framer(kFramerLimits);
    const auto frame = framer.next(message);
    if (frame.state != bencode::Scanner::State::Complete || frame.size != message.size()) {
      return Sent::NotFramed;
    }
    if (target.queue.size() + message.size() > kQueueMax) return Sent::Full;
    target.queue.insert(target.queue.end(), message.begin(), message.end());
    push(id, target);
    return Sent::Yes;
  }
  if (::send(target.fd, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
    return Sent::Yes;
  }
  switch (errno) {
    case ECONNREFUSED:
      return Sent::PortClosed;
    case EMSGSIZE:
      return Sent::TooLong;
    default:
      return Sent::Full;
  }
}

void Targets::push(SlotId id, Target& target) {
  if (!target.connected || target.sending || target.queue.empty()) return;
  std::swap(target.queue, target.flying);
  target.queue.clear();
  target.sending = true;
  kernel_->send(target.fd, target.flying, Kernel::Chain::Last,
                operation(OperationKind::SendStream, id));
}

void Targets::completed(Completion completion, RelayEnd& end, Instant now) {
  const SlotId id{completion.operation.id.slot & ~kTargetTag, completion.operation.id.generation};
  Target* target = targets_.find(id);
  if (completion.has_buffer) buffers_.taken();
  if (target) {
    const bool over = !target->stream;
    switch (completion.operation.kind) {
      case OperationKind::Connect:
        target->connecting = false;
        if (over) break;
        if (completion.result < 0) return broken(*target, end, now);
        target->connected = true;
        arm(id, *target);
        push(id, *target);
        break;
      case OperationKind::SendStream:
        target->sending = false;
        if (over) break;
        if (completion.result != static_cast<std::int32_t>(target->flying.size())) break;
        push(id, *target);
        break;
      default: {
        if (!completion.more) {
          target->receiving = false;
          if (!over) unarmed_.push_back(id);
        }
        if (over || completion.result == -ENOBUFS) break;
        const auto size = static_cast<std::size_t>(std::max(completion.result, 0));
        if (address_.tcp && completion.result <= 0) {
          broken(*target, end, now);
        } else if (address_.tcp) {
          framed(id, *target, buffers_.bytes(completion.buffer, size), end, now);
        } else if (completion.result == -ECONNREFUSED) {
          end.target_refused(target->stream, now);
        } else if (completion.has_buffer || completion.result == 0) {
          // An empty datagram brings no buffer.
          const Bytes bytes = size != 0 ? buffers_.bytes(completion.buffer, size) : MutableBytes();
          end.target_received(target->stream, bytes, now);
        }
      }
    }
  }
  if (completion.has_buffer) buffers_.give_back(completion.buffer);
  target = targets_.find(id);
  if (target) release_if_idle(id, *target);
}

// TCP: who waited is told, and the next message finds a new connection.
void Targets::broken(Target& target, RelayEnd& end, Instant now) {
  const SlotId stream = target.stream;
  if (target.connected) {
    end.target_ended(stream, now);
  } else {
    end.target_refused(stream, now);
  }
  close(stream);
  end.target_closed(stream);
}

void Targets::framed(SlotId id, Target& target, Bytes bytes, RelayEnd& end, Instant now) {
  target.input.insert(target.input.end(), bytes.begin(), bytes.end());
  std::size_t used = 0;
  while (true) {
    const Bytes rest = Bytes(target.input).subspan(used);
    const auto frame = target.framer.next(rest);
    if (frame.state == bencode::Scanner::State::Malformed) return broken(target, end, now);
    if (frame.state == bencode::Scanner::State::Incomplete) break;
    end.target_received(target.stream, rest.first(frame.size), now);
    if (targets_.find(id) != &target || !target.stream) return;
    used += frame.size;
  }
  target.input.erase(target.input.begin(), target.input.begin() + static_cast<long>(used));
}

void Targets::arm(SlotId id, Target& target) {
  target.receiving = true;
  kernel_->receive(target.fd, buffers_.group(), 0, operation(OperationKind::ReceiveDatagram, id));
}

void Targets::arm() {
  buffers_.publish();
  for (const SlotId id : unarmed_) {
    Target* target = targets_.find(id);
    if (target && target->stream && !target->receiving) arm(id, *target);
  }
  unarmed_.clear();
}

}  // namespace ringway::tunnel
