#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "gateway/base/flow_info.h"
#include "gateway/base/timer_wheel.h"
#include "gateway/transport/send_queue.h"
#include "gateway/transport/sockaddr.h"
#include "gateway/transport/static_pages.h"
#include "protocol/base/time.h"
#include "protocol/http/request_head.h"
#include "protocol/sip/stream_framer.h"
#include "protocol/websocket/connection.h"
#include "tls/session.h"

namespace ringway {

// What only connections have that we opened.
struct Outbound {
  SocketAddress address{};      // read by the kernel while it connects
  std::string name;             // verified and sent as SNI
  std::uint64_t reuse_key = 0;  // which sends may share the connection; 0: none (relays)
  std::uint16_t next_hop = 0xffff;
  std::uint16_t client_profile = 0xffff;
  std::uint8_t relay = 0;
  // Requests that wait for their answer on this connection: a list in Outstanding.
  std::uint32_t first_request = 0, last_request = 0, requests = 0;
};

// A page on its way out; the snapshot stays alive until it is sent.
struct PageTransfer {
  std::shared_ptr<const StaticPages> pages;
  std::string_view rest;
};

// Why and how a stream ends.
struct Closing {
  enum class Manner : std::uint8_t {
    Graceful,  // what is queued leaves first
    Abrupt,    // at once
  };
  FlowEnd end = FlowEnd::Closed;
  TransportFailure failure = TransportFailure::Closed;  // for what was not delivered
  Manner manner = Manner::Graceful;
};

// One TCP connection, whatever is spoken on it. An idle one has no buffer of its own: bytes stay
// in the shard's buffers unless they are an incomplete message.
//
//     opened by us                 accepted
//      Connecting          ProxyHeader (listed proxies)
//          |                           |
//          +-------------+-------------+
//                        v
//                  TlsHandshake  (TLS, WSS)
//                        v
//                     Upgrade    (WS, WSS)
//                        v
//                      Open
//                        |
//   from any of them     v  close(), graceful
//          |          Flushing    what is queued leaves
//          |             v
//          |          Lingering   the peer sees our end and may still read
//          v abrupt      v
//        Ending <--------+        the kernel gives back what it holds; then the slot is free
//
// StreamTable makes every one of these steps.
struct Stream {
  enum class Stage : std::uint8_t {
    Connecting,
    ProxyHeader,
    TlsHandshake,
    Upgrade,
    Open,
    Flushing,
    Lingering,
    Ending,
  };
  enum class Protocol : std::uint8_t { Sip, WebSocket, Relay };
  // Which places it takes (StreamTable).
  enum class Role : std::uint8_t { Accepted, FarEnd, NextHop, Relay };

  bool is_closing() const { return stage >= Stage::Flushing; }
  bool is_usable() const { return !is_closing() && !leaving; }
  bool is_establishing() const { return stage >= Stage::ProxyHeader && stage <= Stage::Upgrade; }

  int fd = -1;
  SlotId id;
  Stage stage = Stage::Connecting;
  Protocol protocol = Protocol::Sip;
  Role role = Role::Accepted;
  Transport transport = Transport::Tcp;
  bool receive_armed = false;
  bool connecting = false;     // the kernel has a connect
  bool announced = false;      // FlowOpened was reported
  bool waits_to_open = false;  // in the acceptors' list of what is not open yet
  bool spoke = false;          // a byte of it was received; those not open yet are counted
  bool dirty = false;          // in the list of streams to flush
  bool handshake_queued = false;
  bool ended = false;           // nothing is left in the kernel
  bool source_counted = false;  // remote is in SourceCounts
  bool gave_message = false;    // one at least
  bool trusted_proxy = false;   // remote is a listed web proxy until the upgrade says who comes
  bool from_proxy = false;      // remote is a listed proxy of either kind, and nobody behind it
  bool tls_close_queued = false;
  bool was_handshaking = false;   // when it was closed: nothing queued was encrypted
  bool handshake_judged = false;  // its failure was counted
  bool peer_closed = false;       // end of its bytes
  bool leaving = false;           // its close is queued: closing says why
  bool broken = false;            // framing is lost: close after the message just given
  bool keepalive_owed = false;    // the answer to CRLF CRLF (RFC 5626 3.5.1, 4.4.1)
  std::uint8_t sends = 0;         // operations in flight
  std::uint8_t pings_left = kPingBurst;
  std::uint16_t sending_items = 0;  // front items of wire in flight
  Closing closing;
  ListenerIndex listener = kNoListener;
  Endpoint remote;

  Instant stage_since{};
  Instant last_received{};
  Instant message_since{};  // an incomplete message waits since; zero: none
  Instant send_since{};     // a send is in flight since
  Instant pinged_at{};      // and nothing was received since; zero: no ping is out
  Instant pings_since{};    // pings_left was counted up to here
  Instant waiting_since{};  // waits_to_open: for the peer's next flight since
  Instant timer_at = kNever;
  TimerWheel::Handle timer = 0;
  std::uint32_t waiting_next = 0, waiting_previous = 0;

  SendList plain;                  // not yet encrypted
  SendList wire;                   // bytes for the socket
  SendList unconfirmed;            // encrypted into what is in flight: whose tickets may still fail
  std::uint32_t queued_bytes = 0;  // of plain and wire
  BufferRef pong;                  // payload of the one Pong that waits (RFC 6455 5.5.3)

  BufferRef partial;  // an incomplete message or head, or ciphertext that waits for its turn
  std::uint32_t partial_used = 0;  // bytes of its front already consumed
  std::uint32_t held_bytes = 0;    // memory that its unfinished message takes

  tls::TlsSession tls;
  websocket::Connection websocket;
  sip::StreamFramer framer;
  http::RequestHeadReader head_reader;
  std::unique_ptr<Outbound> outbound;
  std::unique_ptr<PageTransfer> page;
  std::unique_ptr<const std::string> certificate_names;  // as FlowInfo has them; null: none

  // RFC 6455 sets no rate; what a peer may ask of us without a message.
  static constexpr std::uint8_t kPingBurst = 20;
  static constexpr Duration kPingEvery = 100ms;

  std::uint32_t queued_items() const { return plain.count() + wire.count() + unconfirmed.count(); }
};

// G10: user memory of an idle connection, OpenSSL's aside.
static_assert(sizeof(Stream) <= 704);

}  // namespace ringway
