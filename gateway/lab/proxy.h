#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gateway/lab/registrar.h"
#include "gateway/lab/sofia.h"

namespace ringway::lab {

// The lab's SIP server: registrar and transaction-stateful proxy (RFC 3261 16) on one UDP port.
// Requests for the numbers of numbers.h go to the phones, those for users to all their bindings at
// once, along the Path that each registered with. It stays in the dialogs that it forwards.
class Proxy {
 public:
  struct Options {
    std::string address;  // literal; IPv6 without brackets
    std::uint16_t port = 0;
    std::string domain;
  };

  Proxy(su_root_t* root, Options options, Registrar& registrar);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  // False if the address could not be bound.
  bool is_open() const { return agent_ != nullptr; }
  // host:port, as it stands in URIs.
  const std::string& host_port() const { return host_port_; }
  // Where the phones listen, host:port.
  void set_phones(std::string host_port) { phones_ = std::move(host_port); }

 private:
  struct Target {
    std::string uri;                // empty: keep the Request-URI
    std::vector<std::string> path;  // becomes Route
    std::string user;               // whose binding it is, or empty
  };
  struct Forwarding;
  struct Branch;

  static int on_message(void* self, nta_agent_t* agent, msg_t* msg, sip_t* sip);
  static int on_cancel(void* forwarding, nta_incoming_t* incoming, const sip_t* sip);
  static int on_response(void* branch, nta_outgoing_t* outgoing, const sip_t* sip);

  void handle_request(msg_t* msg, sip_t* sip);
  void forward(msg_t* msg, sip_t* sip, const std::vector<Target>& targets);
  void start_branch(Forwarding& forwarding, msg_t* msg, const Target& target);
  bool prepare(msg_t* msg, const Target& target);
  void finish_branch(Branch& branch, int status, msg_t* response);
  void finish(Forwarding& forwarding);
  std::vector<Target> find_targets(const sip_t& sip);
  bool is_ours(const url_t& url) const;
  void pop_route(msg_t* msg, sip_t* sip) const;

  Options options_;
  Registrar& registrar_;
  nta_agent_t* agent_ = nullptr;
  std::string host_port_;
  std::string phones_;
  std::vector<std::unique_ptr<Forwarding>> forwardings_;
};

}  // namespace ringway::lab
