#pragma once

#include <cstdint>
#include <string_view>

namespace ringway {

enum class Transport : std::uint8_t { Udp, Tcp, Tls, Ws, Wss };
inline constexpr std::size_t kTransportCount = 5;

// Which way a listener faces: towards user agents, or towards SIP next hops.
enum class Side : std::uint8_t { Access, Network };

// The token of the Via sent-protocol (RFC 3261 20.42, RFC 7118 5).
constexpr std::string_view via_token(Transport transport) {
  switch (transport) {
    case Transport::Udp:
      return "UDP";
    case Transport::Tcp:
      return "TCP";
    case Transport::Tls:
      return "TLS";
    case Transport::Ws:
      return "WS";
    case Transport::Wss:
      return "WSS";
  }
  return {};
}

// Lower case: the config's word, and the label in metrics and logs.
constexpr std::string_view to_text(Transport transport) {
  switch (transport) {
    case Transport::Udp:
      return "udp";
    case Transport::Tcp:
      return "tcp";
    case Transport::Tls:
      return "tls";
    case Transport::Ws:
      return "ws";
    case Transport::Wss:
      return "wss";
  }
  return {};
}

constexpr std::uint16_t default_port(Transport transport) {
  switch (transport) {
    case Transport::Udp:
    case Transport::Tcp:
      return 5060;
    case Transport::Tls:
      return 5061;
    case Transport::Ws:
      return 80;
    case Transport::Wss:
      return 443;
  }
  return 0;
}

// RFC 3261 17: reliable transports neither retransmit nor linger.
constexpr bool is_reliable(Transport transport) {
  return transport != Transport::Udp;
}
constexpr bool is_websocket(Transport transport) {
  return transport == Transport::Ws || transport == Transport::Wss;
}
constexpr bool is_secure(Transport transport) {
  return transport == Transport::Tls || transport == Transport::Wss;
}

}  // namespace ringway
