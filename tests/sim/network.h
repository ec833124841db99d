#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/endpoint.h"
#include "tests/sim/clock.h"
#include "tests/sim/dice.h"
#include "tests/sim/trace.h"
#include "tests/sim/wire.h"

namespace ringway::sim {

// How bad the outside network is. The inner one (10.x) loses a tenth of that.
struct Weather {
  double loss = 0, duplication = 0, reordering = 0;  // of one datagram
  Duration delay_min = 1ms, delay_max = 15ms;
  double cut = 0;     // that a connection is cut within its first 60,000 bytes
  double silent = 0;  // that a cut is not told to either end
};

// Datagrams, address translation, and who listens for connections.
class Network {
 public:
  using Receive = std::function<void(const Endpoint& from, std::string_view bytes)>;
  // The server's end of a new connection; nullopt: refused.
  using Accept =
      std::function<std::optional<Wire::End>(const Endpoint& from, std::shared_ptr<Wire> wire)>;

  Network(Clock& clock, Dice& dice, Trace& trace) : clock_(clock), dice_(dice), trace_(trace) {}
  ~Network();
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  Weather weather;

  void bind(const Endpoint& local, Receive receive) {
    sockets_[to_string(local)] = std::move(receive);
  }
  void listen(const Endpoint& local, Accept accept) {
    doors_[to_string(local)] = std::move(accept);
  }
  void stop_listening(const Endpoint& local) { doors_.erase(to_string(local)); }

  // What the socket local sends leaves from an address and port of the NAT's, and what comes back
  // to that port reaches it.
  void put_behind_nat(const Endpoint& local, const Address& outside);
  // The NAT forgets the socket: its next datagram leaves from another port, and what is sent to
  // the old one is lost.
  void rebind(const Endpoint& local);

  void send(const Endpoint& from, const Endpoint& to, std::string_view bytes);

  // Opens a connection. done(nullptr): refused, or no answer within two seconds.
  void connect(const Endpoint& from, const Endpoint& to, Wire::End client,
               std::function<void(std::shared_ptr<Wire>)> done);

  static std::string to_string(const Endpoint& endpoint);

 private:
  struct Mapping {
    Address outside;
    std::uint16_t port = 0;  // 0: none yet
  };
  Duration delay_to(const Endpoint& from, const Endpoint& to);
  bool is_inside(const Endpoint& from, const Endpoint& to) const;

  Clock& clock_;
  Dice& dice_;
  Trace& trace_;
  std::map<std::string, Receive> sockets_;
  std::map<std::string, Accept> doors_;
  std::map<std::string, Mapping> nat_;           // by inner endpoint
  std::map<std::string, std::string> inward_;    // outer endpoint to inner
  std::map<std::string, Instant> last_arrival_;  // by both ends, where order is kept
  std::uint16_t next_port_ = 20'000;
  std::uint64_t wires_made_ = 0;
  std::vector<std::weak_ptr<Wire>> wires_;
};

}  // namespace ringway::sim
