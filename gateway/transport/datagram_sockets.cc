#include "gateway/transport/datagram_sockets.h"

#include <algorithm>
#include <utility>

#include "gateway/transport/sockaddr.h"

namespace ringway {

DatagramSockets::DatagramSockets(const ShardListeners& listeners, Kernel& kernel)
    : kernel_(kernel) {
  for (std::size_t i = 0; i < listeners.infos.size(); ++i) {
    if (listeners.infos[i].config.transport != Transport::Udp) continue;
    add(listeners.sockets[i].fd(), static_cast<ListenerIndex>(i));
  }
}

DatagramSockets::Entry* DatagramSockets::find(ListenerIndex listener) {
  const Place place = place_of(listener);
  return place == kNoPlace ? nullptr : &entries_[place];
}

// A listener may come back while the kernel still holds the socket that it had.
void DatagramSockets::add(int fd, ListenerIndex listener) {
  close(listener);
  std::size_t free = 0;
  while (free < entries_.size() && entries_[free].fd >= 0) ++free;
  if (free == entries_.size()) entries_.emplace_back();
  Entry& entry = entries_[free];
  entry = {};
  entry.fd = fd;
  entry.listener = listener;
  entry.header.msg_namelen = sizeof(SocketAddress);
  if (places_of_listeners_.size() <= listener) {
    places_of_listeners_.resize(listener + 1U, kNoPlace);
  }
  places_of_listeners_[listener] = static_cast<Place>(free);
  wants_arming_ = true;
}

void DatagramSockets::hand_over(ListenerIndex from, ListenerIndex to) {
  if (places_of_listeners_.size() <= to) places_of_listeners_.resize(to + 1U, kNoPlace);
  places_of_listeners_[to] = places_of_listeners_[from];
  find(to)->listener = to;
}

void DatagramSockets::leave(ListenerIndex listener, Socket socket) {
  find(listener)->left = std::move(socket);
}

bool DatagramSockets::has_caught_up(ListenerIndex listener) {
  const Entry* entry = find(listener);
  return !entry || !kernel_.has_datagram(entry->fd);
}

void DatagramSockets::follow(ListenerIndex left, ListenerIndex by) {
  close(left);
  places_of_listeners_[left] = places_of_listeners_[by];
}

void DatagramSockets::close(ListenerIndex listener) {
  Entry* entry = find(listener);
  if (!entry || !entry->left) return;
  entry->closing = true;
  close_if_done(place_of(listener));
}

void DatagramSockets::close_if_done(Place place) {
  Entry& entry = entries_[place];
  if (!entry.closing || entry.waiting != 0) return;
  if (entry.armed) return kernel_.cancel(entry.fd, operation_of(place));
  kernel_.close(entry.left.release());
  entry.fd = -1;
  std::ranges::replace(places_of_listeners_, place, kNoPlace);
}

void DatagramSockets::send_ended(Place place) {
  if (--entries_[place].waiting == 0) close_if_done(place);
}

void DatagramSockets::arm(std::uint16_t group) {
  wants_arming_ = false;
  for (Place place = 0; place < entries_.size(); ++place) {
    Entry& entry = entries_[place];
    if (entry.armed || entry.fd < 0 || entry.closing) continue;
    entry.armed = true;
    kernel_.receive_message(entry.fd, &entry.header, group, operation_of(place));
  }
}

void DatagramSockets::receive_ended(Place place) {
  entries_[place].armed = false;
  wants_arming_ = true;
  close_if_done(place);
}

}  // namespace ringway
