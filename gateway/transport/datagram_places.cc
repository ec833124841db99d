#include <algorithm>
#include <utility>

#include "gateway/transport/datagram.h"

// Which sockets there are: listeners come and go with a reload.

namespace ringway {

Datagrams::Place* Datagrams::find(ListenerIndex listener) {
  if (listener >= place_of_listener_.size()) return nullptr;
  const std::uint16_t place = place_of_listener_[listener];
  return place == kNoPlace ? nullptr : &places_[place];
}

// A listener may come back while the kernel still holds the socket that it had.
void Datagrams::add(int fd, ListenerIndex listener) {
  if (Place* had = find(listener); had && had->left) {
    had->closing = true;
    close_if_done(*had);
  }
  std::size_t free = 0;
  while (free < places_.size() && places_[free].fd >= 0) ++free;
  if (free == places_.size()) places_.emplace_back();
  Place& place = places_[free];
  place = {};
  place.fd = fd;
  place.listener = listener;
  place.header.msg_namelen = sizeof(SocketAddress);
  if (place_of_listener_.size() <= listener) place_of_listener_.resize(listener + 1U, kNoPlace);
  place_of_listener_[listener] = static_cast<std::uint16_t>(free);
  rearm_ = true;
}

void Datagrams::hand_over(ListenerIndex from, ListenerIndex to) {
  if (place_of_listener_.size() <= to) place_of_listener_.resize(to + 1U, kNoPlace);
  place_of_listener_[to] = place_of_listener_[from];
  places_[place_of_listener_[to]].listener = to;
}

void Datagrams::leave(ListenerIndex listener, Socket socket) {
  find(listener)->left = std::move(socket);
}

bool Datagrams::has_caught_up(ListenerIndex listener) {
  const Place* place = find(listener);
  return !place || !kernel_.has_datagram(place->fd);
}

void Datagrams::follow(ListenerIndex left, ListenerIndex by) {
  close(left);
  place_of_listener_[left] = place_of_listener_[by];
}

void Datagrams::close(ListenerIndex listener) {
  Place* place = find(listener);
  if (!place || !place->left) return;
  place->closing = true;
  close_if_done(*place);
}

void Datagrams::close_if_done(Place& place) {
  if (!place.closing || place.waiting != 0) return;
  const auto slot = static_cast<std::uint16_t>(
      std::ranges::find_if(places_, [&](const Place& one) { return &one == &place; }) -
      places_.begin());
  if (place.armed) return kernel_.cancel(place.fd, operation_of(slot));
  kernel_.close(place.left.release());
  place.fd = -1;
  std::ranges::replace(place_of_listener_, slot, kNoPlace);
}

}  // namespace ringway
