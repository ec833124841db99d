#include "gateway/transport/bound_socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstring>

#include "gateway/transport/port_owner.h"
#include "gateway/transport/sockaddr.h"

namespace ringway {
namespace {

constexpr int kDatagramBufferBytes = 8 << 20;
constexpr int kUserTimeoutMilliseconds = 20'000;

void set_option(int fd, int level, int name, int value) {
  setsockopt(fd, level, name, &value, sizeof value);
}

}  // namespace

void set_listening_options(int fd, bool is_udp, const Endpoint& endpoint) {
  const bool is_v6 = endpoint.family() == Family::V6;
  if (is_v6) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (!endpoint.address.is_any()) {
    // An address that arrives later, with a fail-over, is bound already.
    set_option(fd, IPPROTO_IP, IP_FREEBIND, 1);
    if (is_v6) set_option(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1);
  } else if (is_udp) {
    // Which address a datagram came to. (With IPV6_FREEBIND they could leave from one that the host
    // does not have.)
    if (is_v6) {
      set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    } else {
      set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
    }
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

std::string bind_failure_text(const ListenConfig& listen, const Endpoint& endpoint, int error) {
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
  set_listening_options(fd, is_udp, endpoint);
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

}  // namespace ringway
