#include "gateway/transport/datagram.h"

#include <errno.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "protocol/base/writer.h"
#include "protocol/stun/binding.h"

namespace ringway {
namespace {

constexpr std::uint16_t kGroup = 1;

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

// Same family assumed of the same socket.
bool is_same_peer(const SocketAddress& a, const SocketAddress& b) {
  if (a.any.sa_family == AF_INET) {
    return a.v4.sin_port == b.v4.sin_port && a.v4.sin_addr.s_addr == b.v4.sin_addr.s_addr;
  }
  return a.v6.sin6_port == b.v6.sin6_port &&
         std::memcmp(&a.v6.sin6_addr, &b.v6.sin6_addr, sizeof a.v6.sin6_addr) == 0;
}

// Eight bits of socket and peer. Who collides with another gains nothing but that one's shorter
// trains.
std::size_t peer_hash(std::uint16_t socket, const SocketAddress& peer) {
  std::uint64_t value = socket;
  if (peer.any.sa_family == AF_INET) {
    value ^= std::uint64_t{peer.v4.sin_addr.s_addr} << 16 | std::uint64_t{peer.v4.sin_port} << 48;
  } else {
    std::uint64_t half[2];
    std::memcpy(half, &peer.v6.sin6_addr, sizeof half);
    value ^= half[0] ^ half[1] * 31 ^ std::uint64_t{peer.v6.sin6_port} << 48;
  }
  return static_cast<std::size_t>(value * 0x9e37'79b9'7f4a'7c15 >> 56);
}

}  // namespace

Datagrams::Datagrams(const ShardListeners& listeners, Kernel& kernel, BufferPool& buffers,
                     Counters& counters, Trains trains)
    : kernel_(kernel),
      buffers_(buffers),
      counters_(counters),
      allowed_(trains),
      sending_(kSendingMax) {
  for (std::size_t i = 0; i < listeners.infos.size(); ++i) {
    if (listeners.infos[i].config.transport != Transport::Udp) continue;
    add(listeners.sockets[i].fd(), static_cast<ListenerIndex>(i));
  }
  queued_.reserve(kSendingMax);
  submitted_.reserve(kSendingMax);
  trains_.reserve(kSendingMax);
  pieces_.reserve(kSendingMax);
}

std::expected<void, std::string> Datagrams::open() {
  auto opened = receive_buffers_.open(kernel_, {kGroup, kBufferCount, kBufferSize, kBufferStride});
  if (!opened) return opened;
  rearm_ = true;
  flush();
  return {};
}

std::optional<Datagrams::Received> Datagrams::receive(const Completion& completion) {
  Place& place = places_[completion.operation.id.slot];
  if (!completion.more) {
    // Buffers ran out, a datagram was empty, or an error was queued: none of it is for ever.
    place.armed = false;
    rearm_ = true;
    counters_.receive_rearms.add();
    if (completion.result == -ENOBUFS) counters_.receive_no_buffers.add();
    close_if_done(place);
  }
  if (!completion.has_buffer) return std::nullopt;
  receive_buffers_.taken();
  lent_ = completion.buffer;
  if (completion.result < 0) return std::nullopt;
  return read(place, receive_buffers_.bytes(completion.buffer,
                                             static_cast<std::size_t>(completion.result)));
}

std::optional<Datagrams::Received> Datagrams::read(const Place& place, MutableBytes bytes) {
  if (bytes.size() < kHeadSize) return std::nullopt;
  DatagramHead head;
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
    if (stun::is_stun(payload) && !place.left) answer_stun(place, remote, payload);
    return std::nullopt;
  }
  return Received{{Transport::Udp, place.listener, remote, {}}, payload};
}

void Datagrams::finish() {
  if (!lent_) return;
  receive_buffers_.give_back(*lent_);
  lent_.reset();
}

void Datagrams::answer_stun(const Place& place, const Endpoint& remote, Bytes request) {
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
  static_cast<void>(send(place.listener, remote, std::move(buffer), 0));
}

std::optional<Datagrams::Failure> Datagrams::send(ListenerIndex listener, const Endpoint& remote,
                                                  BufferRef buffer, Ticket ticket) {
  const Place* place = find(listener);
  const SlotId id = place ? sending_.take() : SlotId{};
  if (!id) {
    counters_.sends_failed.add();
    if (ticket == 0) return std::nullopt;
    return Failure{ticket, place ? TransportFailure::QueueFull : TransportFailure::NoSocket};
  }
  Sending& sending = *sending_.find(id);
  sending.place = place_of_listener_[listener];
  sending.ticket = ticket;
  sending.buffer = std::move(buffer);
  sending.address_size = write_socket_address(remote, sending.address);
  const Bytes bytes = sending.buffer.bytes();
  sending.vector = {const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  queued_.push_back(id);
  counters_.bytes_out[0].add(bytes.size());
  return std::nullopt;
}

void Datagrams::submit_queued() {
  if (allowed_ == Trains::Never || queued_.size() < kTrainTurnMin) {
    for (const SlotId id : queued_) submit_alone(id);
    return;
  }
  trains_.clear();
  pieces_.clear();
  for (const SlotId id : queued_) join_train(id);
  for (Train& train : trains_) submit(train);
}

// Only the newest train of a peer may be joined, so that nothing is overtaken.
void Datagrams::join_train(SlotId id) {
  const Sending& sending = *sending_.find(id);
  const auto size = static_cast<std::uint32_t>(sending.vector.iov_len);
  Way& way = ways_[peer_hash(sending.place, sending.address)];
  const bool may_join = !sending.alone && size != 0 && size <= way.piece_max;
  if (may_join && way.newest_train < trains_.size()) {
    Train& train = trains_[way.newest_train];
    const Sending& first = *sending_.find(train.first);
    if (train.open && size <= train.piece_size && first.place == sending.place &&
        is_same_peer(first.address, sending.address)) {
      sending_.find(train.last)->next = id;
      train.last = id;
      ++train.count;
      train.open = size == train.piece_size && train.count < kTrainPiecesMax;
      return;
    }
  }
  way.newest_train = static_cast<std::uint16_t>(trains_.size());
  trains_.push_back({id, id, 1, size, may_join, {}, {}});
}

void Datagrams::submit(Train& train) {
  if (train.count == 1) return submit_alone(train.first);
  Sending& first = *sending_.find(train.first);
  const std::size_t begin = pieces_.size();
  for (SlotId id = train.first; id; id = sending_.find(id)->next) {
    pieces_.push_back(sending_.find(id)->vector);
  }
  train.header.msg_name = &first.address;
  train.header.msg_namelen = first.address_size;
  train.header.msg_iov = &pieces_[begin];
  train.header.msg_iovlen = train.count;
  train.control.attach(train.header, static_cast<std::uint16_t>(train.piece_size));
  kernel_.send_datagrams_now(places_[first.place].fd, &train.header,
                             {OperationKind::SendDatagram, train.first});
  counters_.datagram_trains.add();
  counters_.datagrams_in_trains.add(train.count);
}

void Datagrams::submit_alone(SlotId id) {
  Sending& sending = *sending_.find(id);
  sending.header.msg_name = &sending.address;
  sending.header.msg_namelen = sending.address_size;
  sending.header.msg_iov = &sending.vector;
  sending.header.msg_iovlen = 1;
  kernel_.send_datagram_now(places_[sending.place].fd, &sending.header,
                            {OperationKind::SendDatagram, id});
}

// Nothing of a refused train has left. Each of it goes alone, and has an error of its own then.
void Datagrams::split_train(SlotId first, int error) {
  counters_.datagram_trains_split.add();
  const Sending& sending = *sending_.find(first);
  Way& way = ways_[peer_hash(sending.place, sending.address)];
  if (error == EINVAL || error == EMSGSIZE) {  // pieces would need fragments on this way
    way.piece_max = std::min(way.piece_max, static_cast<std::uint16_t>(sending.vector.iov_len - 1));
  } else if (error == EIO || error == EOPNOTSUPP) {  // a device that cannot: checksums, IPsec
    way.piece_max = 0;
  }
  for (SlotId id = first; id;) {
    Sending again = std::move(*sending_.find(id));
    sending_.release(id);  // its name is among those that are forgotten when drained
    id = std::exchange(again.next, SlotId{});
    again.alone = true;
    queued_.push_back(sending_.take(std::move(again)));
  }
}

std::optional<Datagrams::Failure> Datagrams::sent(const Completion& completion) {
  Sending* sending = sending_.find(completion.operation.id);
  if (!sending) return std::nullopt;
  if (sending->next && completion.result < 0) {
    split_train(completion.operation.id, -completion.result);
    return std::nullopt;
  }
  if (completion.result == -EAGAIN && !sending->waiting) {
    // The socket's buffer is full. Once more, this time waiting for space; the place stays taken
    // until that is reported.
    kernel_.send_datagram_later(places_[sending->place].fd, &sending->header,
                                completion.operation);
    sending->waiting = true;
    ++places_[sending->place].waiting;
    return std::nullopt;
  }
  std::optional<Failure> failure;
  if (completion.result < 0) {
    counters_.sends_failed.add();
    if (sending->ticket != 0) failure = Failure{sending->ticket, failure_of(-completion.result)};
  }
  Place& place = places_[sending->place];
  if (sending->waiting && --place.waiting == 0) close_if_done(place);
  sending_.release(completion.operation.id);
  return failure;
}

void Datagrams::completions_drained() {
  for (const SlotId id : submitted_) {
    const Sending* sending = sending_.find(id);
    if (sending && !sending->waiting) sending_.release(id);
  }
  submitted_.clear();
}

void Datagrams::flush() {
  submit_queued();
  submitted_.insert(submitted_.end(), queued_.begin(), queued_.end());
  queued_.clear();
  receive_buffers_.publish();
  if (!rearm_ || receive_buffers_.available() == 0) return;
  rearm_ = false;
  for (std::uint16_t i = 0; i < places_.size(); ++i) {
    Place& place = places_[i];
    if (place.armed || place.fd < 0 || place.closing) continue;
    place.armed = true;
    kernel_.receive_message(place.fd, &place.header, kGroup, operation_of(i));
  }
}

}  // namespace ringway
