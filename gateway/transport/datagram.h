#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <deque>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "gateway/base/buffer_pool.h"
#include "gateway/base/counters.h"
#include "gateway/base/outbox.h"
#include "gateway/reactor/kernel.h"
#include "gateway/reactor/receive_buffers.h"
#include "gateway/transport/listener.h"
#include "gateway/transport/segment_control.h"
#include "gateway/transport/sockaddr.h"
#include "gateway/transport/socket.h"

namespace ringway {

// The UDP sockets of one shard: datagrams in and out, STUN answered, keepalives swallowed.
class Datagrams {
 public:
  enum class Trains : std::uint8_t { Never, UnderLoad };
  // All references outlive this object; the sockets stay the listeners'.
  Datagrams(const ShardListeners& listeners, Kernel& kernel, BufferPool& buffers,
            Counters& counters, Trains trains);

  // A socket that counts as that listener: of one that has come, or, above all places of listeners,
  // one towards a media relay. It is armed with the next flush(); fd stays the caller's.
  void add(int fd, ListenerIndex listener);
  // The listener `to` has the socket of `from` from now on, with all that waits in it; what is sent
  // for `from` leaves by it as well.
  void hand_over(ListenerIndex from, ListenerIndex to);
  // The listener at that place is gone; receiving and sending go on until close(), but for STUN.
  void leave(ListenerIndex listener, Socket socket);
  // What has arrived there was received, if all completions were seen.
  bool has_caught_up(ListenerIndex listener);
  // After leave(): another listener has come to its address. Its own socket is closed, and what is
  // sent for it leaves by the other's.
  void follow(ListenerIndex left, ListenerIndex by);
  // After leave(): closes its socket once the kernel has let go of it.
  void close(ListenerIndex listener);

  // Registers buffers and arms all sockets.
  [[nodiscard]] std::expected<void, std::string> open();

  struct Received {
    Source source;
    Bytes bytes;  // lent until finish()
  };
  // A completion of kind ReceiveDatagram; nullopt if there is nothing for SIP in it.
  std::optional<Received> receive(const Completion& completion);
  // After what receive() returned was dealt with: its buffer goes back.
  void finish();

  struct Failure {
    Ticket ticket;
    TransportFailure failure;
  };
  // Queues one datagram for the end of this turn; a failure known at once is returned. Those of one
  // socket to one peer leave in the order of these calls.
  std::optional<Failure> send(ListenerIndex listener, const Endpoint& remote, BufferRef buffer,
                              Ticket ticket);
  // A completion of kind SendDatagram.
  std::optional<Failure> sent(const Completion& completion);

  // End of the turn, once before each wait of the kernel: what was queued is sent, buffers go back
  // to the kernel, ended receives are armed again.
  void flush();
  // All completions of the sends before the last wait were seen: the rest of them succeeded.
  void completions_drained();

 private:
  struct Place {
    int fd = -1;  // -1: closed
    Socket left;  // of a listener that was removed
    ListenerIndex listener = 0;
    bool armed = false;
    bool closing = false;       // as soon as nothing is armed and no send waits
    std::uint32_t waiting = 0;  // sends
    msghdr header{};  // how much room for name and control data; read by the kernel
  };
  struct Sending {
    msghdr header{};
    iovec vector{};
    SocketAddress address{};
    socklen_t address_size = 0;
    std::uint16_t place = 0;
    bool alone = false;    // was in a train that was refused
    bool waiting = false;  // for space in the socket's buffer: a completion will tell
    BufferRef buffer;
    Ticket ticket = 0;
    SlotId next;  // in its train
  };
  // Datagrams of a turn from one socket to one peer, all of one size but the last, which may be
  // shorter. The kernel routes them, and passes them through its layers, as one (UDP_SEGMENT), and
  // cuts them apart at the end: on the wire nothing tells them from others.
  //
  // On loopback this takes a third from the raw forwarder's cost (ringway-floor --send train).
  struct Train {
    SlotId first, last;
    std::uint32_t count = 0;       // count <= kTrainPiecesMax
    std::uint32_t piece_size = 0;  // of the first
    bool open = true;              // more may join
    msghdr header{};
    SegmentControl control;
  };

  static constexpr std::uint16_t kNoPlace = 0xffff;
  static Operation operation_of(std::uint16_t place) {
    return {OperationKind::ReceiveDatagram, {place, 1}};
  }
  Place* find(ListenerIndex listener);
  void close_if_done(Place& place);
  void submit_queued();
  void join_train(SlotId id);
  void submit(Train& train);
  void submit_alone(SlotId id);
  void split_train(SlotId first, int error);
  std::optional<Received> read(const Place& place, MutableBytes bytes);
  void answer_stun(const Place& place, const Endpoint& remote, Bytes request);

  // One datagram of any size behind the kernel's header and the source address.
  static constexpr std::uint32_t kHeadSize = sizeof(DatagramHead) + sizeof(SocketAddress);
  static constexpr std::uint32_t kBufferSize = (kHeadSize + 65'536 + 63) / 64 * 64;
  static constexpr std::uint32_t kBufferCount = 256;
  // Starts of messages should not fall into the same cache sets: a page and an odd number of lines.
  // (Measured with 512 of them on the raw forwarder: 9.61 us a transaction, aligned 9.78, buffers
  // of 2 kB side by side 9.67. Room for any datagram costs nothing, so nothing is truncated.)
  static constexpr std::uint32_t kBufferStride = 65'536 + 4'096 + 64 * 3;
  static constexpr std::uint32_t kSendingMax = 16'384;
  // Turns that send fewer send them apart: there is little to gain, and a capture on this machine
  // shows a train as one datagram where the device cuts it.
  static constexpr std::size_t kTrainTurnMin = 8;
  // Linux takes 64 of them and 65,507 bytes; half of that gains as much.
  static constexpr std::uint32_t kTrainPiecesMax = 32;
  // What 1,500 bytes of Ethernet leave behind the headers of IPv6 and UDP: a piece must not need
  // fragments.
  static constexpr std::uint32_t kTrainPieceMax = 1'452;
  static_assert(kBufferStride >= kBufferSize);

  Kernel& kernel_;
  BufferPool& buffers_;
  Counters& counters_;
  const Trains allowed_;
  ReceiveBuffers receive_buffers_;
  std::deque<Place> places_;                       // the kernel reads their headers: they stay
  std::vector<std::uint16_t> place_of_listener_;
  std::optional<std::uint16_t> lent_;
  bool rearm_ = false;
  SlotTable<Sending> sending_;
  std::vector<SlotId> queued_;     // sent in this turn
  std::vector<SlotId> submitted_;  // of the turn before: failed ones are told until drained
  // Of this turn, and the vectors of their headers: in place until the kernel's next wait.
  std::vector<Train> trains_;
  std::vector<iovec> pieces_;
  // By hash of socket and peer.
  struct Way {
    // Where its newest train may be in trains_. Others with this hash take the place over,
    // whereupon a new train begins.
    std::uint16_t newest_train = 0;
    // Datagrams of more bytes travel alone. What the kernel refuses lowers it for good.
    std::uint16_t piece_max = kTrainPieceMax;
  };
  std::array<Way, 256> ways_;
};

}  // namespace ringway
