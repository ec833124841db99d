#include "gateway/transport/connector.h"

#include <errno.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

#include "gateway/transport/bounds.h"
#include "protocol/base/writer.h"

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

Connector::Connector(const StreamEnvironment& environment, const StreamSnapshots& snapshots,
                     StreamTable& table)
    : listeners_(environment.listeners),
      kernel_(environment.kernel),
      counters_(environment.counters),
      log_(environment.log),
      hash_key_(environment.hash_key),
      snapshots_(snapshots),
      table_(table) {}

Connector::~Connector() {
  for (const int fd : spares_) kernel_.close(fd);
}

std::uint16_t Connector::client_profile(const Destination& destination) const {
  const auto& tls = snapshots_.tls;
  if (!is_secure(destination.transport) || !tls) return TlsSettings::kNone;
  if (destination.next_hop < tls->client_profiles.size()) {
    const std::uint16_t profile = tls->client_profiles[destination.next_hop];
    if (profile != TlsSettings::kNone) return profile;
  }
  return tls->default_client_profile;
}

// 64 bits of a keyed hash, which strangers cannot make collide.
std::uint64_t Connector::reuse_key(const Destination& destination) const {
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

Stream* Connector::find_or_open(const Destination& destination, TransportFailure& failure,
                                Instant now) {
  failure = TransportFailure::NoSocket;
  const std::uint64_t key = reuse_key(destination);
  if (key == 0) return nullptr;
  const auto found = by_key_.find(key);
  if (found != by_key_.end()) {
    Stream* stream = table_.find(found->second);
    if (stream && stream->is_usable()) return stream;
    by_key_.erase(found);
  }
  const auto role = destination.next_hop == 0xffff ? Stream::Role::FarEnd : Stream::Role::NextHop;
  Stream* stream = open(destination, role, failure, now);
  if (!stream) return nullptr;
  stream->outbound->reuse_key = key;
  by_key_.emplace(key, stream->id);
  return stream;
}

Stream* Connector::open_relay(const Endpoint& remote, std::uint8_t relay, Instant now) {
  Destination destination;
  destination.remote = remote;
  auto failure = TransportFailure::None;
  Stream* stream = open(destination, Stream::Role::Relay, failure, now);
  if (!stream) return nullptr;
  stream->protocol = Stream::Protocol::Relay;
  stream->outbound->relay = relay;
  return stream;
}

int Connector::open_socket(const Destination& destination) {
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
  const auto* local = local_size == 0 ? nullptr : &local_address.any;
  const int fd = kernel_.open_stream(socket_family(family), local, local_size);
  if ((fd != -EMFILE && fd != -ENFILE) || spares_.empty()) return fd;
  kernel_.close(spares_.back());
  spares_.pop_back();
  counters_.spare_descriptors_used.add();
  return kernel_.open_stream(socket_family(family), local, local_size);
}

void Connector::fill_spares() {
  while (spares_.size() < bounds::kSpareDescriptors) {
    const int fd = kernel_.open_stream(AF_INET, nullptr, 0);
    if (fd < 0) return;
    spares_.push_back(fd);
  }
}

Stream* Connector::open(const Destination& destination, Stream::Role role,
                        TransportFailure& failure, Instant now) {
  failure = TransportFailure::NoSocket;
  if (destination.transport != Transport::Tcp && destination.transport != Transport::Tls) {
    return nullptr;
  }
  const std::uint16_t profile = client_profile(destination);
  if (destination.transport == Transport::Tls && profile == TlsSettings::kNone) {
    failure = TransportFailure::TlsFailed;
    return nullptr;
  }
  if (!table_.has_place(role)) {
    counters_.flows_refused[static_cast<std::size_t>(destination.transport)].add();
    return nullptr;
  }
  fill_spares();
  const int fd = open_socket(destination);
  if (fd < 0) {
    failure = failure_of(-fd);
    return nullptr;
  }
  Stream* found = table_.add(fd, role, destination.transport, now);
  if (!found) {
    kernel_.close(fd);
    return nullptr;
  }
  Stream& stream = *found;
  stream.listener = destination.listener;
  stream.remote = destination.remote;
  stream.framer = sip::StreamFramer(sip::StreamFramer::Keepalive::Await);
  stream.outbound = std::make_unique<Outbound>();
  stream.outbound->name = destination.name;
  stream.outbound->next_hop = destination.next_hop;
  stream.outbound->client_profile = profile;
  const socklen_t size = write_socket_address(destination.remote, stream.outbound->address);
  stream.connecting = true;
  kernel_.connect(fd, &stream.outbound->address.any, size, {OperationKind::Connect, stream.id});
  table_.enter(stream, Stream::Stage::Connecting, now);
  return &stream;
}

Stream* Connector::connected(const Completion& completion, Instant now) {
  Stream* stream = table_.find(completion.operation.id);
  if (!stream) return nullptr;
  stream->connecting = false;
  if (stream->is_closing()) {
    table_.finish_if_idle(*stream);
    return nullptr;
  }
  if (completion.result < 0) {
    const EndpointText remote(stream->remote);
    if (stream->role != Stream::Role::Relay) {
      log_.info("connect_failed", {{"remote", remote.text()},
                                   {"transport", to_text(stream->transport)},
                                   {"reason", std::strerror(-completion.result)}});
    }
    table_.close(*stream, {FlowEnd::Reset, failure_of(-completion.result), Closing::Manner::Abrupt},
                 now);
    return nullptr;
  }
  table_.stop_timer(*stream);
  stream->last_received = now;
  return stream;
}

void Connector::forget(Stream& stream) {
  if (!stream.outbound || stream.outbound->reuse_key == 0) return;
  const auto found = by_key_.find(stream.outbound->reuse_key);
  if (found != by_key_.end() && found->second == stream.id) by_key_.erase(found);
}

}  // namespace ringway
