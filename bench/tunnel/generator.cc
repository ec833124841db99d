#include <arpa/inet.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

// A controller and its rtpengine on one thread, so that neither waits for the other's time slice:
// requests at a steady rate to PORT, answered by what listens at ENGINE_PORT, which says back what
// it got. Never sleeps: it wants a core of its own.
//   ringway-tunnel-load PORT ENGINE_PORT REQUESTS_A_SECOND SECONDS [BYTES]
// Prints one line of JSON. "late" is how long after its due time a request left (99 of 100), which
// is the error of the latencies. "calm" is the median of the p99 of each tenth of a second: where a
// virtual machine's host takes a core away for milliseconds, only some tenths know of it.

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

// Says back all that is there.
void echo(int fd, std::vector<char>& bytes) {
  sockaddr_in from{};
  socklen_t size = sizeof from;
  ssize_t got;
  while ((got = recvfrom(fd, bytes.data(), bytes.size(), MSG_DONTWAIT,
                         reinterpret_cast<sockaddr*>(&from), &size)) >= 0) {
    sendto(fd, bytes.data(), static_cast<std::size_t>(got), 0,
           reinterpret_cast<const sockaddr*>(&from), size);
  }
}

// The value that PART of them do not exceed, in microseconds.
double quantile(std::vector<std::int64_t>& values, double part) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return static_cast<double>(
             values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))]) /
         1e3;
}

double calm_p99(const std::vector<std::vector<std::int64_t>>& tenths) {
  std::vector<std::int64_t> found;
  for (std::vector<std::int64_t> tenth : tenths) {
    if (!tenth.empty()) found.push_back(static_cast<std::int64_t>(quantile(tenth, 0.99) * 1e3));
  }
  return quantile(found, 0.5);
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
  std::vector<std::int64_t> sent_at(total), latency, late;
  latency.reserve(total);
  late.reserve(total);
  std::vector<std::vector<std::int64_t>> tenths(static_cast<std::size_t>(seconds * 10) + 1);
  std::vector<char> message(std::max<std::size_t>(bytes, 40), 'x'), got(kDatagram);
  const std::int64_t begin = now_ns();
  std::size_t sent = 0;
  std::int64_t last = begin;
  while (latency.size() < total) {
    const std::int64_t now = now_ns();
    if (sent == total && now - last > 500'000'000) break;
    // What is due goes in one go, as workers that woke together would send it.
    while (sent < total) {
      const auto due = begin + static_cast<std::int64_t>(static_cast<double>(sent) * 1e9 / rate);
      if (now < due) break;
      const int head = std::snprintf(message.data(), 32, "77_%zu d", sent);
      message[static_cast<std::size_t>(head)] = 'x';
      sent_at[sent] = now_ns();
      late.push_back(sent_at[sent++] - due);
      sendto(fd, message.data(), message.size(), 0, reinterpret_cast<const sockaddr*>(&to),
             sizeof to);
    }
    echo(engine, got);
    while (recv(fd, got.data(), got.size() - 1, MSG_DONTWAIT) > 0) {
      const std::size_t number = std::strtoull(got.data() + 3, nullptr, 10);
      last = now_ns();
      if (number >= total) continue;
      latency.push_back(last - sent_at[number]);
      const auto tenth = static_cast<std::size_t>((sent_at[number] - begin) / 100'000'000);
      tenths[std::min(tenth, tenths.size() - 1)].push_back(latency.back());
    }
  }
  const double took = static_cast<double>(now_ns() - begin) / 1e9;
  std::printf(
      "{\"sent\": %zu, \"answered\": %zu, \"seconds\": %.3f, \"p50\": %.1f, \"p99\": %.1f, "
      "\"calm\": %.1f, \"late\": %.1f}\n",
      sent, latency.size(), took, quantile(latency, 0.5), quantile(latency, 0.99),
      calm_p99(tenths), quantile(late, 0.99));
  return 0;
}
