#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

// The least that two ends of a tunnel can do: datagrams of one source go with a length in front of
// each over one TCP connection, and come back the same way. Not a byte is looked at, nothing is
// encrypted, nothing is checked.
//   ringway-tunnel-floor near LISTEN_PORT FAR_PORT
//   ringway-tunnel-floor far LISTEN_PORT TARGET_PORT

namespace {

sockaddr_in loopback(const char* port) {
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return name;
}

int fail(const char* what) {
  std::perror(what);
  return 1;
}

int open_socket(int kind, const sockaddr_in& name, bool bind_it) {
  const int fd = socket(AF_INET, kind, 0), on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const auto* any = reinterpret_cast<const sockaddr*>(&name);
  const int done = bind_it ? bind(fd, any, sizeof name) : connect(fd, any, sizeof name);
  return done == 0 ? fd : -1;
}

// Datagrams that are there go into one write; what a read brought goes out as datagrams.
void forward(int udp, int tcp, bool near) {
  std::vector<unsigned char> out, in(256 * 1024);
  std::size_t held = 0;
  sockaddr_in peer{};
  pollfd polls[] = {{udp, POLLIN, 0}, {tcp, POLLIN, 0}};
  unsigned char datagram[65536];
  while (poll(polls, 2, -1) > 0) {
    if (polls[0].revents != 0) {
      out.clear();
      socklen_t size = sizeof peer;
      ssize_t got;
      while (out.size() < 65'536 &&
             (got = recvfrom(udp, datagram, sizeof datagram, MSG_DONTWAIT,
                             near ? reinterpret_cast<sockaddr*>(&peer) : nullptr,
                             near ? &size : nullptr)) >= 0) {
        out.push_back(static_cast<unsigned char>(got >> 8));
        out.push_back(static_cast<unsigned char>(got));
        out.insert(out.end(), datagram, datagram + got);
      }
      if (!out.empty() && send(tcp, out.data(), out.size(), MSG_NOSIGNAL) < 0) return;
    }
    if (polls[1].revents == 0) continue;
    const ssize_t got = recv(tcp, in.data() + held, in.size() - held, MSG_DONTWAIT);
    if (got == 0) return;
    if (got < 0) continue;
    held += static_cast<std::size_t>(got);
    std::size_t used = 0;
    while (held - used >= 2) {
      const std::size_t length = (std::size_t{in[used]} << 8) | in[used + 1];
      if (held - used < 2 + length) break;
      sendto(udp, in.data() + used + 2, length, MSG_DONTWAIT,
             near ? reinterpret_cast<sockaddr*>(&peer) : nullptr, near ? sizeof peer : 0);
      used += 2 + length;
    }
    std::memmove(in.data(), in.data() + used, held - used);
    held -= used;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const bool near = std::strcmp(argv[1], "near") == 0;
  const int on = 1;
  if (near) {
    const int udp = open_socket(SOCK_DGRAM, loopback(argv[2]), true);
    const int tcp = open_socket(SOCK_STREAM, loopback(argv[3]), false);
    if (udp < 0 || tcp < 0) return fail("near");
    setsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    forward(udp, tcp, true);
    return 0;
  }
  const int listener = open_socket(SOCK_STREAM, loopback(argv[2]), true);
  if (listener < 0 || listen(listener, 4) != 0) return fail("far");
  std::puts("listening");
  std::fflush(stdout);
  const int tcp = accept(listener, nullptr, nullptr);
  const int udp = open_socket(SOCK_DGRAM, loopback(argv[3]), false);
  if (tcp < 0 || udp < 0) return fail("far");
  setsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  forward(udp, tcp, false);
  return 0;
}
