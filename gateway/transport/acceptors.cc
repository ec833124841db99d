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

bool any_contains(const std::vector<Prefix>& prefixes, const Address& address) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const Prefix& prefix) { return prefix.contains(address); });
}

}  // namespace

Acceptors::Acceptors(const StreamEnvironment& environment, StreamTable& table)
    : config_(environment.config),
      listeners_(environment.listeners),
      kernel_(environment.kernel),
      counters_(environment.counters),
      log_(environment.log),
      streams_(environment, table) {
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
  const Newcomers& newcomers = streams_.newcomers();
  if (acceptor.handshakes && newcomers.is_full()) acceptor.one_by_one = true;
  if (newcomers.is_quiet()) acceptor.one_by_one = false;
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
         newcomers.handshakes() + acceptor.singles < config_.limits.handshakes &&
         newcomers.count() + acceptor.singles < bounds::kWaitingMax) {
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
  return std::min(again_at_, streams_.next_deadline());
}

void Acceptors::expire(Instant now) {
  if (streams_.expire(now)) update();
  if (now < again_at_) return;
  again_at_ = kNever;
  update();
}

// Admission.

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
  const bool shut_out = !is_proxy && streams_.is_shut_out(acceptor.listener, remote.address, now);
  Stream* stream = shut_out ? nullptr : streams_.add(fd, acceptor.listener, remote, is_proxy, now);
  if (!stream) {
    kernel_.close(fd);
    return nullptr;
  }
  stream->trusted_proxy = by_upgrade;
  stream->from_proxy = is_proxy;
  if ((acceptor.handshakes || by_header) && streams_.wait(*stream, now)) update();
  return stream;
}

bool Acceptors::wants_proxy_header(const Stream& stream) const {
  return any_contains(acceptor_of(stream).proxy_sources, stream.remote.address);
}

bool Acceptors::is_web_proxy(const Stream& stream, const Address& address) const {
  return any_contains(acceptor_of(stream).web_proxies, address);
}

void Acceptors::spoke(Stream& stream) {
  if (stream.spoke) return;
  streams_.spoke(stream);
  if (stream.waits_to_open && streams_.newcomers().is_full()) update();
}

void Acceptors::leave(Stream& stream) {
  if (!stream.waits_to_open) return;
  const bool was_full = streams_.newcomers().is_full();
  streams_.leave(stream);
  if (was_full || acceptor_of(stream).one_by_one) update();
}

void Acceptors::release(Stream& stream) {
  streams_.release(stream);
  if (again_at_ == kNever) return;
  again_at_ = kNever;
  update();
}

}  // namespace ringway
