#include "gateway/transport/datagram_sockets.h"

#include <algorithm>
#include <utility>

#include "gateway/transport/datagram_control.h"
#include "gateway/transport/sockaddr.h"

namespace ringway {

DatagramSockets::DatagramSockets(const ShardListeners& listeners, Kernel& kernel,
                                 LocalAddresses& addresses, Counters& counters)
    : kernel_(kernel), addresses_(addresses), counters_(counters) {
  for (std::size_t i = 0; i < listeners.infos.size(); ++i) {
    if (listeners.infos[i].config.transport != Transport::Udp) continue;
    add(listeners.sockets[i].fd(), static_cast<ListenerIndex>(i), listeners.infos[i]);
  }
}

DatagramSockets::Entry* DatagramSockets::find(ListenerIndex listener) {
  const Place place = place_of(listener);
  return place == kNoPlace ? nullptr : &entries_[place];
}

// A listener may come back while the kernel still holds the socket that it had.
DatagramSockets::Entry& DatagramSockets::add_socket(int fd, ListenerIndex listener) {
  read_and_close(listener);
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
  return entry;
}

void DatagramSockets::add(int fd, ListenerIndex listener, const ListenerInfo& info) {
  describe(add_socket(fd, listener), info);
}

void DatagramSockets::describe(Entry& entry, const ListenerInfo& info) {
  if (!info.local.address.is_any()) return;
  entry.port = info.local.port;
  entry.header.msg_controllen = kReceivedControlMax;
  // It may be another machine's that translates addresses: then the first send will tell.
  const auto advertised = parse_address(info.config.advertise_host);
  entry.advertised = advertised ? addresses_.name_of(*advertised, counters_) : LocalAddressId{0};
}

void DatagramSockets::hand_over(ListenerIndex from, ListenerIndex to, const ListenerInfo& info) {
  if (places_of_listeners_.size() <= to) places_of_listeners_.resize(to + 1U, kNoPlace);
  places_of_listeners_[to] = places_of_listeners_[from];
  find(to)->listener = to;
  describe(*find(to), info);
}

void DatagramSockets::leave(ListenerIndex listener, Socket socket) {
  find(listener)->left = std::move(socket);
}

bool DatagramSockets::has_caught_up(ListenerIndex listener) {
  const Entry* entry = find(listener);
  return !entry || !kernel_.has_datagram(entry->fd);
}

void DatagramSockets::follow(ListenerIndex left, ListenerIndex by) {
  read_and_close(left);
  places_of_listeners_[left] = places_of_listeners_[by];
}

void DatagramSockets::read_and_close(ListenerIndex listener) {
  Entry* entry = find(listener);
  if (!entry || !entry->left) return;
  entry->reading = kernel_.has_datagram(entry->fd);
  close(listener);
}

bool DatagramSockets::close_read(bool at_once) {
  bool any = false;
  for (Place place = 0; place < entries_.size(); ++place) {
    Entry& entry = entries_[place];
    if (!entry.reading) continue;
    entry.reading = !at_once && kernel_.has_datagram(entry.fd);
    any |= entry.reading;
    close_if_done(place);
  }
  return any;
}

void DatagramSockets::close(ListenerIndex listener) {
  Entry* entry = find(listener);
  if (!entry || !entry->left) return;
  const Place place = place_of(listener);
  std::ranges::replace(places_of_listeners_, place, kNoPlace);
  entry->closing = true;
  close_if_done(place);
}

void DatagramSockets::close_if_done(Place place) {
  Entry& entry = entries_[place];
  if (!entry.closing || entry.reading || entry.sending != 0) return;
  if (entry.armed) return kernel_.cancel(entry.fd, operation_of(place));
  kernel_.close(entry.left.release());
  entry.fd = -1;
}

LocalAddressId DatagramSockets::heard(Place place, const Endpoint& remote, Bytes control) {
  const auto address = read_destination(control);
  if (!address) return 0;
  Entry& entry = entries_[place];
  if (entry.last_address != *address || !addresses_.find(entry.last_heard)) {
    entry.last_address = *address;
    entry.last_heard = addresses_.name_of(*address, counters_);
  }
  if (entry.last_heard != 0) addresses_.heard(entry.port, remote, entry.last_heard, counters_);
  return entry.last_heard;
}

LocalAddressId DatagramSockets::address_for(Place place, const Endpoint& remote,
                                            LocalAddressId answered) {
  const Entry& entry = entries_[place];
  LocalAddressId id = answered;
  if (id == 0) id = addresses_.find_for_request(entry.port, remote, counters_);
  if (id != 0) return id;
  const auto advertised = addresses_.find(entry.advertised);
  // Between this host and others no loopback address is of use.
  const bool fits = advertised && advertised->family == remote.family() &&
                    advertised->is_loopback() == remote.address.is_loopback();
  return fits ? entry.advertised : 0;
}

void DatagramSockets::arm(std::uint16_t group) {
  wants_arming_ = false;
  for (Place place = 0; place < entries_.size(); ++place) {
    Entry& entry = entries_[place];
    if (entry.armed || entry.fd < 0 || (entry.closing && !entry.reading)) continue;
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
