#include "gateway/transport/acceptors.h"

#include <errno.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "gateway/transport/bounds.h"
#include "gateway/transport/sockaddr.h"

namespace ringway {
namespace {

constexpr std::uint16_t kNoAcceptor = 0xffff;
constexpr std::uint32_t kManyAccepts = 1, kSingleAccept = 2;  // generation of the operation
constexpr std::uint32_t kSinglesMax = 8;
constexpr Duration kAcceptAgainAfter = 1s;  // when descriptors ran out and none is freed
constexpr Duration kWarnEvery = 10s;
constexpr Duration kRoomEvery = 50ms;  // when handshakes are full, room is made so often,
constexpr int kRoom = 8;               // for so many
constexpr int kMuteATime = 64;

bool any_contains(const std::vector<Prefix>& prefixes, const Address& address) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const Prefix& prefix) { return prefix.contains(address); });
}

}  // namespace

Acceptors::Acceptors(const StreamEnvironment& environment, StreamTable& table)
    : config_(environment.config),
      gate_(environment.gate),
      listeners_(environment.listeners),
      kernel_(environment.kernel),
      counters_(environment.counters),
      log_(environment.log),
      table_(table),
      flows_(environment.hash_key),
      newcomers_(environment, table) {
  acceptor_of_listener_.assign(kListenerPlacesMax, kNoAcceptor);
  for (std::size_t i = 0; i < listeners_.infos.size(); ++i) {
    if (listeners_.infos[i].config.transport == Transport::Udp) continue;
    add(static_cast<ListenerIndex>(i));
  }
}

// Listeners.

// A place may get its listener back while the kernel still holds the socket that it had.
void Acceptors::add(ListenerIndex listener) {
  auto found = std::ranges::find_if(acceptors_, [&](const Acceptor& acceptor) {
    return acceptor.fd < 0 && acceptor.listener == listener;
  });
  if (found == acceptors_.end()) found = acceptors_.insert(found, Acceptor{});
  found->fd = listeners_.sockets[listener].fd();
  found->listener = listener;
  acceptor_of_listener_[listener] = static_cast<std::uint16_t>(found - acceptors_.begin());
  read_config(*found);
  if (stopped_ && !listeners_.kept) kernel_.shutdown(found->fd, SHUT_RDWR);
}

void Acceptors::hand_over(ListenerIndex from, ListenerIndex to) {
  acceptor_of_listener_[to] = acceptor_of_listener_[from];
  Acceptor& acceptor = acceptors_[acceptor_of_listener_[to]];
  acceptor.listener = to;
  read_config(acceptor);
}

void Acceptors::remove(ListenerIndex listener, Socket socket) {
  Acceptor& acceptor = acceptors_[acceptor_of_listener_[listener]];
  acceptor.left = std::move(socket);
  update(acceptor);
}

void Acceptors::config_changed() {
  for (Acceptor& acceptor : acceptors_) {
    read_config(acceptor);
    update(acceptor);
  }
}

void Acceptors::read_config(Acceptor& acceptor) {
  const ListenConfig& listen = listeners_.infos[acceptor.listener].config;
  acceptor.handshakes = is_secure(listen.transport) || is_websocket(listen.transport);
  acceptor.one_by_one &= acceptor.handshakes;
  acceptor.proxy_sources = parse_prefixes(listen.proxy_protocol_from);
  acceptor.web_proxies = parse_prefixes(listen.forwarded_from);
}

// Others may hold the socket, too (a service manager): it refuses before it is closed.
void Acceptors::close_if_left(Acceptor& acceptor) {
  if (!acceptor.left || acceptor.armed || acceptor.singles != 0) return;
  kernel_.shutdown(acceptor.fd, SHUT_RDWR);
  kernel_.close(acceptor.left.release());
  acceptor.fd = -1;
}

// Accepting.

void Acceptors::update() {
  for (Acceptor& acceptor : acceptors_) update(acceptor);
}

Operation Acceptors::operation(const Acceptor& acceptor, std::uint32_t kind) const {
  return {OperationKind::Accept, {static_cast<std::uint32_t>(&acceptor - acceptors_.data()), kind}};
}

void Acceptors::update(Acceptor& acceptor) {
  if (acceptor.fd < 0) return;
  const bool paused = stopped_ || again_at_ != kNever || acceptor.left;
  if (acceptor.handshakes && newcomers_.is_full()) acceptor.one_by_one = true;
  if (newcomers_.is_quiet()) acceptor.one_by_one = false;
  const Operation many = operation(acceptor, kManyAccepts);
  const Operation single = operation(acceptor, kSingleAccept);
  const bool wanted = !paused && !acceptor.one_by_one;
  if (wanted && !acceptor.armed) {
    acceptor.armed = true;
    kernel_.accept(acceptor.fd, many);
  } else if (!wanted && acceptor.armed && !acceptor.cancelling) {
    acceptor.cancelling = true;
    kernel_.cancel(acceptor.fd, many);
  }
  if (paused && acceptor.singles != 0) kernel_.cancel(acceptor.fd, single);
  close_if_left(acceptor);
  if (paused || !acceptor.one_by_one) return;
  while (acceptor.singles < kSinglesMax &&
         newcomers_.handshakes() + acceptor.singles < config_.limits.handshakes &&
         newcomers_.count() + acceptor.singles < bounds::kWaitingMax) {
    ++acceptor.singles;
    kernel_.accept_one(acceptor.fd, single);
  }
}

Stream* Acceptors::accepted(const Completion& completion, Instant now) {
  Acceptor& acceptor = acceptors_[completion.operation.id.slot];
  if (completion.operation.id.generation == kSingleAccept) {
    --acceptor.singles;
  } else if (!completion.more) {
    acceptor.armed = acceptor.cancelling = false;
  }
  Stream* stream = nullptr;
  if (completion.result >= 0) {
    stream = admit(acceptor, completion.result, now);
  } else if (again_at_ == kNever &&
             (completion.result == -EMFILE || completion.result == -ENFILE ||
              completion.result == -ENOBUFS || completion.result == -ENOMEM)) {
    pause(-completion.result, now);
  }
  if (!completion.more) update();
  return stream;
}

// The backlog keeps them until a descriptor is free.
void Acceptors::pause(int error, Instant now) {
  again_at_ = now + kAcceptAgainAfter;
  counters_.accepts_paused.add();
  log_.error("accept_paused", {{"reason", std::strerror(error)},
                               {"cure", "raise the limit of open files (LimitNOFILE=)"}});
}

void Acceptors::stop() {
  stopped_ = true;
  update();
  // New connections are refused by the kernel from here on, not left waiting in the backlog; unless
  // the backlog is for the process that comes next.
  if (listeners_.kept) return;
  for (const Acceptor& acceptor : acceptors_) {
    if (acceptor.fd >= 0) kernel_.shutdown(acceptor.fd, SHUT_RDWR);
  }
}

Instant Acceptors::next_deadline() const {
  if (!newcomers_.is_full()) return again_at_;
  return std::min(again_at_, std::max(newcomers_.next_surplus(), made_room_at_ + kRoomEvery));
}

void Acceptors::expire(Instant now) {
  if (newcomers_.is_full() && now >= made_room_at_ + kRoomEvery) make_room(now);
  if (now < again_at_) return;
  again_at_ = kNever;
  update();
}

// Admission.

// An address that is kept out gets nothing of us, not even a handshake.
bool Acceptors::is_shut_out(ListenerIndex listener, const Address& address, Instant now) {
  if (!gate_ || listeners_.infos[listener].config.side != Side::Access) return false;
  switch (gate_->ask(address, BanScope::Everything, now)) {
    case SourceGate::Answer::Open:
      return false;
    case SourceGate::Answer::Banned:
      counters_.banned_connections.add();
      return true;
    case SourceGate::Answer::Blocked:
      counters_.blocked_connections.add();
      return true;
  }
  return false;
}

Stream* Acceptors::admit(const Acceptor& acceptor, int fd, Instant now) {
  const ListenConfig& listen = listeners_.infos[acceptor.listener].config;
  SocketAddress address{};
  if ((stopped_ && !listeners_.kept) || kernel_.peer_of(fd, &address.any, sizeof address) < 0) {
    kernel_.close(fd);
    return nullptr;
  }
  const Endpoint remote = read_socket_address(address);
  const bool by_header = any_contains(acceptor.proxy_sources, remote.address);
  const bool by_upgrade =
      is_websocket(listen.transport) && any_contains(acceptor.web_proxies, remote.address);
  const bool is_proxy = by_header || by_upgrade;
  if (!is_proxy && is_shut_out(acceptor.listener, remote.address, now)) {
    kernel_.close(fd);
    return nullptr;
  }
  if (table_.is_crowded()) close_mute(now);
  const bool refused = !is_proxy && flows_.count(remote.address) >= config_.limits.flows_per_source;
  Stream* stream =
      refused ? nullptr : table_.add(fd, Stream::Role::Accepted, listen.transport, now);
  if (!stream) {
    counters_.flows_refused[static_cast<std::size_t>(listen.transport)].add();
    kernel_.close(fd);
    return nullptr;
  }
  stream->protocol =
      is_websocket(listen.transport) ? Stream::Protocol::WebSocket : Stream::Protocol::Sip;
  stream->listener = acceptor.listener;
  stream->remote = remote;
  stream->trusted_proxy = by_upgrade;
  if (!is_proxy) {
    flows_.add(remote.address);
    stream->source_counted = true;
  }
  if (acceptor.handshakes || by_header) wait(*stream, now);
  return stream;
}

bool Acceptors::wants_proxy_header(const Stream& stream) const {
  const Acceptor& acceptor = acceptors_[acceptor_of_listener_[stream.listener]];
  return any_contains(acceptor.proxy_sources, stream.remote.address);
}

bool Acceptors::is_web_proxy(const Stream& stream, const Address& address) const {
  return any_contains(acceptors_[acceptor_of_listener_[stream.listener]].web_proxies, address);
}

bool Acceptors::set_remote(Stream& stream, const Endpoint& remote, Instant now) {
  newcomers_.set_source(stream, remote.address);
  if (stream.source_counted) flows_.remove(stream.remote.address);
  stream.source_counted = false;
  stream.remote = remote;
  if (is_shut_out(stream.listener, remote.address, now)) return false;
  if (flows_.count(remote.address) >= config_.limits.flows_per_source) {
    counters_.flows_refused[static_cast<std::size_t>(stream.transport)].add();
    return false;
  }
  flows_.add(remote.address);
  stream.source_counted = true;
  return true;
}

// What is not open yet.

void Acceptors::wait(Stream& stream, Instant now) {
  newcomers_.add(stream, now);
  if (Stream* surplus = newcomers_.find_surplus(stream.remote.address, now)) drop(*surplus, now);
  if (newcomers_.is_full()) make_room(now);
}

// Some at a time: whoever fills the places comes again at once.
void Acceptors::make_room(Instant now) {
  made_room_at_ = now;
  for (int i = 0; i < kRoom; ++i) {
    Stream* heaviest = newcomers_.find_heaviest(now);
    if (!heaviest) break;
    drop(*heaviest, now);
  }
  update();
}

// Places run short: those go that are open and never sent a message, the heaviest sources' first.
void Acceptors::close_mute(Instant now) {
  if (now < closed_mute_at_ + kRoomEvery) return;
  closed_mute_at_ = now;
  const auto flows_of_mute = [&](const Stream* stream) {
    const bool is_mute = stream && stream->stage == Stream::Stage::Open && stream->source_counted &&
                         !stream->gave_message && stream->stage_since + bounds::kWaitingMin <= now;
    return is_mute ? flows_.count(stream->remote.address) : 0;
  };
  std::uint32_t most = 0;
  for (std::uint32_t slot = 0; slot < table_.used_slots(); ++slot) {
    most = std::max(most, flows_of_mute(table_.at(slot)));
  }
  int left = most == 0 ? 0 : kMuteATime;
  for (std::uint32_t slot = 0; slot < table_.used_slots() && left != 0; ++slot) {
    if (flows_of_mute(table_.at(slot)) < (most + 1) / 2) continue;
    drop(*table_.at(slot), now);
    --left;
  }
}

void Acceptors::spoke(Stream& stream) {
  if (stream.spoke) return;
  newcomers_.spoke(stream);
  if (stream.waits_to_open && newcomers_.is_full()) update();
}

void Acceptors::leave(Stream& stream) {
  if (!stream.waits_to_open) return;
  const bool was_full = newcomers_.is_full();
  newcomers_.remove(stream);
  if (was_full || acceptor_of(stream).one_by_one) update();
}

void Acceptors::release(Stream& stream) {
  if (stream.source_counted) flows_.remove(stream.remote.address);
  stream.source_counted = false;
  if (again_at_ == kNever) return;
  again_at_ = kNever;
  update();
}

void Acceptors::drop(Stream& stream, Instant now) {
  counters_.silent_dropped.add();
  ++dropped_unsaid_;
  if (now >= warned_at_ + kWarnEvery) {
    warned_at_ = now;
    log_.warning("silent_connections_dropped",
                 {{"count", dropped_unsaid_},
                  {"reason", "too many connections wait without finishing their handshake"}});
    dropped_unsaid_ = 0;
  }
  table_.close(stream, {FlowEnd::TimedOut, TransportFailure::TimedOut, Closing::Manner::Abrupt},
               now);
  leave(stream);
}

}  // namespace ringway
