#pragma once

#include <cstdint>
#include <vector>

#include "gateway/base/prefix.h"
#include "gateway/transport/accepted_streams.h"
#include "gateway/transport/socket.h"
#include "gateway/transport/stream_environment.h"
#include "gateway/transport/stream_table.h"

namespace ringway {

// The listening sockets of one shard: when they accept, and what each admits (AcceptedStreams).
//
// While there is room each accepts by itself (multishot). When as many handshakes run as may, those
// listeners whose connections begin with one accept singly, and the kernel's backlog holds the
// rest; when descriptors run out all of them rest for a second, or until one is free.
//
// Not used, after measurements on the raw bridge (bench/run --only experiments): direct descriptors
// (20.9 us a transaction over 1,000 WSS flows, ordinary ones 21.2, within the noise of either, and
// their shutdown starts kernel threads); TCP_DEFER_ACCEPT (1,500 handshakes a second cost the
// same).
class Acceptors {
 public:
  Acceptors(const StreamEnvironment& environment, StreamTable& table);

  // Arms them all; from then on one by one when as many handshakes run as may, until the backlog
  // must be empty.
  void update();
  // A completion of an accept. The admitted stream in Connecting, its source counted unless a proxy
  // will say it; nullptr: refused (and counted), or nothing came.
  Stream* accepted(const Completion& completion, Instant now);
  // No connection is taken any more.
  void stop();

  // A listener for streams that has come to that place: it is in the environment's lists already.
  void add(ListenerIndex listener);
  // The listener at that place has the socket of another one from now on, its backlog with it.
  void hand_over(ListenerIndex from, ListenerIndex to);
  // That listener is gone: nobody is admitted there any more. Its streams go on.
  void remove(ListenerIndex listener, Socket socket);
  // Listeners have other values now, or have come: arms them all.
  void config_changed();

  // Where a listed proxy connects from: a PROXY header comes first.
  bool wants_proxy_header(const Stream& stream) const;
  // An address of the listener's listed web proxies.
  bool is_web_proxy(const Stream& stream, const Address& address) const;
  // A proxy said who the client is. False: that source is shut out, or has too many flows.
  bool set_remote(Stream& stream, const Endpoint& remote, Instant now) {
    return streams_.set_remote(stream, remote, now);
  }

  // The first byte of a stream that is not open yet.
  void spoke(Stream& stream);
  // We answered: the peer's next flight is waited for from now on.
  void waits_for_peer(Stream& stream, Instant now) { streams_.waits_for_peer(stream, now); }
  // It is open, or closed.
  void leave(Stream& stream);
  // Before its slot is freed.
  void release(Stream& stream);

  Instant next_deadline() const;
  void expire(Instant now);

 private:
  struct Acceptor {
    int fd = -1;  // -1: closed
    Socket left;  // of a listener that was removed, until the kernel has let go of it
    ListenerIndex listener = 0;
    bool armed = false;  // the multishot accept
    bool cancelling = false;
    bool handshakes = false;    // TLS or an upgrade comes first
    bool one_by_one = false;    // only with handshakes
    std::uint32_t singles = 0;  // single accepts in the kernel
    std::vector<Prefix> proxy_sources, web_proxies;
  };

  const Acceptor& acceptor_of(const Stream& stream) const {
    return acceptors_[acceptor_of_listener_[stream.listener]];
  }
  Operation operation(const Acceptor& acceptor, std::uint32_t kind) const;
  void read_config(Acceptor& acceptor);
  void update(Acceptor& acceptor);
  void close_if_left(Acceptor& acceptor);
  void pause(int error, Instant now);
  Stream* admit(const Acceptor& acceptor, int fd, Instant now);

  const Config& config_;
  const ShardListeners& listeners_;
  Kernel& kernel_;
  Counters& counters_;
  Log& log_;
  std::vector<Acceptor> acceptors_;
  std::vector<std::uint16_t> acceptor_of_listener_;  // that it has, or had when it was removed
  bool stopped_ = false;
  Instant again_at_ = kNever;  // descriptors or memory ran out: next try
  AcceptedStreams streams_;
};

}  // namespace ringway
