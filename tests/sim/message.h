#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/base/endpoint.h"

namespace ringway::sim {

// A SIP message as the agents write and read it: on purpose not with the gateway's own parser, so
// that what it sends is read by somebody else. Header names are matched as they are written.
class Message {
 public:
  static Message request(std::string_view method, std::string_view uri);
  // A response to request: its Via values, From, To, Call-ID and CSeq.
  static Message response(const Message& request, int status, std::string_view reason = "Whatever");
  // nullopt for anything but one whole message whose Content-Length is right.
  static std::optional<Message> parse(std::string_view text);

  bool is_request() const { return status == 0; }
  std::string_view header(std::string_view name) const;  // the first line's value, or empty
  bool has(std::string_view name) const;
  // All values of a header that is a list, in order.
  std::vector<std::string> values(std::string_view name) const;

  void add(std::string_view name, std::string_view value) {
    headers.emplace_back(std::string(name), std::string(value));
  }
  void add_front(std::string_view name, std::string_view value) {
    headers.emplace(headers.begin(), std::string(name), std::string(value));
  }
  void set(std::string_view name, std::string_view value);
  void remove(std::string_view name);
  void remove_first_value(std::string_view name);
  std::string text() const;
  // "INVITE sip:a@b" or "200 INVITE".
  std::string summary() const;

  std::string branch() const;  // of the top Via
  std::string cseq_method() const;
  unsigned cseq() const;

  std::string method, uri, reason, body;
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
};

// The URI of a name-addr or addr-spec.
std::string uri_of(std::string_view value);
// A parameter behind the URI of a header value ("tag", "branch", "expires"); empty if absent.
std::string parameter(std::string_view value, std::string_view name);
bool has_parameter(std::string_view value, std::string_view name);
// "user" of a sip URI, and where its host and port say, if that is an address.
std::string user_of(std::string_view uri);
std::string host_port_of(std::string_view uri);
std::optional<Endpoint> endpoint_of(std::string_view uri);

std::string to_string(const Endpoint& endpoint);
// Precondition: text is an address and a port.
Endpoint endpoint(std::string_view text);

}  // namespace ringway::sim
