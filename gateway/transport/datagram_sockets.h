#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <deque>
#include <vector>

#include "gateway/base/outbox.h"
#include "gateway/reactor/kernel.h"
#include "gateway/transport/listener.h"
#include "gateway/transport/socket.h"

namespace ringway {

// The UDP sockets of one shard: which listener has which, as they come and go with a reload, and
// what the kernel still does for each. A socket has a place (0, 1, ...), which another one gets
// only after the socket is closed; a socket is closed only when nothing receives and no send waits
// in it.
class DatagramSockets {
 public:
  using Place = std::uint16_t;
  static constexpr Place kNoPlace = 0xffff;

  // One for each UDP listener. The references outlive this object; the sockets stay the listeners'.
  DatagramSockets(const ShardListeners& listeners, Kernel& kernel);

  // A socket that counts as that listener: of one that has come, or, above all places of listeners,
  // one towards a media relay. It is armed with the next arm(); fd stays the caller's.
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

  // The place of the socket that the listener sends by; kNoPlace: it has none.
  Place place_of(ListenerIndex listener) const {
    return listener < places_of_listeners_.size() ? places_of_listeners_[listener] : kNoPlace;
  }
  // A place that place_of() gave, or a completion named. fd: -1 once it is closed.
  int fd(Place place) const { return entries_[place].fd; }
  ListenerIndex listener(Place place) const { return entries_[place].listener; }
  bool has_left(Place place) const { return static_cast<bool>(entries_[place].left); }

  // A send waits for space in the socket's buffer, and does so no more. Each call of the second has
  // one of the first before it.
  void send_waits(Place place) { ++entries_[place].waiting; }
  void send_ended(Place place);

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
    bool closing = false;       // as soon as nothing is armed and no send waits
    std::uint32_t waiting = 0;  // sends
    msghdr header{};            // how much room for name and control data; read by the kernel
  };

  Entry* find(ListenerIndex listener);
  void close_if_done(Place place);
  static Operation operation_of(Place place) {
    return {OperationKind::ReceiveDatagram, {place, 1}};
  }

  Kernel& kernel_;
  std::deque<Entry> entries_;  // the kernel reads their headers: they stay
  std::vector<Place> places_of_listeners_;
  bool wants_arming_ = false;
};

}  // namespace ringway
