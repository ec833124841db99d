#include "gateway/nat/own_uris.h"

#include <algorithm>

#include "protocol/base/ascii.h"

namespace ringway {
namespace {

// An IPv6 address has many spellings: text that differs may still be the same one.
bool same_host(std::string_view ours, std::string_view theirs) {
  if (ascii::equal_ignoring_case(ours, theirs)) return true;
  if (ours.starts_with("*.")) {  // of a certificate: one label (RFC 6125 6.4.3)
    const std::size_t dot = theirs.find('.');
    return dot != theirs.npos && dot != 0 &&
           ascii::equal_ignoring_case(ours.substr(1), theirs.substr(dot));
  }
  if (ours.find(':') == std::string_view::npos) return false;
  if (theirs.find(':') == std::string_view::npos) return false;
  const auto address = parse_address(theirs);
  return address && address == parse_address(ours);
}

std::string_view transport_param(const ListenConfig& config) {
  switch (config.transport) {
    case Transport::Udp:
      return "";
    case Transport::Tcp:
      return ";transport=tcp";
    case Transport::Tls:
      return config.record_route_secure == RecordRouteSecure::TransportTls ? ";transport=tls" : "";
    case Transport::Ws:
      return ";transport=ws";
    case Transport::Wss:
      return config.record_route_wss ? ";transport=wss" : ";transport=ws";
  }
  return "";
}

}  // namespace

OwnUris::OwnUris(const std::vector<ListenerInfo>& listeners) {
  for (const ListenerInfo& listener : listeners) {
    const ListenConfig& config = listener.config;
    Entry entry;
    std::string host = config.advertise_host;
    if (is_secure(config.transport)) {
      // RFC 5922 7.5: a secure Record-Route names what the certificate is for.
      for (const CertificateConfig& certificate : config.certificates) {
        entry.certificate_names.insert(entry.certificate_names.end(), certificate.names.begin(),
                                       certificate.names.end());
        if (!host.empty() || certificate.names.empty()) continue;
        if (certificate.names.front().find('*') == std::string::npos) {
          host = certificate.names.front();
        }
      }
    }
    const auto numeric = parse_address(host);
    if (host.empty() || numeric) {
      const Address& address = numeric ? *numeric : listener.local.address;
      entry.host = text_of(address, AddressForm::Bare);
      host = text_of(address, AddressForm::Bracketed);
    } else {
      entry.host = host;
    }
    entry.port = config.advertise_port != 0 ? config.advertise_port : listener.local.port;
    // A peer may also know us by the address that it connects to.
    entry.local_host = text_of(listener.local.address, AddressForm::Bare);
    entry.local_port = listener.local.port;
    entry.sent_by = host + ":" + std::to_string(entry.port);
    entry.host_port_transport = entry.sent_by + std::string(transport_param(config));
    entry.transport = config.transport;
    entry.scheme =
        config.transport == Transport::Tls && config.record_route_secure == RecordRouteSecure::Sips
            ? "sips:"
            : "sip:";
    entries_.push_back(std::move(entry));
  }
}

void OwnUris::write_route(ListenerIndex listener, std::string_view user, std::string_view params,
                          Writer& out, RouteForm form) const {
  const Entry& entry = entries_[listener];
  out.character('<').text(form.sips ? "sips:" : entry.scheme).text(user).character('@');
  out.text(entry.host_port_transport);
  if (form.says_udp && entry.transport == Transport::Udp) out.text(";transport=udp");
  out.text(";lr").text(params).character('>');
}

bool OwnUris::fits(const Entry& entry, const sip::Uri& uri, std::string_view host,
                   std::uint16_t port) {
  if (!same_host(host, uri.host)) return false;
  if (uri.port != 0) return uri.port == port;
  if (port == 5060 || port == 5061) return true;
  // RFC 7118 5.2: the port of the WebSocket URI, which is the one of HTTP.
  if (!is_websocket(entry.transport) || (port != 80 && port != 443)) return false;
  const auto transport = uri.param("transport");
  return transport && (ascii::equal_ignoring_case(*transport, "ws") ||
                       ascii::equal_ignoring_case(*transport, "wss"));
}

bool OwnUris::is_own(const sip::Uri& uri) const {
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (names(static_cast<ListenerIndex>(i), uri)) return true;
  }
  return false;
}

bool OwnUris::names(ListenerIndex listener, const sip::Uri& uri) const {
  if (uri.scheme != sip::Scheme::Sip && uri.scheme != sip::Scheme::Sips) return false;
  const Entry& entry = entries_[listener];
  if (fits(entry, uri, entry.host, entry.port) ||
      fits(entry, uri, entry.local_host, entry.local_port)) {
    return true;
  }
  // A client may know us by any name that our certificates bear.
  return std::ranges::any_of(entry.certificate_names, [&](const std::string& name) {
    return fits(entry, uri, name, entry.port) || fits(entry, uri, name, entry.local_port);
  });
}

}  // namespace ringway
