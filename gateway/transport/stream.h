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
};

// A page on its way out; the snapshot stays alive until it is sent.
struct PageTransfer {
  std::shared_ptr<const StaticPages> pages;
  std::string_view rest;
};

// One TCP connection, whatever is spoken on it. An idle one has no buffer of its own: bytes stay
// in the shard's buffers unless they are an incomplete message.
//
// It closes in steps: what is queued leaves (Flushing), the peer sees our end and may read
// (Lingering), the kernel gives back what it holds (Ending); then the descriptor is closed and
// the slot free. When the peer ended it, the first of these waits for a quiet moment (leaving).
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

  bool is_closing() const { return stage >= Stage::Flushing; }
  bool is_usable() const { return !is_closing() && !leaving; }
  bool is_establishing() const { return stage >= Stage::ProxyHeader && stage <= Stage::Upgrade; }

  int fd = -1;
  SlotId id;
  Stage stage = Stage::Open;
  Protocol protocol = Protocol::Sip;
  Transport transport = Transport::Tcp;
  bool receive_armed = false;
  bool starved = false;     // wants to receive again once there are buffers
  bool connecting = false;  // the kernel has a connect
  bool announced = false;   // FlowOpened was reported
  bool counted = false;     // in the establishing count
  bool dirty = false;       // in the list of streams to flush
  bool handshake_queued = false;
  bool ended = false;           // nothing is left in the kernel
  bool source_counted = false;  // remote is in SourceCounts
  bool tls_close_queued = false;
  bool peer_closed = false;         // end of its bytes
  bool leaving = false;             // its close is queued: leave_end, leave_failure
  bool ping_sent = false;           // since last_received
  bool broken = false;              // framing is lost: close after the message just given
  std::uint8_t sends = 0;           // operations in flight
  std::uint16_t sending_items = 0;  // front items of wire in flight
  FlowEnd leave_end = FlowEnd::Closed;
  TransportFailure leave_failure = TransportFailure::Closed;
  ListenerIndex listener = kNoListener;
  Endpoint remote;

  Instant stage_since{};
  Instant last_received{};
  Instant message_since{};  // an incomplete message waits since; zero: none
  Instant send_since{};     // a send is in flight since
  Instant timer_at = kNever;
  TimerWheel::Handle timer = 0;

  SendList plain;        // not yet encrypted
  SendList wire;         // bytes for the socket
  SendList unconfirmed;  // encrypted into what is in flight: whose tickets may still fail
  std::uint32_t queued_bytes = 0;

  BufferRef partial;  // an incomplete message or head, or ciphertext that waits for its turn
  std::uint32_t partial_used = 0;  // bytes of its front already consumed

  tls::TlsSession tls;
  websocket::Connection websocket;
  sip::StreamFramer framer;
  http::RequestHeadReader head_reader;
  std::unique_ptr<Outbound> outbound;
  std::unique_ptr<PageTransfer> page;
  std::unique_ptr<const std::string> certificate_names;  // as FlowInfo has them; null: none
};

// G10: user memory of an idle connection, OpenSSL's aside.
static_assert(sizeof(Stream) <= 640);

}  // namespace ringway
