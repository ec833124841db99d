#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/base/outbox.h"
#include "gateway/config/listener_info.h"
#include "protocol/base/writer.h"
#include "protocol/sip/uri.h"

namespace ringway {

// How our listeners are written into messages, and how we know them again, those that a reload has
// removed included: messages still name them. Built anew when listeners come or go.
class OwnUris {
 public:
  explicit OwnUris(const std::vector<ListenerInfo>& listeners);

  // "host:port" of the listener, as in Via.
  std::string_view sent_by(ListenerIndex listener) const { return entries_[listener].sent_by; }

  // The URI of a Record-Route or Path value of ours: scheme, user, host and always the port (a
  // default that another transport does not share would name another socket), transport unless it
  // is UDP or the TLS choice of the listener says otherwise (RFC 5658 6.2), lr.
  //
  // sips: the request was sent to a sips URI (RFC 3261 16.6 item 4). says_udp: the transport of a
  // UDP listener is written out, beside a TLS value (RFC 5658 6.2).
  struct RouteForm {
    bool sips = false;
    bool says_udp = false;
  };
  void write_route(ListenerIndex listener, std::string_view user, std::string_view params,
                   Writer& out, RouteForm form) const;
  void write_route(ListenerIndex listener, std::string_view user, std::string_view params,
                   Writer& out) const {
    write_route(listener, user, params, out, RouteForm{});
  }
  // The part of such a URI behind the @, without lr: host, port and transport.
  std::string_view host_port_transport(ListenerIndex listener) const {
    return entries_[listener].host_port_transport;
  }
  std::string_view scheme(ListenerIndex listener) const { return entries_[listener].scheme; }

  // True if host and port of uri are those of one of our listeners. Without a port the transport's
  // own is meant.
  bool is_own(const sip::Uri& uri) const;
  // Of that one. Its transport is the caller's business.
  bool names(ListenerIndex listener, const sip::Uri& uri) const;

 private:
  struct Entry {
    std::string host;  // as advertised; an IPv6 address without brackets
    std::uint16_t port = 0;
    std::string local_host;  // the bound address, without brackets
    std::uint16_t local_port = 0;
    std::vector<std::string> certificate_names;  // of a secure listener; may begin with "*."
    std::string sent_by, host_port_transport;
    std::string_view scheme;
    Transport transport = Transport::Udp;
  };
  static bool fits(const Entry& entry, const sip::Uri& uri, std::string_view host,
                   std::uint16_t port);

  std::vector<Entry> entries_;
};

}  // namespace ringway
