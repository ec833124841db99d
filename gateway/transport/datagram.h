#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <utility>

#include "gateway/base/buffer_pool.h"
#include "gateway/base/counters.h"
#include "gateway/base/outbox.h"
#include "gateway/reactor/kernel.h"
#include "gateway/reactor/receive_buffers.h"
#include "gateway/transport/datagram_control.h"
#include "gateway/transport/datagram_sender.h"
#include "gateway/transport/datagram_sockets.h"
#include "gateway/transport/listener.h"
#include "gateway/transport/local_addresses.h"
#include "gateway/transport/sockaddr.h"

namespace ringway {

// The UDP sockets of one shard: datagrams in and out, keepalives without an answer swallowed.
class Datagrams {
 public:
  using Trains = DatagramSender::Trains;
  using Failure = DatagramSender::Failure;

  // All references outlive this object; the sockets stay the listeners'. addresses: of all shards.
  Datagrams(const ShardListeners& listeners, Kernel& kernel, LocalAddresses& addresses,
            Counters& counters, Trains trains);

  // Which sockets there are, and listeners that come and go.
  DatagramSockets& sockets() { return sockets_; }

  // Registers buffers and arms all sockets.
  [[nodiscard]] std::expected<void, std::string> open();

  struct Received {
    Source source;
    Bytes bytes;  // lent until finish()
  };
  // A completion of kind ReceiveDatagram; nullopt if there is neither SIP nor STUN in it.
  std::optional<Received> receive(const Completion& completion);
  // After what receive() returned was dealt with: its buffer goes back.
  void finish();

  // See DatagramSender.
  std::optional<Failure> send(ListenerIndex listener, const Endpoint& remote, BufferRef buffer,
                              Ticket ticket, LocalAddressId answered = 0) {
    return sender_.send(listener, remote, std::move(buffer), ticket, answered);
  }
  std::optional<Failure> sent(const Completion& completion) { return sender_.sent(completion); }

  // End of the turn, once before each wait of the kernel: what was queued is sent, buffers go back
  // to the kernel, ended receives are armed again.
  void flush();
  void completions_drained() { sender_.completions_drained(); }

 private:
  std::optional<Received> read(DatagramSockets::Place place, MutableBytes bytes);

  // One datagram of any size behind the kernel's header, the source address and control data.
  static constexpr std::uint32_t kFrontMax =
      sizeof(DatagramHead) + sizeof(SocketAddress) + kReceivedControlMax;
  static constexpr std::uint32_t kBufferSize = (kFrontMax + 65'536 + 63) / 64 * 64;
  static constexpr std::uint32_t kBufferCount = 256;
  // Starts of messages should not fall into the same cache sets: a page and an odd number of lines.
  // (Measured with 512 of them on the raw forwarder: 9.61 us a transaction, aligned 9.78, buffers
  // of 2 kB side by side 9.67. Room for any datagram costs nothing, so nothing is truncated.)
  static constexpr std::uint32_t kBufferStride = 65'536 + 4'096 + 64 * 3;
  static_assert(kBufferStride >= kBufferSize);

  Kernel& kernel_;
  Counters& counters_;
  ReceiveBuffers receive_buffers_;
  std::optional<std::uint16_t> lent_;
  DatagramSockets sockets_;
  DatagramSender sender_;
};

}  // namespace ringway
