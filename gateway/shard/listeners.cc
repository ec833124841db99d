#include <algorithm>

#include "gateway/shard/shard_thread.h"

// Listeners that come and go with a reload.
//
// One that goes takes nothing new from then on; what has arrived is served, and so are its open
// connections. Its UDP socket stays until all requests that came in or went out by it have their
// answers, and is deaf to others once what had arrived is read.

namespace ringway {
namespace {

constexpr Duration kLook = 100ms;     // whether all have their answers
constexpr Duration kReadMax = 100ms;  // what had arrived is read by then, however much comes

}  // namespace

// Everybody who holds the list of listeners finds the new ones at their places before anything
// arrives there.
void ShardThread::take_over_listeners(std::vector<NewListener> added) {
  auto& [sockets, infos, kept] = setup_.listeners;
  std::vector<ListenerIndex> removed;
  for (std::size_t i = 0; i < infos.size() && i < config_.listen.size(); ++i) {
    if (config_.listen[i].removed && !infos[i].config.removed) {
      removed.push_back(static_cast<ListenerIndex>(i));
    }
    infos[i].config = config_.listen[i];
  }
  for (NewListener& one : added) {
    if (one.place >= infos.size()) {
      infos.resize(one.place + 1U);
      sockets.resize(one.place + 1U);
    }
    infos[one.place] = one.info;
    if (one.from != kNoListener) std::erase(removed, one.from);
    add_listener(one);
  }
  for (const ListenerIndex place : removed) remove_listener(place);
  parts_->streams.config_changed();
  parts_->core.listeners_changed(infos);
}

// Another shard has a listener already that this one will hear of in a moment: it waits for that.
bool ShardThread::is_ahead(const BetweenShards& message) const {
  ListenerIndex listener = 0;
  if (const auto* received = std::get_if<HandOver>(&message)) listener = received->source.listener;
  if (const auto* told = std::get_if<Output::Announcement>(&message)) {
    listener = told->source.listener;
  }
  return listener != kNoListener && listener >= setup_.listeners.infos.size();
}

void ShardThread::add_listener(NewListener& added) {
  auto& [sockets, infos, kept] = setup_.listeners;
  const ListenerInfo& info = infos[added.place];
  const bool is_udp = info.config.transport == Transport::Udp;
  if (added.from != kNoListener) {
    sockets[added.place] = std::move(sockets[added.from]);
    if (is_udp) return parts_->datagrams.sockets().hand_over(added.from, added.place, info);
    return parts_->streams.hand_over_listener(added.from, added.place);
  }
  sockets[added.place] = std::move(added.socket);
  if (!is_udp) return parts_->streams.add_listener(added.place);
  parts_->datagrams.sockets().add(sockets[added.place].fd(), added.place, info);
  // One that has left this address would still be given datagrams that are for the new one: what is
  // in its socket by now is the last that it reads.
  reading_until_ = now() + kReadMax;
  leaving_next_ = now();
  std::erase_if(leaving_, [&](const Leaving& left) {
    if (left.listener == added.place) return true;
    if (infos[left.listener].local != info.local) return false;
    parts_->datagrams.sockets().follow(left.listener, added.place);
    return true;
  });
}

void ShardThread::remove_listener(ListenerIndex place) {
  Socket socket = std::move(setup_.listeners.sockets[place]);
  if (setup_.listeners.infos[place].config.transport != Transport::Udp) {
    return parts_->streams.remove_listener(place, std::move(socket));
  }
  parts_->datagrams.sockets().leave(place, std::move(socket));
  leaving_.push_back({place, now()});
  leaving_next_ = now();
}

// Of datagrams to a removed listener: what belongs to requests that have no answer yet.
bool ShardThread::is_heard(ListenerIndex listener, Bytes bytes) {
  const auto left = std::ranges::find(leaving_, listener, &Leaving::listener);
  if (left == leaving_.end() || !left->deaf) return true;
  const std::string_view text = as_text(bytes);
  if (text.starts_with("SIP/2.0 ") || text.starts_with("CANCEL ") || text.starts_with("ACK ")) {
    return true;
  }
  counters_.datagrams_to_removed.add();
  return false;
}

void ShardThread::serve_leaving() {
  if (now() < leaving_next_) return;
  DatagramSockets& sockets = parts_->datagrams.sockets();
  const bool replaced = sockets.close_read(now() >= reading_until_);
  std::erase_if(leaving_, [&](Leaving& left) {
    if (!left.deaf) {
      left.deaf = now() >= left.since + kReadMax ||
                  (parts_->reactor.drained() && sockets.has_caught_up(left.listener));
      return false;
    }
    if (parts_->core.waits_for_answers(left.listener)) return false;
    sockets.close(left.listener);
    return true;
  });
  const bool reading =
      replaced || std::ranges::any_of(leaving_, [](const Leaving& one) { return !one.deaf; });
  leaving_next_ = reading ? now() : leaving_.empty() ? kNever : now() + kLook;
}

}  // namespace ringway
