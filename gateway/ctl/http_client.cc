#include "gateway/ctl/http_client.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

namespace ringway::ctl {
namespace {

constexpr std::size_t kAnswerBytesMax = std::size_t{64} << 20;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

std::string complaint(const Place& place, int error) {
  if (place.socket.empty()) {
    return "nobody answers at " + text_of(place.address) + " (" + std::strerror(error) +
           "): is ringway running, and is this its admin.address?";
  }
  if (error == EACCES || error == EPERM) {
    return place.socket +
           " may not be used by this user: become a member of ctl.group, or use sudo";
  }
  return "nobody answers at " + place.socket + " (" + std::strerror(error) +
         "): is ringway running, and is this its ctl.socket?";
}

int connect_to(const Place& place, int descriptor) {
  if (!place.socket.empty()) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    if (place.socket.size() >= sizeof name.sun_path) return ENAMETOOLONG;
    place.socket.copy(name.sun_path, sizeof name.sun_path - 1);
    const auto* any = reinterpret_cast<const sockaddr*>(&name);
    return connect(descriptor, any, sizeof name) == 0 ? 0 : errno;
  }
  const auto octets = place.address.address.octets();
  if (place.address.family() == Family::V4) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(place.address.port);
    std::memcpy(&name.sin_addr, octets.data(), octets.size());
    const auto* any = reinterpret_cast<const sockaddr*>(&name);
    return connect(descriptor, any, sizeof name) == 0 ? 0 : errno;
  }
  sockaddr_in6 name{};
  name.sin6_family = AF_INET6;
  name.sin6_port = htons(place.address.port);
  std::memcpy(&name.sin6_addr, octets.data(), octets.size());
  const auto* any = reinterpret_cast<const sockaddr*>(&name);
  return connect(descriptor, any, sizeof name) == 0 ? 0 : errno;
}

}  // namespace

std::string encoded(const std::string& value) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string text;
  for (const char c : value) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       std::string_view("-._~").find(c) != std::string_view::npos;
    if (plain) {
      text += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      text.append("%").append(1, kDigits[byte >> 4]).append(1, kDigits[byte & 15]);
    }
  }
  return text;
}

std::expected<Answer, std::string> ask(const Place& place, const std::string& method,
                                       const std::string& target) {
  const int family = !place.socket.empty()                  ? AF_UNIX
                     : place.address.family() == Family::V4 ? AF_INET
                                                            : AF_INET6;
  const Descriptor socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{10, 0};
  setsockopt(socket.number(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(socket.number(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (const int error = connect_to(place, socket.number()); error != 0) {
    return std::unexpected(complaint(place, error));
  }
  std::string request = method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n";
  if (!place.token.empty()) request += "Authorization: Bearer " + place.token + "\r\n";
  request += "\r\n";
  if (::send(socket.number(), request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    return std::unexpected(complaint(place, errno));
  }
  std::string text;
  char memory[16'384];
  while (text.size() < kAnswerBytesMax) {
    const ssize_t size = recv(socket.number(), memory, sizeof memory, 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return std::unexpected(complaint(place, errno == EAGAIN ? ETIMEDOUT : errno));
    if (size == 0) break;
    text.append(memory, static_cast<std::size_t>(size));
  }
  const std::size_t body = text.find("\r\n\r\n");
  if (!text.starts_with("HTTP/1.1 ") || text.size() < 12 || body == text.npos) {
    return std::unexpected("what answers there is no ringway");
  }
  return Answer{std::atoi(text.c_str() + 9), text.substr(body + 4)};
}

}  // namespace ringway::ctl
