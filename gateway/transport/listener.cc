#include "gateway/transport/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "gateway/transport/bound_socket.h"
#include "gateway/transport/port_owner.h"

namespace ringway {
namespace {

constexpr int kBacklog = 4'096;
constexpr int kPortAttempts = 16;  // to find a number that is free for UDP and TCP alike
// A process that was killed is gone before the kernel has taken its ring, and with it the sockets,
// apart. Whoever starts it again at once must not be told that the port is in use.
constexpr auto kPortPatience = std::chrono::milliseconds(1'500);
// The same of a listener that a reload took away, and of which its shard has let go already.
constexpr auto kClosingPatience = std::chrono::milliseconds(200);
constexpr auto kPortPause = std::chrono::milliseconds(20);

bool is_udp(const ListenConfig& listen) {
  return listen.transport == Transport::Udp;
}

class Opener {
 public:
  // held: what the shards have already; empty at the start. patience: for ports that are in use.
  Opener(const Config& config, const HeldListeners& held, unsigned shards, KeptSockets* kept,
         std::chrono::milliseconds patience)
      : config_(config), held_(held), kept_(kept), patience_left_(patience), opened_(shards) {}

  // False: error() says why.
  bool open(ListenerIndex place) {
    const ListenConfig& listen = config_.listen[place];
    Endpoint endpoint;
    for (std::size_t i = 0; i < opened_.size(); ++i) {
      const bool anew = i == 0 || listen.port_per_shard;
      if (anew) endpoint = configured(listen, i);
      if (anew && !choose(listen, endpoint)) return false;
      if (!add(i, place, endpoint)) return false;
    }
    return true;
  }
  // The place has the socket of another one, which is given up with it.
  void hand_over(ListenerIndex from, ListenerIndex place) {
    for (std::size_t i = 0; i < opened_.size(); ++i) {
      opened_[i].push_back({place, {config_.listen[place], held_[i][from].local}, {}, from});
    }
  }

  const std::string& error() const { return error_; }
  std::vector<std::vector<NewListener>> take() { return std::move(opened_); }

 private:
  bool fail(const ListenConfig& listen, const Endpoint& endpoint, int error) {
    error_ = bind_failure_text(listen, endpoint, error);
    if (kept_ && error == EADDRINUSE && kept_->has(endpoint, is_udp(listen))) {
      error_ += " (the service manager holds it: its socket unit needs ReusePort=yes and the "
                "address once for each shard)";
    }
    return false;
  }

  // Where the file wants it on that shard; a twin is where its UDP listener is.
  Endpoint configured(const ListenConfig& listen, std::size_t shard) const {
    if (!listen.twin_of.empty()) return local_of_udp(listen.twin_of, shard);
    Endpoint endpoint = listen.address;
    if (listen.port_per_shard && endpoint.port != 0) {
      endpoint.port = static_cast<std::uint16_t>(endpoint.port + shard);
    }
    return endpoint;
  }
  Endpoint local_of_udp(const std::string& name, std::size_t shard) const {
    const auto is_it = [&](const ListenConfig& one) {
      return is_udp(one) && !one.removed && one.name == name;
    };
    for (const NewListener& one : opened_[shard]) {
      if (is_it(one.info.config)) return one.info.local;
    }
    for (std::size_t i = 0; shard < held_.size() && i < held_[shard].size(); ++i) {
      if (is_it(config_.listen[i])) return held_[shard][i].local;
    }
    return {};
  }

  // A reload has taken a listener of ours from that port. Its socket closes once what is under way
  // there is over.
  bool was_ours(const ListenConfig& listen, const Endpoint& endpoint) const {
    if (held_.empty()) return false;
    for (std::size_t i = 0; i < held_.front().size(); ++i) {
      const ListenConfig& had = held_.front()[i].config;
      if (is_udp(had) != is_udp(listen)) continue;
      if (!had.removed && !config_.listen[i].removed) continue;
      const auto same = [&](const auto& infos) { return infos[i].local.port == endpoint.port; };
      if (std::ranges::any_of(held_, same)) return true;
    }
    return false;
  }

  // Alone first: with SO_REUSEPORT a second process of the same user would get in unnoticed.
  bool is_free(const ListenConfig& listen, Endpoint& endpoint, int& error) {
    if (kept_ && kept_->has(endpoint, is_udp(listen))) return true;
    Socket probe = bind_socket(listen, endpoint, Sharing::Alone, error);
    const bool may_close = held_.empty() || was_ours(listen, endpoint);
    // Once for all listeners: what is held after that is somebody's.
    while (!probe && error == EADDRINUSE && endpoint.port != 0 && may_close) {
      // It can be shared until then.
      if (!held_.empty() && is_own_port(endpoint.port, is_udp(listen))) return true;
      if (patience_left_ <= kPortPause) break;
      std::this_thread::sleep_for(kPortPause);
      patience_left_ -= kPortPause;
      probe = bind_socket(listen, endpoint, Sharing::Alone, error);
    }
    if (probe && endpoint.port == 0) endpoint.port = local_of(probe.fd()).port;
    return static_cast<bool>(probe);
  }

  const ListenConfig* twin_of(const ListenConfig& udp) const {
    const auto found = std::ranges::find_if(config_.listen, [&](const ListenConfig& one) {
      return !one.removed && one.twin_of == udp.name;
    });
    return found == config_.listen.end() ? nullptr : &*found;
  }

  // Finds the port if the kernel may choose it: one that is free for the listener and its twin.
  bool choose(const ListenConfig& listen, Endpoint& endpoint) {
    for (int attempt = 0;; ++attempt) {
      Endpoint candidate = endpoint;
      int error = 0;
      if (!is_free(listen, candidate, error)) return fail(listen, candidate, error);
      const ListenConfig* const twin = endpoint.port == 0 ? twin_of(listen) : nullptr;
      if (!twin || is_free(*twin, candidate, error)) {
        endpoint = candidate;
        return true;
      }
      if (attempt == kPortAttempts) return fail(*twin, candidate, error);
    }
  }

  // What is kept may come without SO_REUSEPORT, of another user: then no socket can be bound beside
  // it, but shards can accept from the same one. Datagrams cannot be shared so: which shard has a
  // peer would change from one to the next.
  Socket take_or_bind(const ListenConfig& listen, const Endpoint& endpoint, std::size_t shard,
                      int& error) {
    Socket taken = kept_ ? kept_->take(endpoint, is_udp(listen), shard) : Socket();
    if (taken) {
      fcntl(taken.fd(), F_SETFL, fcntl(taken.fd(), F_GETFL) & ~O_NONBLOCK);
      constexpr int kOn = 1;
      setsockopt(taken.fd(), SOL_SOCKET, SO_REUSEPORT, &kOn, sizeof kOn);
      set_listening_options(taken.fd(), is_udp(listen), endpoint);
      return taken;
    }
    Socket bound = bind_socket(listen, endpoint, Sharing::Shared, error);
    if (!bound && kept_ && !is_udp(listen) && error == EADDRINUSE) return kept_->share(endpoint);
    return bound;
  }

  bool add(std::size_t shard, ListenerIndex place, const Endpoint& endpoint) {
    const ListenConfig& listen = config_.listen[place];
    int error = 0;
    Socket socket = take_or_bind(listen, endpoint, shard, error);
    if (socket && !is_udp(listen) && ::listen(socket.fd(), kBacklog) != 0) {
      error = errno;
      socket.reset();
    }
    if (!socket) return fail(listen, endpoint, error);
    const Endpoint local = local_of(socket.fd());
    opened_[shard].push_back({place, {listen, local}, std::move(socket)});
    return true;
  }

  const Config& config_;
  const HeldListeners& held_;
  KeptSockets* kept_;  // null: none
  std::chrono::milliseconds patience_left_;
  std::vector<std::vector<NewListener>> opened_;  // by shard
  std::string error_;
};

// The place that is given up and has the socket that is wanted; kNoListener: none has.
ListenerIndex find_given_up(const Config& next, const std::vector<ListenerInfo>& held,
                           const ListenConfig& wanted, const std::vector<bool>& taken) {
  for (std::size_t i = 0; i < held.size(); ++i) {
    const ListenConfig& had = held[i].config;
    if (had.removed || !next.listen[i].removed || taken[i]) continue;
    if (is_udp(had) == is_udp(wanted) && had.address == wanted.address &&
        had.port_per_shard == wanted.port_per_shard) {
      return static_cast<ListenerIndex>(i);
    }
  }
  return kNoListener;
}

}  // namespace

std::expected<std::vector<ShardListeners>, std::string> open_listeners(const Config& config,
                                                                       unsigned shards,
                                                                       KeptSockets* kept) {
  const HeldListeners none;
  Opener opener(config, none, shards, kept, kPortPatience);
  for (std::size_t i = 0; i < config.listen.size(); ++i) {
    if (!opener.open(static_cast<ListenerIndex>(i))) return std::unexpected(opener.error());
  }
  std::vector<ShardListeners> opened(shards);
  auto listeners = opener.take();
  for (unsigned i = 0; i < shards; ++i) {
    for (NewListener& one : listeners[i]) {
      opened[i].infos.push_back(std::move(one.info));
      opened[i].sockets.push_back(std::move(one.socket));
    }
  }
  return opened;
}

std::vector<AddedPlace> added_places(const Config& next, const std::vector<ListenerInfo>& held) {
  std::vector<AddedPlace> added;
  std::vector<bool> taken(held.size());
  for (std::size_t i = 0; i < next.listen.size(); ++i) {
    const bool is_new = !next.listen[i].removed && (i >= held.size() || held[i].config.removed);
    if (!is_new) continue;
    const ListenerIndex from = find_given_up(next, held, next.listen[i], taken);
    if (from != kNoListener) taken[from] = true;
    added.push_back({static_cast<ListenerIndex>(i), from});
  }
  return added;
}

std::expected<std::vector<std::vector<NewListener>>, std::string> open_more_listeners(
    const Config& next, const HeldListeners& held) {
  Opener opener(next, held, static_cast<unsigned>(held.size()), nullptr, kClosingPatience);
  for (const auto& [place, from] : added_places(next, held.front())) {
    if (from != kNoListener) {
      opener.hand_over(from, place);
    } else if (!opener.open(place)) {
      return std::unexpected(opener.error());
    }
  }
  return opener.take();
}

}  // namespace ringway
