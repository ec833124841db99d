#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "gateway/reactor/epoll.h"

// Connections, bytes and datagrams that come in.

namespace ringway {
namespace {

// Of one descriptor in one wait; io_uring's number.
constexpr int kReceivesMax = 32;
constexpr std::size_t kStreamBytesMax = 65'536;

}  // namespace

void Epoll::serve_accepts(int fd, Descriptor& descriptor) {
  for (int i = 0; i < kReceivesMax && (descriptor.accepts || descriptor.accepts_one != 0); ++i) {
    const int accepted = accept4(fd, nullptr, nullptr, SOCK_CLOEXEC);
    if (accepted < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
    if (accepted < 0 && errno == EAGAIN) {
      descriptor.readable = false;
      return;
    }
    const std::int32_t result = accepted < 0 ? -errno : accepted;
    if (descriptor.accepts) {
      descriptor.accepts = accepted >= 0;
      completions_.push_back(
          {.operation = descriptor.accept_operation, .result = result, .more = accepted >= 0});
    } else {
      --descriptor.accepts_one;
      complete(descriptor.accept_one_operation, result);
    }
  }
}

void Epoll::serve_receive(int fd, Descriptor& descriptor) {
  std::size_t left = descriptor.bytes_max == 0 ? kStreamBytesMax : descriptor.bytes_max;
  for (int i = 0; i < kReceivesMax; ++i) {
    switch (descriptor.receive) {
      case Receive::None:
        return;
      case Receive::Event:
        return read_value(fd, descriptor);
      case Receive::Stream:
        if (!receive_bytes(fd, descriptor, left)) return;
        break;
      case Receive::Datagram:
        if (!receive_datagram(fd, descriptor)) return;
        break;
    }
  }
}

void Epoll::receive_ended(Descriptor& descriptor, std::int32_t result) {
  descriptor.receive = Receive::None;
  complete(descriptor.receive_operation, result);
}

// False: enough for now, or there is nothing more.
bool Epoll::receive_bytes(int fd, Descriptor& descriptor, std::size_t& left) {
  if (left == 0) return false;
  BufferTaker& buffers = buffers_[descriptor.group];
  if (buffers.empty()) {
    receive_ended(descriptor, -ENOBUFS);
    return false;
  }
  const BufferRing::Entry buffer = buffers.front();
  const std::size_t room = std::min<std::size_t>(buffer.size, left);
  const ssize_t size = recv(fd, reinterpret_cast<void*>(buffer.address), room, MSG_DONTWAIT);
  if (size < 0 && errno == EINTR) return true;
  if (size < 0 && errno == EAGAIN) {
    descriptor.readable = false;
    return false;
  }
  if (size <= 0) {
    receive_ended(descriptor, size == 0 ? 0 : -errno);
    return false;
  }
  buffers.take();
  completions_.push_back({descriptor.receive_operation, static_cast<std::int32_t>(size),
                          buffer.buffer, /*has_buffer=*/true, /*more=*/true});
  left -= static_cast<std::size_t>(size);
  // A short read has emptied the socket; what comes after it is an event of its own.
  if (static_cast<std::size_t>(size) == room || descriptor.hung_up) return true;
  descriptor.readable = false;
  return false;
}

bool Epoll::receive_datagram(int fd, Descriptor& descriptor) {
  BufferTaker& buffers = buffers_[descriptor.group];
  if (buffers.empty()) {
    receive_ended(descriptor, -ENOBUFS);
    return false;
  }
  const BufferRing::Entry buffer = buffers.front();
  const auto& shape = *static_cast<const msghdr*>(descriptor.target);
  auto* const begin = reinterpret_cast<std::uint8_t*>(buffer.address);
  const std::size_t front = sizeof(DatagramHead) + shape.msg_namelen + shape.msg_controllen;
  if (front >= buffer.size) {
    receive_ended(descriptor, -EFAULT);
    return false;
  }
  iovec payload{begin + front, buffer.size - front};
  msghdr header{};
  header.msg_name = begin + sizeof(DatagramHead);
  header.msg_namelen = shape.msg_namelen;
  header.msg_control = begin + sizeof(DatagramHead) + shape.msg_namelen;
  header.msg_controllen = shape.msg_controllen;
  header.msg_iov = &payload;
  header.msg_iovlen = 1;
  const ssize_t size = recvmsg(fd, &header, MSG_DONTWAIT | MSG_TRUNC);
  if (size < 0 && errno == EINTR) return true;
  if (size < 0 && errno == EAGAIN) {
    descriptor.readable = false;
    return false;
  }
  if (size < 0) {
    receive_ended(descriptor, -errno);
    return false;
  }
  buffers.take();
  const DatagramHead head{header.msg_namelen, static_cast<std::uint32_t>(header.msg_controllen),
                          static_cast<std::uint32_t>(size),
                          static_cast<std::uint32_t>(header.msg_flags)};
  std::memcpy(begin, &head, sizeof head);
  const std::size_t filled = front + std::min(static_cast<std::size_t>(size), payload.iov_len);
  completions_.push_back({descriptor.receive_operation, static_cast<std::int32_t>(filled),
                          buffer.buffer, /*has_buffer=*/true, /*more=*/true});
  return true;
}

void Epoll::read_value(int fd, Descriptor& descriptor) {
  const ssize_t size = ::read(fd, descriptor.target, sizeof(std::uint64_t));
  if (size < 0 && errno == EINTR) return;
  descriptor.readable = false;
  if (size < 0 && errno == EAGAIN) return;
  receive_ended(descriptor, size < 0 ? -errno : static_cast<std::int32_t>(size));
}

}  // namespace ringway
