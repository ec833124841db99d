#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

#include "gateway/base/endpoint.h"
#include "gateway/transport/sockaddr.h"
#include "gateway/transport/socket.h"

// The other side of a test: plain sockets on loopback, with ports that the kernel chose.

namespace ringway::test {

// How long a test waits for what has to happen. Generous: the machine may be busy.
class Patience {
 public:
  bool left() const { return std::chrono::steady_clock::now() < until_; }

 private:
  std::chrono::steady_clock::time_point until_ =
      std::chrono::steady_clock::now() + std::chrono::seconds(30);
};

inline Endpoint local_of(int fd) {
  SocketAddress address{};
  socklen_t size = sizeof address;
  getsockname(fd, &address.any, &size);
  return read_socket_address(address);
}

// Bound to a port of its own. type: SOCK_DGRAM or SOCK_STREAM.
inline Socket bound_socket(int type, const char* ip = "127.0.0.1") {
  const Endpoint endpoint{*parse_address(ip), 0};
  Socket socket(::socket(socket_family(endpoint.family()), type | SOCK_CLOEXEC, 0));
  if (type == SOCK_STREAM) {  // whoever binds the port after it is not kept waiting
    const int on = 1;
    setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  }
  SocketAddress address{};
  const socklen_t size = write_socket_address(endpoint, address);
  if (bind(socket.fd(), &address.any, size) != 0) return {};
  return socket;
}

inline Socket listening_socket(const char* ip = "127.0.0.1", int backlog = 64) {
  Socket socket = bound_socket(SOCK_STREAM, ip);
  if (socket) ::listen(socket.fd(), backlog);
  return socket;
}

// From source, if that is given; an empty one if it is refused.
inline Socket connected_socket(const Endpoint& to, const char* source = nullptr) {
  Socket socket(::socket(socket_family(to.family()), SOCK_STREAM | SOCK_CLOEXEC, 0));
  SocketAddress address{};
  if (source) {
    const socklen_t size = write_socket_address({*parse_address(source), 0}, address);
    bind(socket.fd(), &address.any, size);
  }
  const socklen_t size = write_socket_address(to, address);
  if (connect(socket.fd(), &address.any, size) != 0) return {};
  return socket;
}

inline void send_datagram(const Socket& from, const Endpoint& to, std::string_view text) {
  SocketAddress address{};
  const socklen_t size = write_socket_address(to, address);
  sendto(from.fd(), text.data(), text.size(), 0, &address.any, size);
}

inline bool readable(int fd, int milliseconds = 30'000) {
  pollfd entry{fd, POLLIN, 0};
  return poll(&entry, 1, milliseconds) == 1;
}

// What one read gives, waiting for it; empty at the end of the stream, or if nothing ever comes.
inline std::string read_once(int fd) {
  std::string text(70'000, '\0');
  if (!readable(fd)) return {};
  const ssize_t size = recv(fd, text.data(), text.size(), 0);
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return text;
}

// Threads of this process, the kernel's io-wq workers included.
inline std::size_t thread_count() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/task"))
    ++count;
  return count;
}

}  // namespace ringway::test
