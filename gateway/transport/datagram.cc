#include "gateway/transport/datagram.h"

#include <errno.h>

#include <algorithm>
#include <cstring>

#include "protocol/base/writer.h"
#include "protocol/stun/binding.h"

namespace ringway {
namespace {

constexpr std::uint16_t kGroup = 1;
constexpr std::uint16_t kNoSocket = 0xffff;

// What the kernel writes in front of a datagram: struct io_uring_recvmsg_out.
struct ReceivedHead {
  std::uint32_t name_size, control_size, payload_size, flags;
};
static_assert(sizeof(ReceivedHead) == 16);

TransportFailure failure_of(int error) {
  switch (error) {
    case EMSGSIZE:
      return TransportFailure::MessageTooLarge;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
      return TransportFailure::Unreachable;
    case ECONNREFUSED:
      return TransportFailure::Refused;
    default:
      return TransportFailure::NoSocket;
  }
}

// RFC 5626 and practice: CRLF, CRLFCRLF, a NUL byte or four are keepalives without an answer.
bool is_keepalive(Bytes bytes) {
  return bytes.size() <= 4 && std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) {
           return byte == '\r' || byte == '\n' || byte == 0;
         });
}

}  // namespace

Datagrams::Datagrams(const ShardListeners& listeners, Ring& ring, BufferPool& buffers,
                     Counters& counters)
    : ring_(ring), buffers_(buffers), counters_(counters), sending_(kSendingMax) {
  socket_of_listener_.assign(listeners.infos.size(), kNoSocket);
  for (std::size_t i = 0; i < listeners.infos.size(); ++i) {
    if (listeners.infos[i].config.transport != Transport::Udp) continue;
    socket_of_listener_[i] = static_cast<std::uint16_t>(sockets_.size());
    Socket& socket = sockets_.emplace_back();
    socket.fd = listeners.sockets[i].fd();
    socket.listener = static_cast<ListenerIndex>(i);
    socket.header.msg_namelen = sizeof(SocketAddress);
  }
  queued_.reserve(kSendingMax);
  submitted_.reserve(kSendingMax);
}

std::expected<void, std::string> Datagrams::open() {
  if (sockets_.empty()) return {};
  auto opened = receive_buffers_.open(ring_, {kGroup, kBufferCount, kBufferSize, kBufferStride});
  if (!opened) return opened;
  rearm_ = true;
  flush();
  return {};
}

Datagrams::Socket* Datagrams::find(ListenerIndex listener) {
  if (listener >= socket_of_listener_.size()) return nullptr;
  const std::uint16_t place = socket_of_listener_[listener];
  return place == kNoSocket ? nullptr : &sockets_[place];
}

std::optional<Datagrams::Received> Datagrams::receive(const Completion& completion) {
  Socket& socket = *find(static_cast<ListenerIndex>(completion.operation.id.slot));
  if (!completion.more) {
    // Buffers ran out, a datagram was empty, or an error was queued: none of it is for ever.
    socket.armed = false;
    rearm_ = true;
    counters_.receive_rearms.add();
    if (completion.result == -ENOBUFS) counters_.receive_no_buffers.add();
  }
  if (!completion.has_buffer) return std::nullopt;
  receive_buffers_.taken();
  lent_ = completion.buffer;
  if (completion.result < 0) return std::nullopt;
  return read(socket, receive_buffers_.bytes(completion.buffer,
                                             static_cast<std::size_t>(completion.result)));
}

std::optional<Datagrams::Received> Datagrams::read(const Socket& socket, MutableBytes bytes) {
  if (bytes.size() < kHeadSize) return std::nullopt;
  ReceivedHead head;
  std::memcpy(&head, bytes.data(), sizeof head);
  SocketAddress address{};
  std::memcpy(&address, bytes.data() + sizeof head,
              std::min<std::size_t>(head.name_size, sizeof address));
  const Bytes payload = bytes.subspan(kHeadSize);
  counters_.bytes_in[0].add(payload.size());
  if (payload.empty()) {
    counters_.datagrams_empty.add();
    return std::nullopt;
  }
  if ((head.flags & MSG_TRUNC) != 0 || head.payload_size > payload.size()) {
    counters_.datagrams_truncated.add();
    return std::nullopt;
  }
  const Endpoint remote = read_socket_address(address);
  if (is_keepalive(payload)) return std::nullopt;
  if (payload[0] <= 1) {  // no SIP message begins so (RFC 5626 8)
    if (stun::is_stun(payload)) answer_stun(socket, remote, payload);
    return std::nullopt;
  }
  return Received{{Transport::Udp, socket.listener, remote, {}}, payload};
}

void Datagrams::finish() {
  if (!lent_) return;
  receive_buffers_.give_back(*lent_);
  lent_.reset();
}

void Datagrams::answer_stun(const Socket& socket, const Endpoint& remote, Bytes request) {
  const auto binding = stun::parse_binding_request(request);
  if (!binding) return;
  BufferRef buffer = buffers_.take(stun::kResponseBytesMax);
  if (!buffer) return;
  stun::SourceAddress source;
  source.family = remote.family() == Family::V4 ? stun::Family::Ipv4 : stun::Family::Ipv6;
  source.bytes = remote.address.bytes;
  source.port = remote.port;
  Writer writer(buffer.space());
  stun::write_binding_response(*binding, source, writer);
  if (writer.overflowed()) return;
  buffer.set_size(writer.size());
  counters_.stun_answered.add();
  static_cast<void>(send(socket.listener, remote, std::move(buffer), 0));
}

std::optional<Datagrams::Failure> Datagrams::send(ListenerIndex listener, const Endpoint& remote,
                                                  BufferRef buffer, Ticket ticket) {
  const Socket* socket = find(listener);
  const SlotId id = socket ? sending_.take() : SlotId{};
  if (!id) {
    counters_.sends_failed.add();
    if (ticket == 0) return std::nullopt;
    return Failure{ticket, socket ? TransportFailure::QueueFull : TransportFailure::NoSocket};
  }
  Sending& sending = *sending_.find(id);
  sending.fd = socket->fd;
  sending.ticket = ticket;
  const Bytes bytes = buffer.bytes();
  sending.buffer = std::move(buffer);
  sending.vector = {const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  sending.header.msg_name = &sending.address;
  sending.header.msg_namelen = write_socket_address(remote, sending.address);
  sending.header.msg_iov = &sending.vector;
  sending.header.msg_iovlen = 1;
  ring_.send_datagram_now(socket->fd, &sending.header, {OperationKind::SendDatagram, id});
  queued_.push_back(id);
  counters_.bytes_out[0].add(bytes.size());
  return std::nullopt;
}

std::optional<Datagrams::Failure> Datagrams::sent(const Completion& completion) {
  Sending* sending = sending_.find(completion.operation.id);
  if (!sending) return std::nullopt;
  if (completion.result == -EAGAIN && sending->fd >= 0) {
    // The socket's buffer is full. Once more, this time waiting for space; the place stays taken
    // until that is reported.
    ring_.send_datagram_later(sending->fd, &sending->header, completion.operation);
    sending->fd = -1;
    return std::nullopt;
  }
  std::optional<Failure> failure;
  if (completion.result < 0) {
    counters_.sends_failed.add();
    if (sending->ticket != 0) failure = Failure{sending->ticket, failure_of(-completion.result)};
  }
  sending_.release(completion.operation.id);
  return failure;
}

void Datagrams::completions_drained() {
  for (const SlotId id : submitted_) {
    const Sending* sending = sending_.find(id);
    if (sending && sending->fd >= 0) sending_.release(id);
  }
  submitted_.clear();
}

void Datagrams::flush() {
  submitted_.insert(submitted_.end(), queued_.begin(), queued_.end());
  queued_.clear();
  if (sockets_.empty()) return;
  receive_buffers_.publish();
  if (!rearm_ || receive_buffers_.available() == 0) return;
  rearm_ = false;
  for (Socket& socket : sockets_) {
    if (socket.armed) continue;
    socket.armed = true;
    ring_.receive_message(socket.fd, &socket.header, kGroup,
                          {OperationKind::ReceiveDatagram, {socket.listener, 1}});
  }
}

}  // namespace ringway
