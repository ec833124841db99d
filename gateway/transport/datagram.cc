#include "gateway/transport/datagram.h"

#include <errno.h>

#include <algorithm>
#include <cstring>

#include "protocol/stun/binding.h"

namespace ringway {
namespace {

constexpr std::uint16_t kGroup = 1;

// RFC 5626 and practice: CRLF, CRLFCRLF, a NUL byte or four are keepalives without an answer.
bool is_keepalive(Bytes bytes) {
  return bytes.size() <= 4 && std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) {
           return byte == '\r' || byte == '\n' || byte == 0;
         });
}

}  // namespace

Datagrams::Datagrams(const ShardListeners& listeners, Kernel& kernel, LocalAddresses& addresses,
                     Counters& counters, Trains trains)
    : kernel_(kernel),
      counters_(counters),
      sockets_(listeners, kernel, addresses, counters),
      sender_(sockets_, kernel, addresses, counters, trains) {}

std::expected<void, std::string> Datagrams::open() {
  auto opened = receive_buffers_.open(kernel_, {kGroup, kBufferCount, kBufferSize, kBufferStride});
  if (!opened) return opened;
  flush();
  return {};
}

std::optional<Datagrams::Received> Datagrams::receive(const Completion& completion) {
  const auto place = static_cast<DatagramSockets::Place>(completion.operation.id.slot);
  if (!completion.more) {
    // Buffers ran out, a datagram was empty, or an error was queued: none of it is for ever.
    counters_.receive_rearms.add();
    if (completion.result == -ENOBUFS) counters_.receive_no_buffers.add();
    sockets_.receive_ended(place);
  }
  if (!completion.has_buffer) return std::nullopt;
  receive_buffers_.taken();
  lent_ = completion.buffer;
  if (completion.result < 0) return std::nullopt;
  return read(place, receive_buffers_.bytes(completion.buffer,
                                            static_cast<std::size_t>(completion.result)));
}

std::optional<Datagrams::Received> Datagrams::read(DatagramSockets::Place place,
                                                   MutableBytes bytes) {
  const std::size_t front = sockets_.front_of(place);
  if (bytes.size() < front) return std::nullopt;
  DatagramHead head;
  std::memcpy(&head, bytes.data(), sizeof head);
  SocketAddress address{};
  std::memcpy(&address, bytes.data() + sizeof head,
              std::min<std::size_t>(head.name_size, sizeof address));
  const Bytes payload = bytes.subspan(front);
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
  LocalAddressId local = 0;
  if (sockets_.is_wildcard(place)) {
    const Bytes control = bytes.first(front).subspan(sizeof head + sizeof address);
    local = sockets_.heard(place, remote,
                           control.first(std::min<std::size_t>(head.control_size, control.size())));
  }
  if (is_keepalive(payload)) return std::nullopt;
  // No SIP message begins so (RFC 5626 8).
  if (payload[0] <= 1 && (sockets_.has_left(place) || !stun::is_stun(payload))) return std::nullopt;
  Source source{Transport::Udp, sockets_.listener(place), remote, {}};
  source.local = local;
  return Received{source, payload};
}

void Datagrams::finish() {
  if (!lent_) return;
  receive_buffers_.give_back(*lent_);
  lent_.reset();
}

void Datagrams::flush() {
  sender_.flush();
  receive_buffers_.publish();
  if (sockets_.wants_arming() && receive_buffers_.available() != 0) sockets_.arm(kGroup);
}

}  // namespace ringway
