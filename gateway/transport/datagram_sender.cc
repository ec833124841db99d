#include "gateway/transport/datagram_sender.h"

#include <errno.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace ringway {
namespace {

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

DatagramSender::DatagramSender(DatagramSockets& sockets, Kernel& kernel, LocalAddresses& addresses,
                               Counters& counters, Trains trains)
    : sockets_(sockets),
      kernel_(kernel),
      addresses_(addresses),
      counters_(counters),
      allowed_(trains),
      sending_(kSendingMax),
      controls_(kSendingMax) {
  queued_.reserve(kSendingMax);
  submitted_.reserve(kSendingMax);
  trains_.reserve(kSendingMax);
  pieces_.reserve(kSendingMax);
}

std::optional<DatagramSender::Failure> DatagramSender::send(ListenerIndex listener,
                                                            const Endpoint& remote,
                                                            BufferRef buffer, Ticket ticket,
                                                            LocalAddressId answered) {
  const DatagramSockets::Place place = sockets_.place_of(listener);
  const bool has_socket = place != DatagramSockets::kNoPlace;
  const SlotId id = has_socket ? sending_.take() : SlotId{};
  if (!id) {
    counters_.sends_failed.add();
    if (ticket == 0) return std::nullopt;
    return Failure{ticket, has_socket ? TransportFailure::QueueFull : TransportFailure::NoSocket};
  }
  Sending& sending = *sending_.find(id);
  sending.place = place;
  sending.ticket = ticket;
  if (sockets_.is_wildcard(place)) sending.from = sockets_.address_for(place, remote, answered);
  sockets_.send_began(place);
  sending.buffer = std::move(buffer);
  sending.address_size = write_socket_address(remote, sending.address);
  const Bytes bytes = sending.buffer.bytes();
  sending.vector = {const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  queued_.push_back(id);
  counters_.bytes_out[0].add(bytes.size());
  return std::nullopt;
}

void DatagramSender::submit_queued() {
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
void DatagramSender::join_train(SlotId id) {
  const Sending& sending = *sending_.find(id);
  const auto size = static_cast<std::uint32_t>(sending.vector.iov_len);
  Way& way = ways_[peer_hash(sending.place, sending.address)];
  const bool may_join = !sending.alone && size != 0 && size <= way.piece_max;
  if (may_join && way.newest_train < trains_.size()) {
    Train& train = trains_[way.newest_train];
    const Sending& first = *sending_.find(train.first);
    if (train.open && size <= train.piece_size && first.place == sending.place &&
        first.from == sending.from && is_same_peer(first.address, sending.address)) {
      sending_.find(train.last)->next = id;
      train.last = id;
      ++train.count;
      train.open = size == train.piece_size && train.count < kTrainPiecesMax;
      return;
    }
  }
  way.newest_train = static_cast<std::uint16_t>(trains_.size());
  trains_.push_back({id, id, 1, size, may_join, {}});
}

void DatagramSender::submit(Train& train) {
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
  controls_[train.first.slot].attach(train.header, static_cast<std::uint16_t>(train.piece_size),
                                     addresses_.find(first.from));
  kernel_.send_datagrams_now(sockets_.fd(first.place), &train.header,
                             {OperationKind::SendDatagram, train.first});
  counters_.datagram_trains.add();
  counters_.datagrams_in_trains.add(train.count);
}

void DatagramSender::submit_alone(SlotId id) {
  Sending& sending = *sending_.find(id);
  sending.header.msg_name = &sending.address;
  sending.header.msg_namelen = sending.address_size;
  sending.header.msg_iov = &sending.vector;
  sending.header.msg_iovlen = 1;
  const int fd = sockets_.fd(sending.place);
  const Operation operation{OperationKind::SendDatagram, id};
  const auto from = addresses_.find(sending.from);
  if (!from) return kernel_.send_datagram_now(fd, &sending.header, operation);
  controls_[id.slot].attach(sending.header, 0, from);
  kernel_.send_datagrams_now(fd, &sending.header, operation);
}

// It is sent once more, under another name: the one that it had is among those that are forgotten
// when drained.
SlotId DatagramSender::requeue(SlotId id) {
  Sending again = std::move(*sending_.find(id));
  sending_.release(id);
  const SlotId next = std::exchange(again.next, SlotId{});
  again.header = {};
  again.alone = true;
  queued_.push_back(sending_.take(std::move(again)));
  return next;
}

// Nothing of a refused train has left. Each of it goes alone, and has an error of its own then.
void DatagramSender::split_train(SlotId first, int error) {
  counters_.datagram_trains_split.add();
  const Sending& sending = *sending_.find(first);
  Way& way = ways_[peer_hash(sending.place, sending.address)];
  if (error == EINVAL || error == EMSGSIZE) {  // pieces would need fragments on this way
    way.piece_max = std::min(way.piece_max, static_cast<std::uint16_t>(sending.vector.iov_len - 1));
  } else if (error == EIO || error == EOPNOTSUPP) {  // a device that cannot: checksums, IPsec
    way.piece_max = 0;
  }
  for (SlotId id = first; id;) id = requeue(id);
}

// Succeeded without the address that was refused: the host has that no more. Sizes that were
// refused with it mean nothing.
void DatagramSender::finish(SlotId id, bool has_left) {
  const Sending& sending = *sending_.find(id);
  const DatagramSockets::Place place = sending.place;
  if (has_left && sending.refused != 0) {
    addresses_.lost(sending.refused, counters_);
    ways_[peer_hash(place, sending.address)].piece_max = kTrainPieceMax;
  }
  sending_.release(id);
  sockets_.send_ended(place);
}

std::optional<DatagramSender::Failure> DatagramSender::sent(const Completion& completion) {
  Sending* sending = sending_.find(completion.operation.id);
  if (!sending) return std::nullopt;
  if (sending->next && completion.result < 0) {
    split_train(completion.operation.id, -completion.result);
    return std::nullopt;
  }
  if (completion.result == -EAGAIN && !sending->waiting) {
    // The socket's buffer is full. Once more, this time waiting for space; the place stays taken
    // until that is reported.
    kernel_.send_datagram_later(sockets_.fd(sending->place), &sending->header,
                                completion.operation);
    sending->waiting = true;
    return std::nullopt;
  }
  const bool no_such_address = completion.result == -EINVAL ||
                               completion.result == -EADDRNOTAVAIL ||
                               completion.result == -ENETUNREACH;
  if (no_such_address && sending->from != 0) {
    sending->refused = std::exchange(sending->from, LocalAddressId{0});
    sending->waiting = false;
    requeue(completion.operation.id);
    return std::nullopt;
  }
  std::optional<Failure> failure;
  if (completion.result < 0) {
    counters_.sends_failed.add();
    if (sending->ticket != 0) failure = Failure{sending->ticket, failure_of(-completion.result)};
  }
  finish(completion.operation.id, completion.result >= 0);
  return failure;
}

void DatagramSender::completions_drained() {
  for (const SlotId id : submitted_) {
    const Sending* sending = sending_.find(id);
    if (sending && !sending->waiting) finish(id, true);
  }
  submitted_.clear();
}

void DatagramSender::flush() {
  submit_queued();
  submitted_.insert(submitted_.end(), queued_.begin(), queued_.end());
  queued_.clear();
}

}  // namespace ringway
