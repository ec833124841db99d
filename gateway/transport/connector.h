#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gateway/transport/stream_environment.h"
#include "gateway/transport/stream_table.h"

namespace ringway {

// Connections that we open: which one leads where, and opening it.
//
// A connection is shared only by what would have opened it alike: transport, address, listener,
// next hop and the name to verify. From the moment that its end is known it is never chosen again.
class Connector {
 public:
  struct Destination {
    Transport transport = Transport::Tcp;
    ListenerIndex listener = kNoListener;  // whose address is ours
    Endpoint remote;
    std::uint16_t next_hop = 0xffff;  // on whose behalf; 0xffff: no configured one
    std::string_view name;            // to verify (TLS)
  };

  Connector(const StreamEnvironment& environment, const StreamSnapshots& snapshots,
            StreamTable& table);
  ~Connector();
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

  // The one that leads there, opened if there is none; nullptr and the reason if it cannot be.
  Stream* find_or_open(const Destination& destination, TransportFailure& failure, Instant now);
  // One that is not shared, for relay number relay.
  Stream* open_relay(const Endpoint& remote, std::uint8_t relay, Instant now);
  // A completion of a connect. The stream, connected; nullptr: it is gone, or failed and is closed.
  Stream* connected(const Completion& completion, Instant now);
  // The stream closes, or will.
  void forget(Stream& stream);

 private:
  std::uint16_t client_profile(const Destination& destination) const;
  std::uint64_t reuse_key(const Destination& destination) const;
  Stream* open(const Destination& destination, Stream::Role role, TransportFailure& failure,
               Instant now);
  int open_socket(const Destination& destination);
  void fill_spares();

  const ShardListeners& listeners_;
  Kernel& kernel_;
  Counters& counters_;
  Log& log_;
  HashKey hash_key_;
  const StreamSnapshots& snapshots_;
  StreamTable& table_;
  std::unordered_map<std::uint64_t, SlotId> by_key_;
  // Descriptors kept for next hops and relays: user agents may have taken all others.
  std::vector<int> spares_;
};

}  // namespace ringway
