#include "gateway/transport/kept_sockets.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "gateway/transport/sockaddr.h"

namespace ringway {
namespace {

constexpr int kFirstDescriptor = 3;      // SD_LISTEN_FDS_START
constexpr int kDescriptorsMax = 65'536;  // that are believed

int number_of(const char* text) {
  if (!text) return 0;
  const std::string_view digits = text;
  int value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return error == std::errc() && end == digits.data() + digits.size() ? value : 0;
}

int option(int fd, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  return getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

bool is_of_shard(const std::string& name, std::size_t shard) {
  return name.starts_with("shard-" + std::to_string(shard) + "-");
}

}  // namespace

std::string kept_name(const Endpoint& local, bool is_udp, std::size_t shard) {
  std::string name =
      "shard-" + std::to_string(shard) + (is_udp ? "-udp-" : "-tcp-") + text_of(local);
  std::replace(name.begin(), name.end(), ':', '_');
  return name;
}

KeptSockets KeptSockets::from_environment() {
  KeptSockets kept;
  const int process = number_of(std::getenv("LISTEN_PID"));
  const int count = std::min(number_of(std::getenv("LISTEN_FDS")), kDescriptorsMax);
  const char* const names = std::getenv("LISTEN_FDNAMES");
  std::string_view rest = names ? names : "";
  for (int fd = kFirstDescriptor; process == getpid() && fd < kFirstDescriptor + count; ++fd) {
    const std::size_t colon = std::min(rest.find(':'), rest.size());
    Kept one;
    one.name = std::string(rest.substr(0, colon));
    rest.remove_prefix(std::min(colon + 1, rest.size()));
    SocketAddress address{};
    socklen_t size = sizeof address;
    if (getsockname(fd, &address.any, &size) != 0) continue;
    if (address.any.sa_family != AF_INET && address.any.sa_family != AF_INET6) continue;
    one.is_udp = option(fd, SO_TYPE) == SOCK_DGRAM;
    if (!one.is_udp && option(fd, SO_TYPE) != SOCK_STREAM) continue;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    one.local = read_socket_address(address);
    one.fd = fd;
    one.socket = Socket(fd);
    kept.sockets_.push_back(std::move(one));
  }
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) unsetenv(name);
  return kept;
}

bool KeptSockets::has(const Endpoint& local, bool is_udp) const {
  return std::any_of(sockets_.begin(), sockets_.end(), [&](const Kept& one) {
    return one.is_udp == is_udp && one.local == local;
  });
}

Socket KeptSockets::take(const Endpoint& local, bool is_udp, std::size_t shard) {
  Kept* found = nullptr;
  for (Kept& one : sockets_) {
    if (!one.socket || one.is_udp != is_udp || !(one.local == local)) continue;
    if (is_of_shard(one.name, shard)) return std::move(one.socket);
    if (!found && !one.name.starts_with("shard-")) found = &one;
  }
  return found ? std::move(found->socket) : Socket();
}

Socket KeptSockets::share(const Endpoint& local) const {
  for (const Kept& one : sockets_) {
    if (one.is_udp || one.socket || !(one.local == local)) continue;
    return Socket(fcntl(one.fd, F_DUPFD_CLOEXEC, 0));
  }
  return {};
}

std::vector<std::string> KeptSockets::drop_rest() {
  std::vector<std::string> names;
  for (Kept& one : sockets_) {
    if (!one.socket) continue;
    names.push_back(one.name);
    one.socket.reset();
  }
  return names;
}

}  // namespace ringway
