#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "gateway/base/endpoint.h"
#include "gateway/base/flow_id.h"
#include "gateway/base/outbox.h"
#include "gateway/base/transport.h"

namespace ringway {

// A connection that was just established (handshakes and upgrade done).
struct FlowInfo {
  FlowId flow;
  Transport transport = Transport::Tcp;
  ListenerIndex listener = kNoListener;  // accepted on, or sent from for one that we opened
  Endpoint remote;
  bool opened_by_us = false;
  bool from_proxy = false;  // remote is a listed proxy, which has not said whom it speaks for
  // Of one that we opened: the entry of Config::next_hops on whose behalf; 0xffff: it leads to the
  // far end of a dialog.
  std::uint16_t next_hop = 0xffff;
  // Of an accepted one: whom the client's verified certificate speaks for, each name ended by a
  // line feed: the hosts of its sip: URIs and its DNS names (RFC 5922 7.1), as many as
  // kCertificateNamesBytesMax hold. Empty without such a certificate. Lent for the call.
  std::string_view certificate_names;
};
inline constexpr std::size_t kCertificateNamesBytesMax = 1'024;

enum class FlowEnd : std::uint8_t { Closed, Reset, TimedOut, ProtocolError, ShuttingDown };

}  // namespace ringway
