#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/endpoint.h"
#include "gateway/transport/socket.h"

namespace ringway {

// Listening sockets that came with the start: the service manager kept them from the process before
// (sd_pid_notify_with_fds(3), FDSTORE=1) or made them (socket activation, sd_listen_fds(3)). While
// somebody holds them, nothing that arrives is refused.
//
// A socket is known by its local address and kind, not by its name; the name only says which shard
// had it, so that the kernel goes on sending it the same peers.
class KeptSockets {
 public:
  KeptSockets() = default;
  // Those that LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES tell of. The variables are taken out of
  // the environment; what is no socket of the network is left alone.
  static KeptSockets from_environment();

  bool empty() const { return sockets_.empty(); }
  // One of that address and kind came, taken or not.
  bool has(const Endpoint& local, bool is_udp) const;
  // Its socket if that shard had one, else one that no shard names, else an invalid one.
  Socket take(const Endpoint& local, bool is_udp, std::size_t shard);
  // A second descriptor of a listening stream socket that was taken: whoever accepts first has the
  // connection. Invalid if there is none.
  Socket share(const Endpoint& local) const;
  // Names of what nobody has taken; those sockets are closed. Who keeps them should forget them,
  // since peers that the kernel leads there would wait for ever.
  std::vector<std::string> drop_rest();

 private:
  struct Kept {
    Socket socket;
    int fd = -1;  // also once it is taken
    Endpoint local;
    bool is_udp = false;
    std::string name;
  };
  std::vector<Kept> sockets_;
};

// The name that a socket is kept by: the same in every start for the same shard, kind and address.
// Printable ASCII without a colon (sd_notify(3), FDNAME=), at most 255 characters.
std::string kept_name(const Endpoint& local, bool is_udp, std::size_t shard);

}  // namespace ringway
