#include "gateway/reactor/kernel.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace ringway {
namespace {

// For how long sent bytes may stay unacknowledged.
constexpr int kUserTimeoutMilliseconds = 20'000;

void set_option(int fd, int level, int name, int value) {
  setsockopt(fd, level, name, &value, sizeof value);
}

}  // namespace

int Kernel::open_stream(int family, const sockaddr* local, socklen_t local_size) {
  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMilliseconds);
  if (!local) return fd;
  set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  if (family == AF_INET) set_option(fd, IPPROTO_IP, IP_FREEBIND, 1);
  if (::bind(fd, local, local_size) == 0) return fd;
  const int error = errno;
  ::close(fd);
  return -error;
}

int Kernel::peer_of(int fd, sockaddr* address, socklen_t size) {
  return getpeername(fd, address, &size) == 0 ? static_cast<int>(size) : -errno;
}

void Kernel::shutdown(int fd, int how) {
  ::shutdown(fd, how);
}

bool Kernel::has_datagram(int fd) {
  int size = 0;
  return ioctl(fd, FIONREAD, &size) == 0 && size > 0;
}

void Kernel::close(int fd) {
  ::close(fd);
}

}  // namespace ringway
