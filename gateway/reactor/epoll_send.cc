#include <errno.h>
#include <fcntl.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "gateway/base/check.h"
#include "gateway/reactor/epoll.h"

// Bytes, datagrams and connections that go out.

namespace ringway {
namespace {

constexpr std::uint32_t kOutgoing = EPOLLIN | EPOLLRDHUP | EPOLLOUT | EPOLLET;
constexpr std::uint32_t kIncoming = EPOLLIN | EPOLLRDHUP | EPOLLET;

std::size_t size_of(const msghdr& header) {
  std::size_t size = 0;
  for (std::size_t i = 0; i < header.msg_iovlen; ++i) size += header.msg_iov[i].iov_len;
  return size;
}

}  // namespace

void Epoll::connect(int fd, const sockaddr* address, socklen_t size, Operation operation) {
  Descriptor& descriptor = at(fd);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  if (::connect(fd, address, size) == 0) return complete(operation, 0);
  if (errno != EINPROGRESS) return complete(operation, -errno);
  descriptor.connecting = true;
  descriptor.writable = false;
  descriptor.connect_operation = operation;
  watch(fd, descriptor, kOutgoing);
}

void Epoll::serve_connect(int fd, Descriptor& descriptor) {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  descriptor.connecting = false;
  complete(descriptor.connect_operation, -error);
}

void Epoll::send(int fd, Bytes bytes, Chain chain, Operation operation) {
  iovec piece{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  begin_send(fd, header, chain, operation);
}

void Epoll::send_message(int fd, const msghdr* header, Operation operation) {
  begin_send(fd, *header, Chain::Last, operation);
}

void Epoll::begin_send(int fd, const msghdr& header, Chain chain, Operation operation) {
  Descriptor& descriptor = at(fd);
  if (chain_broken_) {
    chain_broken_ = chain == Chain::Linked;
    return complete(operation, -ECANCELED);
  }
  const std::size_t size = size_of(header);
  PendingSend pending;
  if (!descriptor.sends) {
    ssize_t sent = 0;
    do {
      sent = sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN) {
      chain_broken_ = chain == Chain::Linked;
      return complete(operation, -errno);
    }
    pending.done = sent < 0 ? 0 : static_cast<std::size_t>(sent);
    if (pending.done == size) return complete(operation, static_cast<std::int32_t>(size));
  }
  pending.operation = operation;
  pending.chain = chain;
  pending.pieces.assign(header.msg_iov, header.msg_iov + header.msg_iovlen);
  skip(pending, pending.done);
  wait_for_space(fd, std::move(pending));
}

void Epoll::send_datagram_now(int fd, const msghdr* header, Operation operation) {
  static_cast<void>(at(fd));
  while (sendmsg(fd, header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
    if (errno == EINTR) continue;
    return complete(operation, -errno);
  }
}

void Epoll::send_datagrams_now(int fd, const msghdr* header, Operation operation) {
  send_datagram_now(fd, header, operation);
}

void Epoll::send_datagram_later(int fd, const msghdr* header, Operation operation) {
  Descriptor& descriptor = at(fd);
  if (!descriptor.sends) {
    ssize_t sent = 0;
    do {
      sent = sendmsg(fd, header, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) return complete(operation, static_cast<std::int32_t>(sent));
    if (errno != EAGAIN) return complete(operation, -errno);
  }
  PendingSend pending;
  pending.operation = operation;
  pending.datagram = true;
  pending.pieces.assign(header->msg_iov, header->msg_iov + header->msg_iovlen);
  pending.name_size = std::min<socklen_t>(header->msg_namelen, sizeof pending.name);
  if (header->msg_name) std::memcpy(&pending.name, header->msg_name, pending.name_size);
  const auto* const control = static_cast<const std::uint8_t*>(header->msg_control);
  if (control) pending.control.assign(control, control + header->msg_controllen);
  wait_for_space(fd, std::move(pending));
}

void Epoll::wait_for_space(int fd, PendingSend&& pending) {
  Descriptor& descriptor = descriptors_[static_cast<std::size_t>(fd)];
  pending_[fd].push_back(std::move(pending));
  if (std::exchange(descriptor.sends, true)) return;
  descriptor.writable = false;
  // The change makes the kernel look: space that was made meanwhile is not missed.
  if (descriptor.watched == kOutgoing) watch(fd, descriptor, kIncoming);
  watch(fd, descriptor, kOutgoing);
}

void Epoll::skip(PendingSend& pending, std::size_t bytes) {
  while (bytes != 0) {
    iovec& piece = pending.pieces[pending.next];
    const std::size_t count = std::min(bytes, piece.iov_len);
    piece.iov_base = static_cast<std::uint8_t*>(piece.iov_base) + count;
    piece.iov_len -= count;
    bytes -= count;
    if (piece.iov_len == 0) ++pending.next;
  }
}

// True: it is over, with result.
bool Epoll::advance(int fd, PendingSend& pending, std::int32_t& result) {
  for (;;) {
    msghdr header{};
    header.msg_name = pending.name_size != 0 ? &pending.name : nullptr;
    header.msg_namelen = pending.name_size;
    header.msg_iov = pending.pieces.data() + pending.next;
    header.msg_iovlen = pending.pieces.size() - pending.next;
    header.msg_control = pending.control.empty() ? nullptr : pending.control.data();
    header.msg_controllen = pending.control.size();
    const ssize_t sent = sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return false;
    if (sent < 0) {
      result = pending.done != 0 ? static_cast<std::int32_t>(pending.done) : -errno;
      return true;
    }
    pending.done += static_cast<std::size_t>(sent);
    skip(pending, static_cast<std::size_t>(sent));
    if (pending.next < pending.pieces.size() && !pending.datagram) continue;
    result = static_cast<std::int32_t>(pending.done);
    return true;
  }
}

void Epoll::serve_sends(int fd, Descriptor& descriptor) {
  std::deque<PendingSend>& sends = pending_[fd];
  while (!sends.empty()) {
    PendingSend& first = sends.front();
    std::int32_t result = 0;
    if (!advance(fd, first, result)) {
      descriptor.writable = false;
      return;
    }
    const bool whole = first.next == first.pieces.size();
    const bool linked = first.chain == Chain::Linked;
    complete(first.operation, result);
    sends.pop_front();
    if (!whole && linked) cancel_chain(sends);
  }
  pending_.erase(fd);
  descriptor.sends = false;
  // Without a send that waits, each datagram that leaves would be an event.
  watch(fd, descriptor, kIncoming);
}

// The sends up to the end of the chain whose front has failed.
void Epoll::cancel_chain(std::deque<PendingSend>& sends) {
  for (bool linked = true; linked && !sends.empty(); sends.pop_front()) {
    linked = sends.front().chain == Chain::Linked;
    complete(sends.front().operation, -ECANCELED);
  }
}

bool Epoll::cancel_sends(int fd, std::uint64_t name) {
  std::deque<PendingSend>& sends = pending_[fd];
  const std::size_t before = sends.size();
  std::erase_if(sends, [&](const PendingSend& pending) {
    if (pending.operation.packed() != name) return false;
    complete(pending.operation,
             pending.done != 0 ? static_cast<std::int32_t>(pending.done) : -ECANCELED);
    return true;
  });
  const bool found = sends.size() != before;
  if (sends.empty()) {
    pending_.erase(fd);
    descriptors_[static_cast<std::size_t>(fd)].sends = false;
  }
  return found;
}

}  // namespace ringway
