#include <errno.h>
#include <sys/socket.h>

#include <array>

#include "gateway/transport/streams.h"

// Connections that we open, and their reuse.

namespace ringway {
namespace {

TransportFailure failure_of(int error) {
  switch (error) {
    case ECONNREFUSED:
      return TransportFailure::Refused;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EADDRNOTAVAIL:
      return TransportFailure::Unreachable;
    case ETIMEDOUT:
      return TransportFailure::TimedOut;
    case ECONNRESET:
      return TransportFailure::Reset;
    default:
      return TransportFailure::NoSocket;
  }
}

}  // namespace

std::uint16_t Streams::client_profile(const Destination& destination) const {
  if (!is_secure(destination.transport) || !tls_) return TlsSettings::kNone;
  if (destination.next_hop < tls_->client_profiles.size()) {
    const std::uint16_t profile = tls_->client_profiles[destination.next_hop];
    if (profile != TlsSettings::kNone) return profile;
  }
  return tls_->default_client_profile;
}

// A connection is shared only by what would have opened it alike: transport, both addresses, next
// hop and the verified name. The key is 64 bits of a keyed hash, which strangers cannot
// make collide.
std::uint64_t Streams::reuse_key(const Destination& destination) const {
  std::array<std::uint8_t, 384> memory;
  Writer writer(memory);
  writer.character(static_cast<char>(destination.transport));
  write_endpoint(destination.remote, writer);
  writer.character('|').number(destination.listener).character('|').number(destination.next_hop);
  if (is_secure(destination.transport)) writer.character('|').text(destination.name);
  if (writer.overflowed()) return 0;
  const std::uint64_t key = keyed_hash(hash_key_, writer.written());
  return key == 0 ? 1 : key;
}

void Streams::send_connect(const Destination& destination, BufferRef message, Ticket ticket,
                           Instant now) {
  const std::uint64_t key = reuse_key(destination);
  const auto found = reusable_.find(key);
  Stream* stream = found == reusable_.end() ? nullptr : streams_.find(found->second);
  if (!stream) {
    auto failure = TransportFailure::NoSocket;
    stream = key == 0 ? nullptr : connect(destination, key, failure, now);
    if (!stream) return report_failure(ticket, failure);
  }
  enqueue_message(*stream, std::move(message), ticket, now);
}

Stream* Streams::connect(const Destination& destination, std::uint64_t key,
                         TransportFailure& failure, Instant now) {
  if (destination.transport != Transport::Tcp && destination.transport != Transport::Tls) {
    return nullptr;
  }
  if (destination.transport == Transport::Tls &&
      client_profile(destination) == TlsSettings::kNone) {
    failure = TransportFailure::TlsFailed;
    return nullptr;
  }
  const Family family = destination.remote.family();
  SocketAddress local_address;
  socklen_t local_size = 0;
  if (destination.listener < listeners_.infos.size()) {
    Endpoint local = listeners_.infos[destination.listener].local;
    local.port = 0;
    if (local.family() == family && !local.address.is_any()) {
      local_size = write_socket_address(local, local_address);
    }
  }
  const SlotId id = streams_.take();
  if (!id) return nullptr;
  const int fd = kernel_.open_stream(socket_family(family),
                                     local_size == 0 ? nullptr : &local_address.any, local_size);
  if (fd < 0) {
    streams_.release(id);
    failure = failure_of(-fd);
    return nullptr;
  }
  Stream& stream = *streams_.find(id);
  stream.fd = fd;
  stream.id = id;
  stream.transport = destination.transport;
  stream.listener = destination.listener;
  stream.remote = destination.remote;
  stream.last_received = now;
  stream.framer = sip::StreamFramer(sip::StreamFramer::Keepalive::Await);
  stream.outbound = std::make_unique<Outbound>();
  stream.outbound->name = destination.name;
  stream.outbound->next_hop = destination.next_hop;
  stream.outbound->client_profile = client_profile(destination);
  stream.outbound->reuse_key = key;
  if (key != 0) reusable_.emplace(key, id);
  counters_.flows[static_cast<std::size_t>(stream.transport)].add();
  const socklen_t size = write_socket_address(destination.remote, stream.outbound->address);
  stream.connecting = true;
  kernel_.connect(stream.fd, &stream.outbound->address.any, size, {OperationKind::Connect, id});
  enter(stream, Stage::Connecting, now);
  return &stream;
}

void Streams::connected(const Completion& completion, Instant now) {
  Stream* found = streams_.find(completion.operation.id);
  if (!found) return;
  Stream& stream = *found;
  stream.connecting = false;
  if (stream.is_closing()) return finish_if_idle(stream);
  if (completion.result < 0) {
    std::array<std::uint8_t, kEndpointTextMax> memory;
    Writer remote(memory);
    write_endpoint(stream.remote, remote);
    if (stream.protocol != Protocol::Relay) {
      log_.info("connect_failed", {{"remote", remote.written_text()},
                                   {"transport", to_text(stream.transport)},
                                   {"reason", std::strerror(-completion.result)}});
    }
    return begin_close(stream, FlowEnd::Reset, failure_of(-completion.result), Manner::Abrupt, now);
  }
  arm_receive(stream);
  stream.timer_at = kNever;
  timers_.cancel(stream.timer);
  stream.last_received = now;
  begin(stream, now);
  if (!stream.is_closing()) mark_dirty(stream);
}

// No further message chooses this connection.
void Streams::forget_outbound(Stream& stream) {
  if (!stream.outbound || stream.outbound->reuse_key == 0) return;
  const auto [first, last] = reusable_.equal_range(stream.outbound->reuse_key);
  for (auto entry = first; entry != last; ++entry) {
    if (entry->second == stream.id) {
      reusable_.erase(entry);
      return;
    }
  }
}

}  // namespace ringway
