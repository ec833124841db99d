#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <deque>
#include <vector>

#include "gateway/base/counters.h"
#include "gateway/base/outbox.h"
#include "gateway/reactor/kernel.h"
#include "gateway/transport/listener.h"
#include "gateway/transport/local_addresses.h"
#include "gateway/transport/socket.h"

namespace ringway {

// The UDP sockets of one shard: which listener has which, as they come and go with a reload, and
// what the kernel still does for each. A socket has a place (0, 1, ...), which another one gets
// only after the socket is closed; a socket is closed only when nothing receives and nothing is to
// be sent by it any more.
class DatagramSockets {
 public:
  using Place = std::uint16_t;
  static constexpr Place kNoPlace = 0xffff;

  // One for each UDP listener. The references outlive this object; the sockets stay the listeners'.
  DatagramSockets(const ShardListeners& listeners, Kernel& kernel, LocalAddresses& addresses,
                  Counters& counters);

  // The socket of a listener that has come. It is armed with the next arm(); fd stays the caller's.
  void add(int fd, ListenerIndex listener, const ListenerInfo& info);
  // The same for a connected one, towards a media relay; listener is above all places of those.
  void add_connected(int fd, ListenerIndex listener) { add_socket(fd, listener); }
  // The listener `to` has the socket of `from` from now on, with all that waits in it; what is sent
  // for `from` leaves by it as well.
  void hand_over(ListenerIndex from, ListenerIndex to, const ListenerInfo& info);
  // The listener at that place is gone; receiving and sending go on until close(), but for STUN.
  void leave(ListenerIndex listener, Socket socket);
  // What has arrived there was received, if all completions were seen.
  bool has_caught_up(ListenerIndex listener);
  // After leave(): another listener has come to its address. Its own socket is closed once it is
  // read, and what is sent for it leaves by the other's.
  void follow(ListenerIndex left, ListenerIndex by);
  // Of sockets that are read once more before they are closed, because their listener is back or
  // another has come: closes those that are empty, with at_once all. True: some are left.
  bool close_read(bool at_once);
  // After leave(): nothing more can be sent by it, and its socket is closed once what was is sent
  // and the kernel has let go of it.
  void close(ListenerIndex listener);

  // The place of the socket that the listener sends by; kNoPlace: it has none.
  Place place_of(ListenerIndex listener) const {
    return listener < places_of_listeners_.size() ? places_of_listeners_[listener] : kNoPlace;
  }
  // A place that place_of() gave, or a completion named. fd: -1 once it is closed.
  int fd(Place place) const { return entries_[place].fd; }
  ListenerIndex listener(Place place) const { return entries_[place].listener; }
  bool has_left(Place place) const { return static_cast<bool>(entries_[place].left); }

  // A datagram is to be sent by it, and is so no more: sent, or refused. Each call of the second
  // has one of the first before it.
  void send_began(Place place) { ++entries_[place].sending; }
  void send_ended(Place place) {
    Entry& entry = entries_[place];
    if (--entry.sending == 0 && entry.closing) close_if_done(place);
  }

  // Sockets that are bound to all addresses of this host: has a datagram's control data, and knows
  // from where to send.
  bool is_wildcard(Place place) const { return entries_[place].port != 0; }
  // Bytes in front of a datagram's payload.
  std::size_t front_of(Place place) const {
    const msghdr& header = entries_[place].header;
    return sizeof(DatagramHead) + header.msg_namelen + header.msg_controllen;
  }
  // For a wildcard: a datagram with that control data came from remote. Whereto; 0: not known.
  LocalAddressId heard(Place place, const Endpoint& remote, Bytes control);
  // For a wildcard: from where a datagram to remote leaves that answers one to `answered`, or none
  // (0). 0: from where the route leads.
  LocalAddressId address_for(Place place, const Endpoint& remote, LocalAddressId answered);

  // Operations of kind ReceiveDatagram, whose slot is the place, into buffers of that group: for
  // each socket that has none.
  void arm(std::uint16_t group);
  // Such an operation ended. Does not arm it again by itself.
  void receive_ended(Place place);
  bool wants_arming() const { return wants_arming_; }

 private:
  struct Entry {
    int fd = -1;  // -1: closed
    Socket left;  // of a listener that was removed
    ListenerIndex listener = 0;
    bool armed = false;
    bool closing = false;       // as soon as nothing is armed or to be sent,
    bool reading = false;       // and what had arrived is read
    std::uint32_t sending = 0;  // datagrams
    msghdr header{};            // how much room for name and control data; read by the kernel
    // Bound to all addresses:
    std::uint16_t port = 0;         // 0: it is not
    LocalAddressId advertised = 0;  // for whom nothing else is known
    LocalAddressId last_heard = 0;  // the name of:
    Address last_address;
  };

  Entry* find(ListenerIndex listener);
  Entry& add_socket(int fd, ListenerIndex listener);
  void describe(Entry& entry, const ListenerInfo& info);
  void read_and_close(ListenerIndex listener);
  void close_if_done(Place place);
  static Operation operation_of(Place place) {
    return {OperationKind::ReceiveDatagram, {place, 1}};
  }

  Kernel& kernel_;
  LocalAddresses& addresses_;
  Counters& counters_;
  std::deque<Entry> entries_;  // the kernel reads their headers: they stay
  std::vector<Place> places_of_listeners_;
  bool wants_arming_ = false;
};

}  // namespace ringway
