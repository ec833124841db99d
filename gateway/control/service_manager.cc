#include "gateway/control/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <cstring>

namespace ringway {
namespace {

constexpr int kNoDescriptor = -1;

void send_to_manager(std::string_view state, int descriptor) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (!path || (path[0] != '/' && path[0] != '@')) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t size = std::strlen(path);
  if (size >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path, size);
  if (path[0] == '@') address.sun_path[0] = '\0';  // an abstract name
  const int sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (sender < 0) return;
  iovec text{const_cast<char*>(state.data()), state.size()};
  msghdr message{};
  message.msg_name = &address;
  message.msg_namelen = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);
  message.msg_iov = &text;
  message.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptor)] = {};
  if (descriptor != kNoDescriptor) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof descriptor);
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  }
  static_cast<void>(sendmsg(sender, &message, MSG_NOSIGNAL));
  close(sender);
}

std::optional<std::int64_t> number_of(const char* name) {
  const char* const text = std::getenv(name);
  if (!text) return std::nullopt;
  std::int64_t value = 0;
  const char* const end = text + std::strlen(text);
  const auto [stop, error] = std::from_chars(text, end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

}  // namespace

void notify_service_manager(std::string_view state) {
  send_to_manager(state, kNoDescriptor);
}

bool has_service_manager() {
  return std::getenv("NOTIFY_SOCKET") != nullptr;
}

// Without FDPOLL=0 the manager would drop a UDP socket as soon as an ICMP error waits in it.
void keep_descriptor(const std::string& name, int descriptor) {
  send_to_manager("FDSTORE=1\nFDPOLL=0\nFDNAME=" + name, descriptor);
}

void forget_descriptors(const std::string& name) {
  notify_service_manager("FDSTOREREMOVE=1\nFDNAME=" + name);
}

std::optional<Duration> watchdog_patience() {
  const auto microseconds = number_of("WATCHDOG_USEC");
  if (!microseconds || *microseconds <= 0) return std::nullopt;
  const auto process = number_of("WATCHDOG_PID");
  if (process && *process != getpid()) return std::nullopt;
  return *microseconds * 1us;
}

}  // namespace ringway
