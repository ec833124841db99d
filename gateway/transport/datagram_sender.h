#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "gateway/base/buffer_pool.h"
#include "gateway/base/counters.h"
#include "gateway/base/outbox.h"
#include "gateway/base/reserved_array.h"
#include "gateway/base/slot_table.h"
#include "gateway/reactor/kernel.h"
#include "gateway/transport/datagram_control.h"
#include "gateway/transport/datagram_sockets.h"
#include "gateway/transport/local_addresses.h"
#include "gateway/transport/sockaddr.h"

namespace ringway {

// Datagrams on their way out of one shard: queued in a turn, given to the kernel at its end, those
// to one peer together under load. 16,384 of them at most; one more is refused as QueueFull.
class DatagramSender {
 public:
  enum class Trains : std::uint8_t { Never, UnderLoad };
  struct Failure {
    Ticket ticket;
    TransportFailure failure;
  };

  // All references outlive this object.
  DatagramSender(DatagramSockets& sockets, Kernel& kernel, LocalAddresses& addresses,
                 Counters& counters, Trains trains);

  // Queues one datagram for the end of this turn; a failure known at once is returned, unless
  // ticket is 0. Those of one socket to one peer leave in the order of these calls. answered: the
  // address that the request came to; counts for a socket that is bound to all.
  std::optional<Failure> send(ListenerIndex listener, const Endpoint& remote, BufferRef buffer,
                              Ticket ticket, LocalAddressId answered = 0);
  // A completion of kind SendDatagram. Succeeded sends may have none.
  std::optional<Failure> sent(const Completion& completion);
  // End of the turn, once before each wait of the kernel: what was queued is sent.
  void flush();
  // All completions of the sends before the last wait were seen: the rest of them succeeded.
  void completions_drained();

 private:
  struct Sending {
    msghdr header{};
    iovec vector{};
    SocketAddress address{};
    socklen_t address_size = 0;
    DatagramSockets::Place place = 0;
    bool alone = false;    // was in a train that was refused
    bool waiting = false;  // for space in the socket's buffer: a completion will tell
    // From where it leaves, and what was refused before: if it leaves without that, that was why.
    LocalAddressId from = 0, refused = 0;
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
  };

  void submit_queued();
  void join_train(SlotId id);
  void submit(Train& train);
  void submit_alone(SlotId id);
  SlotId requeue(SlotId id);
  void split_train(SlotId first, int error);
  void finish(SlotId id, bool has_left);

  static constexpr std::uint32_t kSendingMax = 16'384;
  // Turns that send fewer send them apart: there is little to gain, and a capture on this machine
  // shows a train as one datagram where the device cuts it.
  static constexpr std::size_t kTrainTurnMin = 8;
  // Linux takes 64 of them and 65,507 bytes; half of that gains as much.
  static constexpr std::uint32_t kTrainPiecesMax = 32;
  // What 1,500 bytes of Ethernet leave behind the headers of IPv6 and UDP: a piece must not need
  // fragments.
  static constexpr std::uint32_t kTrainPieceMax = 1'452;

  DatagramSockets& sockets_;
  Kernel& kernel_;
  LocalAddresses& addresses_;
  Counters& counters_;
  const Trains allowed_;
  SlotTable<Sending> sending_;
  ReservedArray<DatagramControl> controls_;  // by slot of sending_: of the train that begins there
  std::vector<SlotId> queued_;               // sent in this turn
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
