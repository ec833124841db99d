#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "gateway/base/transport.h"

namespace ringway {

// A host name or a numeric address (without brackets), and what else its text says.
struct HostPort {
  std::string host;
  std::uint16_t port = 0;  // 0: not given
};

// "pbx.example.org", "192.0.2.1:5060", "2001:db8::1", "[2001:db8::1]:5060".
std::optional<HostPort> parse_host_port(std::string_view text);

struct NextHopAddress {
  std::string host;
  std::uint16_t port = 0;
  std::optional<Transport> transport;
};

// The same, or a SIP URI without a user: "sip:pbx.example.org:5060;transport=tcp". A sips URI means
// TLS. The error says what is wrong.
std::expected<NextHopAddress, std::string> parse_next_hop(std::string_view text);

// "udp", "tcp", "tls", "ws" or "wss", as in this file and in messages.
std::string_view scheme_text(Transport transport);

}  // namespace ringway
