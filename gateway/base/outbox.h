#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "gateway/base/buffer_pool.h"
#include "gateway/base/endpoint.h"
#include "gateway/base/flow_id.h"
#include "gateway/base/transport.h"

namespace ringway {

using ListenerIndex = std::uint16_t;  // place in the shard's list of listeners
inline constexpr ListenerIndex kNoListener = 0xffff;

// Names one address of this host that a datagram came to, on a listener that is bound to all of
// them; the same on all shards (transport/local_addresses.h). 0: none is known, or needed.
using LocalAddressId = std::uint16_t;

// What is known of a stream of the network side for as long as it lives: whom it belongs to by
// itself, whatever address it has.
struct FlowPeer {
  bool far_end = false;             // we opened it, not to a next hop
  std::uint16_t next_hop = 0xffff;  // opened to it, or by its client certificate; 0xffff: none
};

// Where a message came from. On streams flow names the connection; on UDP it is empty and
// listener and remote say everything.
struct Source {
  Transport transport = Transport::Udp;
  ListenerIndex listener = 0;
  Endpoint remote;
  FlowId flow;
  FlowPeer peer{};  // of a message that was handed over, whose flow its new shard does not know
  LocalAddressId local = 0;  // UDP: whereto; its response leaves from there (RFC 3581 4)
};

// The core's name for a message it sent, given back if sending fails; 0: no wish to know.
using Ticket = std::uint64_t;

// Why bytes could not be sent or a flow ended.
enum class TransportFailure : std::uint8_t {
  None,
  Refused,
  Unreachable,
  TimedOut,
  Reset,
  Closed,
  FlowGone,
  QueueFull,
  TlsFailed,
  NameMismatch,
  MessageTooLarge,
  NoSocket,
  ConnectionLost,  // sent, perhaps received; no answer can come on that connection any more
};

// One thing that a turn of the core wants done.
struct Output {
  enum class Kind : std::uint8_t {
    SendDatagram,  // buffer from UDP listener to remote
    SendFlow,      // buffer on flow (one WebSocket message, or stream bytes); another shard's too
    SendConnect,   // buffer on a connection to remote over transport, reused or opened
    CloseFlow,     // flow; websocket_code for WebSockets
    RelayRequest,  // buffer to media relay number relay, on its connection
    HandOver,      // buffer is a received message for the core of shard; source says whence
    Announce,      // announcement to every other shard
    Resolve,       // name to be looked up; the answer comes as resolved(ticket)
  };
  Kind kind;
  Transport transport = Transport::Udp;
  ListenerIndex listener = kNoListener;  // the one sent from, whose address stands in our Via
  std::uint8_t shard = 0;
  std::uint8_t relay = 0;
  std::uint16_t websocket_code = 0;
  // SendDatagram: of the request that is answered; 0 for what goes to a target.
  LocalAddressId local = 0;
  // SendConnect: on whose behalf, which decides the TLS profile and which connection is used;
  // 0xffff: no configured next hop.
  std::uint16_t next_hop = 0xffff;
  Endpoint remote;
  FlowId flow;
  Ticket ticket = 0;
  BufferRef buffer;
  Source source;
  // SendConnect over TLS: the name to verify and to send as SNI. Resolve: "host", with port and
  // transport (transport_given) as far as the URI names them. Lent until the core's next call.
  std::string_view name;
  std::uint16_t port = 0;
  bool transport_given = false;
  bool secure = false;  // Resolve: sips
  struct Announcement {
    enum class Kind : std::uint8_t {
      UserAgentHere,
      UserAgentAway,
      UserAgentGone,
      FlowGone,
      NextHopTcp,
      MediaProfile
    };
    Kind kind = Kind::UserAgentHere;
    std::uint64_t user_agent = 0;  // keyed hash of AOR and instance, or of AOR and Contact
    // UserAgentHere: how it is found by others, and which REGISTER says so.
    std::uint64_t aor = 0, contact = 0, call_id = 0;  // keyed hashes
    std::uint64_t credentials = 0;                    // with which it has registered; 0: none
    std::uint32_t cseq = 0;
    std::uint16_t group = 0;  // of the next hop that granted it
    bool alias = false;       // its Contact points at us
    FlowId flow;              // newest flow, or the one that ended
    Source source;            // a UDP user agent: its listener and address
    std::int64_t expires_seconds = 0;
    bool up = true;           // NextHopTcp: source.remote can be reached by TCP, or not
    // MediaProfile: what user_agent (here any destination) speaks; 0xff: it has refused all.
    std::uint8_t profile = 0;
  } announcement;
};

// What one or more calls of the core want done, in order. The shell takes it after each call or
// at the end of the turn and clears it; memory is kept.
class Outbox {
 public:
  Outbox() { items_.reserve(1024); }
  Output& add(Output::Kind kind) {
    Output& item = items_.emplace_back();
    item.kind = kind;
    return item;
  }
  void close_flow(FlowId flow, std::uint16_t websocket_code) {
    Output& item = add(Output::Kind::CloseFlow);
    item.flow = flow;
    item.websocket_code = websocket_code;
  }
  std::vector<Output>& items() { return items_; }
  bool empty() const { return items_.empty(); }
  void clear() { items_.clear(); }

 private:
  std::vector<Output> items_;
};

}  // namespace ringway
