#include "gateway/tunnel/listeners.h"

#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "gateway/transport/sockaddr.h"

namespace ringway::tunnel {
namespace {

constexpr std::uint16_t kUdpGroup = 1, kUnixGroup = 2;
// What follows it is aligned.
constexpr std::uint32_t kNameRoom = (sizeof(sockaddr_un) + 7) / 8 * 8;
constexpr std::uint32_t kControlRoom = CMSG_SPACE(sizeof(in6_pktinfo));
constexpr std::uint32_t kHead = sizeof(DatagramHead) + kNameRoom + kControlRoom;
constexpr std::uint32_t kUdpSize = (kHead + 65'536 + 63) / 64 * 64;
constexpr std::uint32_t kUnixSize = (kHead + kMessageBytesMax + 64) / 64 * 64;
constexpr int kSocketBytes = 4 << 20;

std::string complaint(const ListenAddress& address, int error) {
  std::string text = address.text + " cannot be listened on: " + std::strerror(error);
  if (error == EADDRINUSE) text += "; does rtpengine, socat or another tunnel listen there?";
  if (error == EADDRNOTAVAIL) text += "; this host has no such address";
  return text;
}

int open_udp(const ListenAddress& address) {
  const int fd = socket(socket_family(address.endpoint.family()), SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  // Who asked one of several addresses takes an answer from that one only.
  if (address.endpoint.address.is_any()) {
    const int on = 1;
    const bool v4 = address.endpoint.family() == Family::V4;
    static_cast<void>(v4 ? setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on)
                         : setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on));
  }
  SocketAddress name;
  const socklen_t size = write_socket_address(address.endpoint, name);
  if (bind(fd, &name.any, size) == 0) return fd;
  const int error = errno;
  close(fd);
  return -error;
}

int open_unix(const ListenAddress& address) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (address.path.size() >= sizeof name.sun_path) return -ENAMETOOLONG;
  std::memcpy(name.sun_path, address.path.data(), address.path.size());
  const auto* any = reinterpret_cast<const sockaddr*>(&name);
  struct stat found {};
  if (lstat(address.path.c_str(), &found) == 0 && S_ISSOCK(found.st_mode)) {
    const int probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const bool left_behind =
        probe >= 0 && ::connect(probe, any, sizeof name) != 0 && errno == ECONNREFUSED;
    if (probe >= 0) close(probe);
    if (left_behind) unlink(address.path.c_str());
  }
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -errno;
  if (bind(fd, any, sizeof name) == 0) {
    // Like a UDP port on loopback: any local program may ask. The folder says who really may.
    static_cast<void>(chmod(address.path.c_str(), 0666));
    return fd;
  }
  const int error = errno;
  close(fd);
  return -error;
}

// Our address that a datagram was sent to, as the kernel tells it. RFC 3542 6.2 for IPv6.
void read_asked(Bytes control, SourceName& name) {
  msghdr header{};
  header.msg_control = const_cast<std::uint8_t*>(control.data());
  header.msg_controllen = control.size();
  const cmsghdr* info = CMSG_FIRSTHDR(&header);
  if (!info) return;
  if (info->cmsg_level == IPPROTO_IP && info->cmsg_type == IP_PKTINFO &&
      info->cmsg_len >= CMSG_LEN(sizeof(in_pktinfo))) {
    std::memcpy(name.asked.data(), CMSG_DATA(info) + offsetof(in_pktinfo, ipi_spec_dst), 4);
  } else if (info->cmsg_level == IPPROTO_IPV6 && info->cmsg_type == IPV6_PKTINFO &&
             info->cmsg_len >= CMSG_LEN(sizeof(in6_pktinfo))) {
    std::memcpy(name.asked.data(), CMSG_DATA(info) + offsetof(in6_pktinfo, ipi6_addr), 16);
  }
}

// header: with kControlRoom for control data.
void write_asked(Family family, const SourceName& name, msghdr& header) {
  cmsghdr* info = CMSG_FIRSTHDR(&header);
  if (family == Family::V4) {
    in_pktinfo own{};
    std::memcpy(&own.ipi_spec_dst, name.asked.data(), 4);
    info->cmsg_level = IPPROTO_IP;
    info->cmsg_type = IP_PKTINFO;
    info->cmsg_len = CMSG_LEN(sizeof own);
    std::memcpy(CMSG_DATA(info), &own, sizeof own);
  } else {
    in6_pktinfo own{};
    std::memcpy(&own.ipi6_addr, name.asked.data(), 16);
    info->cmsg_level = IPPROTO_IPV6;
    info->cmsg_type = IPV6_PKTINFO;
    info->cmsg_len = CMSG_LEN(sizeof own);
    std::memcpy(CMSG_DATA(info), &own, sizeof own);
  }
  header.msg_controllen = info->cmsg_len;
}

}  // namespace

Listeners::~Listeners() {
  for (const auto& listener : listeners_) {
    if (listener->fd >= 0) close(listener->fd);
    if (listener->unix_socket) unlink(listener->path.c_str());
  }
}

std::expected<void, std::string> Listeners::open(const std::vector<ListenAddress>& addresses) {
  for (const ListenAddress& address : addresses) {
    const int fd = address.unix_socket ? open_unix(address) : open_udp(address);
    if (fd < 0) return std::unexpected(complaint(address, -fd));
    auto listener = std::make_unique<Listener>();
    listener->fd = fd;
    listener->unix_socket = address.unix_socket;
    listener->family = address.endpoint.family();
    listener->path = address.path;
    listener->header.msg_namelen = kNameRoom;
    listener->header.msg_controllen = kControlRoom;
    for (const int option : {SO_RCVBUF, SO_SNDBUF}) {
      static_cast<void>(setsockopt(fd, SOL_SOCKET, option, &kSocketBytes, sizeof kSocketBytes));
    }
    listeners_.push_back(std::move(listener));
  }
  return {};
}

std::expected<void, std::string> Listeners::start(Kernel& kernel, Numbers& numbers) {
  kernel_ = &kernel;
  numbers_ = &numbers;
  if (auto opened = udp_buffers_.open(kernel, {kUdpGroup, 128, kUdpSize, kUdpSize + 64}); !opened) {
    return opened;
  }
  if (auto opened = unix_buffers_.open(kernel, {kUnixGroup, 16, kUnixSize, kUnixSize + 64});
      !opened) {
    return opened;
  }
  arm();
  return {};
}

void Listeners::arm() {
  udp_buffers_.publish();
  unix_buffers_.publish();
  for (std::uint32_t i = 0; i < listeners_.size(); ++i) {
    Listener& listener = *listeners_[i];
    if (listener.armed) continue;
    listener.armed = true;
    kernel_->receive_message(listener.fd, &listener.header, buffers_of(listener).group(),
                             {OperationKind::ReceiveDatagram, {i, 1}});
  }
}

void Listeners::completed(const Completion& completion, ControllerEnd& end, Instant now) {
  const std::uint32_t index = completion.operation.id.slot;
  Listener& listener = *listeners_[index];
  if (!completion.more) listener.armed = false;
  if (!completion.has_buffer) return;
  ReceiveBuffers& buffers = buffers_of(listener);
  buffers.taken();
  if (completion.result >= static_cast<std::int32_t>(kHead)) {
    const Bytes bytes =
        buffers.bytes(completion.buffer, static_cast<std::size_t>(completion.result));
    DatagramHead head;
    std::memcpy(&head, bytes.data(), sizeof head);
    SourceName from;
    from.listener = static_cast<std::uint16_t>(index);
    from.size = static_cast<std::uint8_t>(std::min(head.name_size, kNameRoom));
    std::memcpy(from.address.data(), bytes.data() + sizeof head, from.size);
    if (!listener.unix_socket) {
      read_asked(bytes.subspan(sizeof head + kNameRoom, std::min(head.control_size, kControlRoom)),
                 from);
    }
    const Bytes payload = bytes.subspan(kHead);
    // A Unix socket that is not bound has a family and no name: nothing can go back to it.
    if (from.size <= sizeof(sa_family_t)) {
      numbers_->dropped_unnamed.add();
    } else if ((head.flags & MSG_TRUNC) != 0 || head.payload_size != payload.size()) {
      numbers_->dropped_too_long.add();
    } else {
      end.received(from, payload, now);
    }
  }
  buffers.give_back(completion.buffer);
}

int Listeners::send_now(const SourceName& to, Bytes bytes) const {
  iovec payload{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) std::array<char, kControlRoom> control{};
  msghdr header{};
  header.msg_name = const_cast<std::uint8_t*>(to.address.data());
  header.msg_namelen = to.size;
  header.msg_iov = &payload;
  header.msg_iovlen = 1;
  if (to.asked != std::array<std::uint8_t, 16>{}) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    write_asked(listeners_[to.listener]->family, to, header);
  }
  if (sendmsg(listeners_[to.listener]->fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return 0;
  return errno;
}

ControllerOutside::Sent Listeners::send(const SourceName& to, Bytes bytes, Instant now) {
  const bool behind = std::any_of(waiting_.begin(), waiting_.end(),
                                  [&](const Waiting& waiting) { return waiting.to == to; });
  const int error = behind ? EAGAIN : send_now(to, bytes);
  if (error == 0) return ControllerOutside::Sent::Yes;
  if (error == EMSGSIZE) return ControllerOutside::Sent::TooLong;
  if ((error != EAGAIN && error != ENOBUFS) || waiting_.size() == kWaitingMax ||
      waiting_bytes_ + bytes.size() > kWaitingBytesMax) {
    return ControllerOutside::Sent::Failed;
  }
  waiting_.push_back({to, now, {bytes.begin(), bytes.end()}});
  waiting_bytes_ += bytes.size();
  if (try_at_ == kNever) try_at_ = now + kTryEvery;
  return ControllerOutside::Sent::Yes;
}

void Listeners::expire(Instant now) {
  if (now < try_at_) return;
  std::vector<Waiting> still;
  for (Waiting& waiting : waiting_) {
    const bool behind = std::any_of(still.begin(), still.end(),
                                    [&](const Waiting& other) { return other.to == waiting.to; });
    const int error = behind ? EAGAIN : send_now(waiting.to, waiting.bytes);
    const bool again = (error == EAGAIN || error == ENOBUFS) && now - waiting.since < kWaitMax;
    if (error != 0 && !again) numbers_->dropped_socket.add();
    if (again) {
      still.push_back(std::move(waiting));
    } else {
      waiting_bytes_ -= waiting.bytes.size();
    }
  }
  waiting_ = std::move(still);
  try_at_ = waiting_.empty() ? kNever : now + kTryEvery;
}

}  // namespace ringway::tunnel
