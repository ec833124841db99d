#include "gateway/config/next_hop_address.h"

#include "gateway/base/endpoint.h"
#include "protocol/base/ascii.h"

namespace ringway {
namespace {

constexpr std::size_t kHostMax = 253;  // RFC 1035 2.3.4

// Labels of letters, digits, hyphens and underscores; the last one is not all digits, so that a
// mistyped address is not taken for a name.
bool is_host_name(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > kHostMax) return false;
  std::string_view last;
  while (true) {
    const std::size_t dot = text.find('.');
    last = text.substr(0, dot);
    if (last.empty() || last.size() > 63 || last.front() == '-' || last.back() == '-') return false;
    for (const char c : last) {
      if (!ascii::is(c, ascii::kDigit | ascii::kAlpha) && c != '-' && c != '_') return false;
    }
    if (dot == text.npos) break;
    text.remove_prefix(dot + 1);
  }
  return !ascii::all(last, ascii::kDigit);
}

}  // namespace

std::string_view scheme_text(Transport transport) {
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

std::optional<HostPort> parse_host_port(std::string_view text) {
  HostPort result;
  const bool bare_v6 = !text.starts_with('[') && text.find(':') != text.rfind(':');
  const std::size_t colon = bare_v6 ? text.npos : text.rfind(':');
  const bool in_brackets = text.ends_with(']');
  std::string_view host = text;
  if (colon != text.npos && !in_brackets) {
    host = text.substr(0, colon);
    const auto port = ascii::parse_number(text.substr(colon + 1), 65535);
    if (!port || *port == 0) return std::nullopt;
    result.port = static_cast<std::uint16_t>(*port);
  }
  if (!parse_address(host) && !is_host_name(host)) return std::nullopt;
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  result.host = host;
  return result;
}

std::expected<NextHopAddress, std::string> parse_next_hop(std::string_view text) {
  NextHopAddress result;
  std::string_view rest = text;
  const bool secure = ascii::starts_with_ignoring_case(rest, "sips:");
  const bool is_uri = secure || ascii::starts_with_ignoring_case(rest, "sip:");
  if (is_uri) rest.remove_prefix(secure ? 5 : 4);
  if (rest.find('@') != rest.npos) return std::unexpected("a next hop has no user part");
  const std::size_t semicolon = rest.find(';');
  std::string_view parameters = semicolon == rest.npos ? "" : rest.substr(semicolon + 1);
  const auto host_port = parse_host_port(rest.substr(0, semicolon));
  if (!host_port) {
    return std::unexpected("\"" + std::string(text) + "\" is no host name or address");
  }
  result.host = host_port->host;
  result.port = host_port->port;
  while (!parameters.empty()) {
    const std::size_t end = parameters.find(';');
    const std::string_view parameter = parameters.substr(0, end);
    parameters = end == parameters.npos ? "" : parameters.substr(end + 1);
    const std::size_t equals = parameter.find('=');
    const std::string_view name = parameter.substr(0, equals);
    if (ascii::equal_ignoring_case(name, "lr")) continue;
    if (!ascii::equal_ignoring_case(name, "transport") || equals == parameter.npos) {
      return std::unexpected("unknown URI parameter \"" + std::string(parameter) + "\"");
    }
    const std::string_view value = parameter.substr(equals + 1);
    for (const Transport transport : {Transport::Udp, Transport::Tcp, Transport::Tls}) {
      if (ascii::equal_ignoring_case(value, scheme_text(transport))) result.transport = transport;
    }
    if (!result.transport) {
      return std::unexpected("transport=" + std::string(value) + " is not udp, tcp or tls");
    }
  }
  if (secure) {
    // RFC 3261 26.2.2: transport=tcp with sips means TLS over TCP.
    if (result.transport == Transport::Udp) return std::unexpected("sips cannot go over UDP");
    result.transport = Transport::Tls;
  }
  return result;
}

}  // namespace ringway
