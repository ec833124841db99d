#include "gateway/transport/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstring>
#include <thread>

#include "gateway/transport/port_owner.h"
#include "gateway/transport/sockaddr.h"
#include "protocol/base/writer.h"

namespace ringway {
namespace {

constexpr int kDatagramBufferBytes = 8 << 20;
constexpr int kBacklog = 4'096;
constexpr int kUserTimeoutMilliseconds = 20'000;
constexpr int kPortAttempts = 16;  // to find a number that is free for UDP and TCP alike
// A process that was killed is gone before the kernel has taken its ring, and with it the sockets,
// apart. Whoever starts it again at once must not be told that the port is in use.
constexpr auto kPortPatience = std::chrono::milliseconds(1'500);
constexpr auto kPortPause = std::chrono::milliseconds(20);

enum class Sharing { Alone, Shared };

void set_option(int fd, int level, int name, int value) {
  setsockopt(fd, level, name, &value, sizeof value);
}

std::string failure_text(const ListenConfig& listen, const Endpoint& endpoint, int error) {
  std::string text = "listener " + listen.name + " cannot use " + text_of(endpoint) + "/" +
                     (listen.transport == Transport::Udp ? "udp" : "tcp") + ": ";
  switch (error) {
    case EADDRINUSE: {
      const std::string owner = find_port_owner(endpoint.port, listen.transport == Transport::Udp);
      return text + "the port is in use" + (owner.empty() ? "" : " by " + owner) +
             "; stop that program or configure another port";
    }
    case EACCES:
    case EPERM:
      return text +
             "no permission for this port; use a port above 1023 or grant CAP_NET_BIND_SERVICE "
             "(AmbientCapabilities= in the unit, or setcap cap_net_bind_service=+ep)";
    case EADDRNOTAVAIL:
      return text + "this host has no such address";
    case EAFNOSUPPORT:
      return text + "this kernel has no " + (endpoint.family() == Family::V6 ? "IPv6" : "IPv4");
    case EMFILE:
    case ENFILE:
      return text + "no file descriptor is left; raise the limit of open files (LimitNOFILE=)";
    default:
      return text + std::strerror(error);
  }
}

void set_options(int fd, bool is_udp, const Endpoint& endpoint) {
  // An address that arrives later, with a fail-over, is bound already.
  set_option(fd, IPPROTO_IP, IP_FREEBIND, 1);
  if (endpoint.family() == Family::V6) {
    set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    set_option(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
  }
  if (is_udp) {
    int size = kDatagramBufferBytes;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0) {
      set_option(fd, SOL_SOCKET, SO_RCVBUF, size);
    }
    set_option(fd, SOL_SOCKET, SO_SNDBUF, size / 2);
  } else {  // inherited by what is accepted
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMilliseconds);
  }
}

// A bound socket, or errno in error.
Socket bind_socket(const ListenConfig& listen, const Endpoint& endpoint, Sharing sharing,
                   int& error) {
  const bool is_udp = listen.transport == Transport::Udp;
  Socket socket(::socket(socket_family(endpoint.family()),
                         (is_udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0));
  if (!socket) {
    error = errno;
    return {};
  }
  const int fd = socket.fd();
  if (sharing == Sharing::Shared) set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  if (!is_udp) set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);  // TIME_WAIT of the process before us
  set_options(fd, is_udp, endpoint);
  SocketAddress address;
  const socklen_t size = write_socket_address(endpoint, address);
  if (bind(fd, &address.any, size) != 0) {
    error = errno;
    return {};
  }
  return socket;
}

Endpoint local_of(int fd) {
  SocketAddress address{};
  socklen_t size = sizeof address;
  getsockname(fd, &address.any, &size);
  return read_socket_address(address);
}

ListenConfig twin_of(const ListenConfig& udp) {
  ListenConfig twin = udp;
  twin.transport = Transport::Tcp;
  twin.name = udp.name + "-tcp";
  return twin;
}

bool is_configured(const Config& config, const ListenConfig& twin, const Endpoint& endpoint) {
  for (const ListenConfig& listen : config.listen) {
    if (listen.transport != Transport::Udp && listen.address.address == twin.address.address &&
        listen.address.port == endpoint.port) {
      return true;
    }
  }
  return false;
}

class Opener {
 public:
  Opener(const Config& config, unsigned shards, KeptSockets* kept)
      : config_(config), kept_(kept), shards_(shards) {}

  std::expected<std::vector<ShardListeners>, std::string> open() {
    for (const ListenConfig& listen : config_.listen) {
      if (!open_listener(listen)) return std::unexpected(error_);
    }
    for (std::size_t i = 0; i < shards_.size(); ++i) {
      for (std::size_t k = 0; k < twins_[i].sockets.size(); ++k) {
        shards_[i].sockets.push_back(std::move(twins_[i].sockets[k]));
        shards_[i].infos.push_back(std::move(twins_[i].infos[k]));
      }
    }
    return std::move(shards_);
  }

 private:
  bool fail(const ListenConfig& listen, const Endpoint& endpoint, int error) {
    error_ = failure_text(listen, endpoint, error);
    if (kept_ && error == EADDRINUSE &&
        kept_->has(endpoint, listen.transport == Transport::Udp)) {
      error_ += " (the service manager holds it: its socket unit needs ReusePort=yes and the "
                "address once for each shard)";
    }
    return false;
  }

  // Alone first: with SO_REUSEPORT a second process of the same user would get in unnoticed.
  bool is_free(const ListenConfig& listen, Endpoint& endpoint, int& error) {
    if (kept_ && kept_->has(endpoint, listen.transport == Transport::Udp)) return true;
    Socket probe = bind_socket(listen, endpoint, Sharing::Alone, error);
    // Once for all listeners: what is held after that is somebody's.
    while (!probe && error == EADDRINUSE && listen.address.port != 0 &&
           patience_left_ > kPortPause) {
      std::this_thread::sleep_for(kPortPause);
      patience_left_ -= kPortPause;
      probe = bind_socket(listen, endpoint, Sharing::Alone, error);
    }
    if (probe && endpoint.port == 0) endpoint.port = local_of(probe.fd()).port;
    return static_cast<bool>(probe);
  }

  bool wants_twin(const ListenConfig& listen, const Endpoint& endpoint) const {
    return listen.transport == Transport::Udp && listen.tcp_twin &&
           !is_configured(config_, listen, endpoint);
  }

  // Finds the port (chosen by the kernel if it is 0) that is free for the listener and its twin.
  bool choose(const ListenConfig& listen, Endpoint& endpoint) {
    for (int attempt = 0;; ++attempt) {
      Endpoint candidate = endpoint;
      int error = 0;
      if (!is_free(listen, candidate, error)) return fail(listen, candidate, error);
      const ListenConfig twin = twin_of(listen);
      if (!wants_twin(listen, candidate) || is_free(twin, candidate, error)) {
        endpoint = candidate;
        return true;
      }
      if (endpoint.port != 0 || attempt == kPortAttempts) return fail(twin, candidate, error);
    }
  }

  // What is kept may come without SO_REUSEPORT, of another user: then no socket can be bound beside
  // it, but shards can accept from the same one. Datagrams cannot be shared so: which shard has a
  // peer would change from one to the next.
  Socket take_or_bind(const ListenConfig& listen, const Endpoint& endpoint, std::size_t shard,
                      int& error) {
    const bool is_udp = listen.transport == Transport::Udp;
    Socket taken = kept_ ? kept_->take(endpoint, is_udp, shard) : Socket();
    if (taken) {
      fcntl(taken.fd(), F_SETFL, fcntl(taken.fd(), F_GETFL) & ~O_NONBLOCK);
      set_option(taken.fd(), SOL_SOCKET, SO_REUSEPORT, 1);
      set_options(taken.fd(), is_udp, endpoint);
      return taken;
    }
    Socket bound = bind_socket(listen, endpoint, Sharing::Shared, error);
    if (!bound && kept_ && !is_udp && error == EADDRINUSE) return kept_->share(endpoint);
    return bound;
  }

  bool add(std::size_t index, ShardListeners& shard, const ListenConfig& listen,
           const Endpoint& endpoint) {
    int error = 0;
    Socket socket = take_or_bind(listen, endpoint, index, error);
    if (socket && listen.transport != Transport::Udp && ::listen(socket.fd(), kBacklog) != 0) {
      error = errno;
      socket.reset();
    }
    if (!socket) return fail(listen, endpoint, error);
    shard.infos.push_back({listen, local_of(socket.fd())});
    shard.sockets.push_back(std::move(socket));
    return true;
  }

  bool open_listener(const ListenConfig& listen) {
    Endpoint endpoint = listen.address;
    for (std::size_t i = 0; i < shards_.size(); ++i) {
      if (listen.port_per_shard) {
        endpoint = listen.address;
        if (endpoint.port != 0) endpoint.port = static_cast<std::uint16_t>(endpoint.port + i);
      }
      if ((i == 0 || listen.port_per_shard) && !choose(listen, endpoint)) return false;
      if (!add(i, shards_[i], listen, endpoint)) return false;
      if (wants_twin(listen, endpoint) && !add(i, twins_[i], twin_of(listen), endpoint)) {
        return false;
      }
    }
    return true;
  }

  const Config& config_;
  KeptSockets* kept_;  // null: none
  std::chrono::milliseconds patience_left_ = kPortPatience;
  std::vector<ShardListeners> shards_;
  std::vector<ShardListeners> twins_ = std::vector<ShardListeners>(shards_.size());
  std::string error_;
};

}  // namespace

std::expected<std::vector<ShardListeners>, std::string> open_listeners(const Config& config,
                                                                       unsigned shards,
                                                                       KeptSockets* kept) {
  return Opener(config, shards, kept).open();
}

}  // namespace ringway
