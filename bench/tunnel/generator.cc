#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

// A controller and its rtpengine on one thread each: requests at a steady rate to PORT, answered by
// what listens at ENGINE_PORT, which says back what it got.
//   ringway-tunnel-load PORT ENGINE_PORT REQUESTS_A_SECOND SECONDS [BYTES]
// Prints one line of JSON.

namespace {

constexpr std::size_t kDatagram = 65'536;

std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

int bound(int port, sockaddr_in& name) {
  name = {};
  name.sin_family = AF_INET;
  name.sin_port = htons(static_cast<std::uint16_t>(port));
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = socket(AF_INET, SOCK_DGRAM, 0), room = 4 << 20;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  return bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0 ? fd : -1;
}

std::atomic<bool> over{false};

void echo(int fd) {
  std::vector<char> bytes(kDatagram);
  pollfd wait{fd, POLLIN, 0};
  while (!over) {
    if (poll(&wait, 1, 50) <= 0) continue;
    sockaddr_in from{};
    socklen_t size = sizeof from;
    ssize_t got;
    while ((got = recvfrom(fd, bytes.data(), bytes.size(), MSG_DONTWAIT,
                           reinterpret_cast<sockaddr*>(&from), &size)) >= 0) {
      sendto(fd, bytes.data(), static_cast<std::size_t>(got), 0,
             reinterpret_cast<const sockaddr*>(&from), size);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  sockaddr_in engine_name, own_name, to;
  const int engine = bound(std::atoi(argv[2]), engine_name), fd = bound(0, own_name);
  if (engine < 0 || fd < 0) return 1;
  to = engine_name;
  to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[1])));
  const double rate = std::atof(argv[3]), seconds = std::atof(argv[4]);
  const std::size_t bytes = argc > 5 ? static_cast<std::size_t>(std::atoi(argv[5])) : 400;
  const auto total = static_cast<std::size_t>(rate * seconds);
  std::vector<std::int64_t> sent_at(total), latency;
  latency.reserve(total);
  std::thread answering(echo, engine);
  std::vector<char> message(std::max<std::size_t>(bytes, 40), 'x'), got(kDatagram);
  const std::int64_t begin = now_ns();
  std::size_t sent = 0;
  std::int64_t last = begin;
  pollfd wait{fd, POLLIN, 0};
  while (latency.size() < total) {
    const std::int64_t now = now_ns();
    if (sent == total && now - last > 500'000'000) break;
    // What is due goes in one go, as workers that woke together would send it.
    while (sent < total &&
           now - begin >= static_cast<std::int64_t>(static_cast<double>(sent) * 1e9 / rate)) {
      const int head = std::snprintf(message.data(), 32, "77_%zu d", sent);
      message[static_cast<std::size_t>(head)] = 'x';
      sent_at[sent++] = now_ns();
      sendto(fd, message.data(), message.size(), 0, reinterpret_cast<const sockaddr*>(&to),
             sizeof to);
    }
    while (recv(fd, got.data(), got.size() - 1, MSG_DONTWAIT) > 0) {
      const std::size_t number = std::strtoull(got.data() + 3, nullptr, 10);
      last = now_ns();
      if (number < total) latency.push_back(last - sent_at[number]);
    }
    if (rate < 50'000) poll(&wait, 1, 0);
  }
  const double took = static_cast<double>(now_ns() - begin) / 1e9;
  over = true;
  answering.join();
  std::sort(latency.begin(), latency.end());
  const auto at = [&](double part) {
    if (latency.empty()) return 0.0;
    return static_cast<double>(
               latency[static_cast<std::size_t>(part * static_cast<double>(latency.size() - 1))]) /
           1e3;
  };
  std::printf(
      "{\"sent\": %zu, \"answered\": %zu, \"seconds\": %.3f, \"p50\": %.1f, \"p99\": %.1f}\n", sent,
      latency.size(), took, at(0.5), at(0.99));
  return 0;
}
