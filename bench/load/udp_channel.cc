#include "bench/load/udp_channel.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "gateway/transport/datagram_control.h"

namespace ringway::load {

void fill_numeric(Address& address) {
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  if (getnameinfo(reinterpret_cast<const sockaddr*>(&address.storage), address.size, host,
                  sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return;
  }
  address.text = host;
  address.port = static_cast<std::uint16_t>(std::strtoul(port, nullptr, 10));
}

std::string host_port(const Address& address) {
  const bool v6 = address.text.find(':') != std::string::npos;
  std::string text;
  if (v6) text.push_back('[');
  text.append(address.text);
  if (v6) text.push_back(']');
  text.push_back(':');
  return text.append(std::to_string(address.port));
}

UdpChannel::UdpChannel(Loop& loop, ChannelUser& user, const Address& target, const Address* local)
    : loop_(loop), user_(user), target_(target), buffers_(kBatch) {
  const int family = local != nullptr ? local->storage.ss_family : target.storage.ss_family;
  fd_ = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int size = 8 << 20;
  for (const int option : {SO_RCVBUFFORCE, SO_SNDBUFFORCE, SO_RCVBUF, SO_SNDBUF}) {
    const bool force = option == SO_RCVBUFFORCE || option == SO_SNDBUFFORCE;
    if (setsockopt(fd_, SOL_SOCKET, option, &size, sizeof size) == 0 && !force) break;
  }
  bool bound = false;
  if (local != nullptr) {
    bound = bind(fd_, reinterpret_cast<const sockaddr*>(&local->storage), local->size) == 0;
  } else {
    // A throw-away connect tells which of our addresses reaches the target.
    const int probe = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    Address own;
    own.size = sizeof own.storage;
    if (connect(probe, reinterpret_cast<const sockaddr*>(&target.storage), target.size) == 0 &&
        getsockname(probe, reinterpret_cast<sockaddr*>(&own.storage), &own.size) == 0) {
      close(probe);
      bound = bind(fd_, reinterpret_cast<const sockaddr*>(&own.storage), own.size) == 0;
    }
  }
  if (!bound) {
    std::fprintf(stderr, "ringway-load: cannot bind a UDP socket: %s\n", std::strerror(errno));
    std::exit(1);
  }
  local_.size = sizeof local_.storage;
  getsockname(fd_, reinterpret_cast<sockaddr*>(&local_.storage), &local_.size);
  fill_numeric(local_);
  poll_ = new uv_poll_t;
  uv_poll_init(loop.get(), poll_, fd_);
  poll_->data = this;
  uv_poll_start(poll_, UV_READABLE, [](uv_poll_t* handle, int, int) {
    static_cast<UdpChannel*>(handle->data)->receive();
  });
}

UdpChannel::~UdpChannel() {
  loop_.forget(*this);
  uv_poll_stop(poll_);
  close(fd_);
  uv_close(reinterpret_cast<uv_handle_t*>(poll_),
           [](uv_handle_t* handle) { delete reinterpret_cast<uv_poll_t*>(handle); });
}

void UdpChannel::send(std::string_view message, const Address* destination) {
  if (queued_ == queue_.size()) {
    queue_.emplace_back();
    destinations_.emplace_back();
  }
  queue_[queued_].assign(message);
  const Address& to = destination != nullptr ? *destination : target_;
  destinations_[queued_].storage = to.storage;
  destinations_[queued_].size = to.size;
  ++queued_;
  loop_.mark(*this);
}

std::size_t UdpChannel::train_from(std::size_t begin) const {
  const std::size_t size = queue_[begin].size();
  if (!trains_ || size > kTrainPieceMax) return 1;
  const Address& to = destinations_[begin];
  std::size_t count = 1;
  while (begin + count < queued_ && count < kTrainMax) {
    const Address& next = destinations_[begin + count];
    const std::size_t next_size = queue_[begin + count].size();
    if (next_size > size || next.size != to.size ||
        std::memcmp(&next.storage, &to.storage, to.size) != 0) {
      break;
    }
    ++count;
    if (next_size < size) break;  // only the last may be shorter
  }
  return count;
}

void UdpChannel::flush() {
  struct Train {
    std::size_t count;
    DatagramControl control;
  };
  std::array<mmsghdr, kBatch> batch;
  std::array<Train, kBatch> trains;
  std::array<iovec, kBatch * kTrainMax> pieces;
  for (std::size_t done = 0; done < queued_;) {
    std::size_t count = 0, used = 0;
    for (std::size_t at = done; at < queued_ && count < kBatch; ++count) {
      Train& train = trains[count];
      train.count = train_from(at);
      msghdr& header = batch[count].msg_hdr;
      header = {};
      header.msg_name = &destinations_[at].storage;
      header.msg_namelen = destinations_[at].size;
      header.msg_iov = &pieces[used];
      header.msg_iovlen = train.count;
      if (train.count > 1) {
        train.control.attach(header, static_cast<std::uint16_t>(queue_[at].size()));
      }
      for (const std::size_t end = at + train.count; at < end; ++at) {
        pieces[used++] = {queue_[at].data(), queue_[at].size()};
      }
    }
    const int sent = sendmmsg(fd_, batch.data(), static_cast<unsigned>(count), 0);
    for (int i = 0; i < sent; ++i) done += trains[static_cast<std::size_t>(i)].count;
    if (sent > 0) continue;
    if (trains[0].count > 1) {
      trains_ = false;  // once more, one by one
    } else {
      ++send_failures_;  // this one is lost, like a datagram on the way
      ++done;
    }
  }
  queued_ = 0;
}

void UdpChannel::receive() {
  std::array<mmsghdr, kBatch> batch;
  std::array<iovec, kBatch> pieces;
  std::array<Address, kBatch> sources;
  for (int round = 0; round < 4; ++round) {
    for (std::size_t i = 0; i < kBatch; ++i) {
      pieces[i] = {buffers_[i].data(), buffers_[i].size()};
      batch[i] = {};
      batch[i].msg_hdr.msg_name = &sources[i].storage;
      batch[i].msg_hdr.msg_namelen = sizeof sources[i].storage;
      batch[i].msg_hdr.msg_iov = &pieces[i];
      batch[i].msg_hdr.msg_iovlen = 1;
    }
    const int count = recvmmsg(fd_, batch.data(), kBatch, MSG_DONTWAIT, nullptr);
    if (count <= 0) return;
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      sources[i].size = batch[i].msg_hdr.msg_namelen;
      user_.channel_received(*this, {buffers_[i].data(), batch[i].msg_len}, &sources[i]);
    }
    if (count < static_cast<int>(kBatch)) return;
  }
}

}  // namespace ringway::load
