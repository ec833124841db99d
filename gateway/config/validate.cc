#include "gateway/config/validate.h"

#include <algorithm>
#include <string>

#include "gateway/base/prefix.h"
#include "gateway/config/next_hop_address.h"
#include "gateway/config/validate_admission.h"
#include "gateway/config/validate_peers.h"
#include "gateway/config/validate_web.h"
#include "protocol/base/ascii.h"

namespace ringway {
namespace {

class Validator {
 public:
  Validator(const Config& config, const Locations& locations, std::vector<Mistake>& mistakes)
      : config_(config), locations_(locations), mistakes_(mistakes) {}

  void run() {
    check_listeners();
    check_certificates();
    check_next_hops();
    check_media();
    check_admin();
    check_server_name();
    check_timers();
    check_limits();
    check_addresses();
    validate_peers(config_, locations_, [this](std::string path, std::string text) {
      add(std::move(path), std::move(text));
    });
    validate_admission(config_, [this](std::string path, std::string text) {
      add(std::move(path), std::move(text));
    });
    if (!config_.page.directory.empty() &&
        std::none_of(config_.listen.begin(), config_.listen.end(),
                     [](const ListenConfig& listen) { return is_websocket(listen.transport); })) {
      add("page.directory", "a page needs a listener with transport \"wss\" or \"ws\"");
    }
  }

 private:
  // At the most exact place known: the key, else its table, else nowhere.
  void add(std::string path, std::string text) {
    while (true) {
      const auto found = locations_.find(path);
      if (found != locations_.end()) {
        mistakes_.push_back({found->second, std::move(text)});
        return;
      }
      const std::size_t dot = path.find_last_of(".[");
      if (dot == path.npos) break;
      path.resize(dot);
    }
    mistakes_.push_back({{}, std::move(text)});
  }
  static std::string listen_path(std::size_t index) {
    return "listen[" + std::to_string(index) + "]";
  }
  static std::string hop_path(std::size_t index) {
    return "next_hop[" + std::to_string(index) + "]";
  }
  bool has(const std::string& path) const { return locations_.contains(path); }

  void check_listeners();
  void check_listener(const ListenConfig& listen, const std::string& path);
  void check_listener_tls(const ListenConfig& listen, const std::string& path);
  void check_same_socket(std::size_t index);
  void check_pair(const CertificateConfig& pair, const std::string& path);
  void check_certificates();
  void check_next_hops();
  void check_next_hop(std::size_t index, const std::string& path);
  void check_send_from(const NextHopConfig& next_hop, const std::string& path);
  void check_media();
  void check_admin();
  void check_server_name();
  void check_timers();
  void check_limits();
  void check_addresses();
  void check_prefixes(const std::vector<std::string>& prefixes, const std::string& path);

  const Config& config_;
  const Locations& locations_;
  std::vector<Mistake>& mistakes_;
};

// UDP, or a stream: two streams cannot share a port whatever they carry.
bool takes_stream_port(const ListenConfig& listen) {
  return listen.transport != Transport::Udp || listen.tcp_twin;
}
bool takes_datagram_port(const ListenConfig& listen) {
  return listen.transport == Transport::Udp;
}

void Validator::check_listeners() {
  if (config_.listen.empty()) add("", "there is no [[listen]]: nothing can reach the gateway");
  if (config_.listen.size() > kListenersMax) {
    add(listen_path(kListenersMax),
        "there are more than " + std::to_string(kListenersMax) + " listeners");
  }
  for (std::size_t i = 0; i < config_.listen.size(); ++i) {
    const std::string path = listen_path(i);
    check_listener(config_.listen[i], path);
    check_listener_tls(config_.listen[i], path);
    check_same_socket(i);
    for (std::size_t j = 0; j < i; ++j) {
      if (config_.listen[j].name == config_.listen[i].name) {
        add(path + ".name", "name \"" + config_.listen[i].name + "\" is taken by another listener");
      }
    }
  }
}

void Validator::check_listener(const ListenConfig& listen, const std::string& path) {
  const std::string transport(scheme_text(listen.transport));
  const bool websocket = is_websocket(listen.transport);
  if (listen.name.empty()) add(path + ".name", "name is empty");
  if (websocket && listen.side == Side::Network) {
    add(path + ".side", "next hops are not reached over WebSocket: side must be \"access\"");
  }
  if (!websocket && listen.address.address.is_any() && listen.advertise_host.empty() &&
      has(path + ".address")) {
    add(path + ".address",
        "this address stands for all, and Via and Record-Route must name one: write the address "
        "itself, or add advertise = \"...\"");
  }
  if (listen.address.address.is_multicast()) add(path + ".address", "a multicast address");
  if (listen.transport != Transport::Udp && has(path + ".tcp_twin")) {
    add(path + ".tcp_twin", "tcp_twin is for transport \"udp\" only");
  }
  if (listen.port_per_shard) {
    if (listen.transport != Transport::Udp || listen.side != Side::Network) {
      add(path + ".port_per_shard", "port_per_shard is for transport \"udp\" on the network side");
    }
    const std::size_t last = listen.address.port + std::max<std::size_t>(config_.shards, 1) - 1;
    if (listen.address.port != 0 && last > 65'535) {
      add(path + ".address", "with port_per_shard shard n listens on port + n, and " +
                                 std::to_string(listen.address.port) + " + " +
                                 std::to_string(config_.shards - 1) + " is no port: begin lower");
    }
    if (listen.advertise_port != 0) {
      add(path + ".advertise", "with port_per_shard the ports are the shards' own");
    }
  }
  for (const char* key : {"origins", "hosts", "path", "record_route_wss"}) {
    if (!websocket && has(path + "." + key)) {
      add(path + "." + key, std::string(key) + " is for transport \"ws\" or \"wss\"");
    }
  }
  if (!listen.path.empty() && listen.path.front() != '/') {
    add(path + ".path", "path must start with \"/\"");
  }
  validate_web(listen, path,
               [this](std::string at, std::string text) { add(std::move(at), std::move(text)); });
  if (listen.transport == Transport::Udp && !listen.proxy_protocol_from.empty()) {
    add(path + ".proxy_protocol_from", "the PROXY protocol is for streams, not for UDP");
  }
  check_prefixes(listen.proxy_protocol_from, path + ".proxy_protocol_from");
  if (!is_websocket(listen.transport) && !listen.forwarded_from.empty()) {
    add(path + ".forwarded_from",
        "X-Forwarded-For and Forwarded are read at the upgrade of ws and wss; for tcp and tls use "
        "proxy_protocol_from");
  }
  check_prefixes(listen.forwarded_from, path + ".forwarded_from");
}

void Validator::check_listener_tls(const ListenConfig& listen, const std::string& path) {
  if (!is_secure(listen.transport)) {
    for (const char* key :
         {"certificate", "key", "rsa_certificate", "rsa_key", "client_ca", "client_crl",
          "client_certificates", "tls_version_min", "unknown_server_name", "record_route_secure"}) {
      if (has(path + "." + key)) {
        add(path + "." + key, std::string(key) + " is for transport \"tls\" or \"wss\"");
      }
    }
    return;
  }
  if (listen.certificates.empty() && config_.certificates.empty()) {
    add(path, std::string("transport \"") + std::string(scheme_text(listen.transport)) +
                  "\" needs certificate = \"...\" and key = \"...\", or a [[certificate]]");
  }
  for (const CertificateConfig& pair : listen.certificates) check_pair(pair, path);
  if (listen.client_certificates != ClientCertificates::Ignore && listen.client_ca_file.empty()) {
    add(path + ".client_certificates", "client certificates are judged by a client_ca: name one");
  }
  if (listen.client_certificates == ClientCertificates::Ignore && !listen.client_ca_file.empty()) {
    add(path + ".client_ca",
        "client_ca has no effect: set client_certificates to \"request\" or "
        "\"require\"");
  }
  if (!listen.client_crl_file.empty() && listen.client_ca_file.empty()) {
    add(path + ".client_crl", "client_crl needs client_ca");
  }
}

void Validator::check_same_socket(std::size_t index) {
  const ListenConfig& listen = config_.listen[index];
  if (listen.address.port == 0) return;
  for (std::size_t j = 0; j < index; ++j) {
    const ListenConfig& other = config_.listen[j];
    if (other.address != listen.address) continue;
    if ((takes_stream_port(listen) && takes_stream_port(other)) ||
        (takes_datagram_port(listen) && takes_datagram_port(other))) {
      add(listen_path(index) + ".address", "listener \"" + other.name + "\" has the same address");
    }
  }
}

void Validator::check_pair(const CertificateConfig& pair, const std::string& path) {
  if (pair.chain_file.empty()) add(path, "certificate is missing");
  if (pair.key_file.empty()) add(path + ".certificate", "key is missing beside certificate");
  if (pair.rsa_chain_file.empty() != pair.rsa_key_file.empty()) {
    add(path + (pair.rsa_key_file.empty() ? ".rsa_certificate" : ".rsa_key"),
        "rsa_certificate and rsa_key belong together");
  }
}

void Validator::check_certificates() {
  std::size_t defaults = 0;
  for (std::size_t i = 0; i < config_.certificates.size(); ++i) {
    const std::string path = "certificate[" + std::to_string(i) + "]";
    check_pair(config_.certificates[i], path);
    if (config_.certificates[i].is_default && ++defaults > 1) {
      add(path + ".default", "only one certificate can be the default");
    }
  }
  if (!config_.certificates.empty() &&
      std::none_of(config_.listen.begin(), config_.listen.end(),
                   [](const ListenConfig& listen) { return is_secure(listen.transport); })) {
    add("certificate[0]", "no listener has transport \"tls\" or \"wss\"");
  }
}

void Validator::check_next_hops() {
  if (config_.next_hops.empty()) add("", "there is no [[next_hop]]: calls have nowhere to go");
  for (std::size_t i = 0; i < config_.next_hops.size(); ++i) {
    check_next_hop(i, hop_path(i));
    check_send_from(config_.next_hops[i], hop_path(i));
  }
}

void Validator::check_next_hop(std::size_t index, const std::string& path) {
  const NextHopConfig& next_hop = config_.next_hops[index];
  for (std::size_t j = 0; j < index; ++j) {
    const NextHopConfig& other = config_.next_hops[j];
    if (next_hop.host.empty() || other.host != next_hop.host || other.port != next_hop.port ||
        other.transport != next_hop.transport) {
      continue;
    }
    for (const std::string& domain : next_hop.domains) {
      for (const std::string& taken : other.domains) {
        if (ascii::equal_ignoring_case(domain, taken)) {
          add(path + ".domains", "domain \"" + domain + "\" goes to this address already");
        }
      }
    }
    if (next_hop.domains.empty() && other.domains.empty()) {
      add(path + ".address", "this address is a default next hop already");
    }
  }
  for (std::size_t i = 0; i < next_hop.domains.size(); ++i) {
    const auto parsed = parse_host_port(next_hop.domains[i]);
    if (!parsed || parsed->port != 0) {
      add(path + ".domains[" + std::to_string(i) + "]",
          "\"" + next_hop.domains[i] + "\" is no domain");
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (ascii::equal_ignoring_case(next_hop.domains[i], next_hop.domains[j])) {
        add(path + ".domains[" + std::to_string(i) + "]",
            "\"" + next_hop.domains[i] + "\" stands here twice");
      }
    }
  }
  if (ascii::equal_ignoring_case(next_hop.host, "invalid") ||
      (next_hop.host.size() > 8 &&
       ascii::equal_ignoring_case(std::string_view(next_hop.host).substr(next_hop.host.size() - 8),
                                  ".invalid"))) {
    add(path + ".address", "names under .invalid lead nowhere (RFC 6761 6.4)");
  }
  if (next_hop.tls_certificate_file.empty() != next_hop.tls_key_file.empty()) {
    add(path + (next_hop.tls_key_file.empty() ? ".tls_certificate" : ".tls_key"),
        "tls_certificate and tls_key belong together");
  }
  if (next_hop.transport && *next_hop.transport != Transport::Tls) {
    for (const char* key : {"tls_ca", "tls_crl", "tls_certificate", "tls_key", "tls_name_check"}) {
      if (has(path + "." + key)) {
        add(path + "." + key, std::string(key) + " has no effect over " +
                                  std::string(scheme_text(*next_hop.transport)));
      }
    }
  }
}

void Validator::check_send_from(const NextHopConfig& next_hop, const std::string& path) {
  if (next_hop.host.empty()) return;  // already said
  if (next_hop.send_from.empty()) {
    if (std::none_of(config_.listen.begin(), config_.listen.end(),
                     [&](const ListenConfig& listen) { return fits(listen, next_hop); })) {
      const std::string transport(scheme_text(next_hop.transport.value_or(Transport::Udp)));
      add(path + ".address",
          "no [[listen]] with side \"network\" can send there: one with transport \"" + transport +
              "\" and an address of the same family (IPv4 or IPv6) is needed, since its address "
              "stands in Via and Record-Route");
    }
    return;
  }
  const auto listen =
      std::find_if(config_.listen.begin(), config_.listen.end(),
                   [&](const ListenConfig& item) { return item.name == next_hop.send_from; });
  if (listen == config_.listen.end()) {
    std::vector<std::string> names;
    for (const ListenConfig& item : config_.listen) names.push_back(item.name);
    const std::string near = nearest(next_hop.send_from, names);
    add(path + ".send_from", "no listener has the name \"" + next_hop.send_from + "\"" +
                                 (near.empty() ? "" : "; did you mean \"" + near + "\"?"));
  } else if (listen->side != Side::Network) {
    add(path + ".send_from",
        "listener \"" + listen->name + "\" faces user agents (side \"access\")");
  } else if (!fits(*listen, next_hop)) {
    add(path + ".send_from", "listener \"" + listen->name +
                                 "\" cannot send there: its transport or address family differs");
  }
}

void Validator::check_media() {
  const std::vector<RelayConfig>& relays = config_.media.relays;
  // Those of media.rtpengine come first, then the [[relay]] tables.
  std::size_t tables = 0;
  while (has("relay[" + std::to_string(tables) + "]")) ++tables;
  const std::size_t listed = relays.size() - std::min(tables, relays.size());
  for (std::size_t i = 0; i < relays.size(); ++i) {
    const std::string path =
        i < listed ? "media.rtpengine" : "relay[" + std::to_string(i - listed) + "].address";
    if (relays[i].address.port == 0) {
      add(path, "address is missing, like \"127.0.0.1:2223\"");
      continue;
    }
    if (!is_private(relays[i].address.address) && !config_.media.allow_public) {
      add(path,
          "ng has no authentication, so rtpengine must not listen at a public address; use a "
          "private one, or set media.allow_public = true if a firewall protects it");
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (relays[i].is_same(relays[j])) add(path, "the same address stands here twice");
    }
  }
  constexpr std::size_t kRelaysMax = 16;
  if (relays.size() > kRelaysMax) add("media.rtpengine", "at most 16 relays are possible");
}

void Validator::check_admin() {
  if (!config_.admin.enabled) return;
  if (!has("admin.address") && config_.admin.address == Endpoint{}) {
    add("admin", "address is missing, like \"127.0.0.1:8080\"");
    return;
  }
  validate_admin_names(config_.admin, [this](std::string at, std::string text) {
    add(std::move(at), std::move(text));
  });
  for (const ListenConfig& listen : config_.listen) {
    if (config_.admin.address.port != 0 && takes_stream_port(listen) &&
        listen.address == config_.admin.address) {
      add("admin.address", "listener \"" + listen.name + "\" has the same address");
    }
  }
}

// It stands in the header fields of our own messages.
void Validator::check_server_name() {
  constexpr std::size_t kServerNameMax = 128;
  const std::string& name = config_.server_name;
  const bool printable = std::ranges::all_of(name, [](char c) { return c >= ' ' && c < 0x7f; });
  if (printable && name.size() <= kServerNameMax) return;
  add("sip.server_name",
      "server_name is one line of at most 128 letters, digits and signs of ASCII");
}

void Validator::check_timers() {
  const TimersConfig& timers = config_.timers;
  if (timers.t2 < timers.t1) add("timers.t2", "t2 is shorter than t1");
  if (timers.first_answer < timers.t1) {
    add("timers.first_answer", "first_answer is shorter than t1: no retransmission could help");
  }
  if (timers.timer_c < 64 * timers.t1) {
    add("timers.timer_c", "timer_c is shorter than 64 * t1, the time of timer B");
  }
}

void Validator::check_limits() {
  const LimitsConfig& limits = config_.limits;
  if (limits.contexts > limits.transactions) {
    add("limits.contexts", "each context has a transaction: contexts must not exceed transactions");
  }
  if (limits.flows_per_source > limits.flows && has("limits.flows_per_source")) {
    add("limits.flows_per_source", "flows_per_source is larger than flows");
  }
}

void Validator::check_addresses() {
  check_prefixes(config_.filter_exempt, "filter.exempt");
  for (std::size_t i = 0; i < config_.nameservers.size(); ++i) {
    if (!parse_address(config_.nameservers[i]) && !parse_endpoint(config_.nameservers[i])) {
      add("dns.nameservers[" + std::to_string(i) + "]",
          "\"" + config_.nameservers[i] + "\" is no address");
    }
  }
}

void Validator::check_prefixes(const std::vector<std::string>& prefixes, const std::string& path) {
  for (std::size_t i = 0; i < prefixes.size(); ++i) {
    if (!parse_prefix(prefixes[i])) {
      add(path + "[" + std::to_string(i) + "]",
          "\"" + prefixes[i] + "\" is no address or prefix like \"192.0.2.0/24\"");
    }
  }
}

}  // namespace

bool fits(const ListenConfig& listen, const NextHopConfig& next_hop) {
  if (listen.side != Side::Network) return false;
  if (const auto address = parse_address(next_hop.host)) {
    if (address->family != listen.address.family()) return false;
  }
  if (!next_hop.transport) {
    // A numeric address without a transport means UDP (RFC 3263 4.1); a name may lead anywhere.
    return !parse_address(next_hop.host) || listen.transport == Transport::Udp;
  }
  if (*next_hop.transport == Transport::Tcp && listen.transport == Transport::Udp) {
    return listen.tcp_twin;
  }
  return listen.transport == *next_hop.transport;
}

void validate(const Config& config, const Locations& locations, std::vector<Mistake>& mistakes) {
  Validator(config, locations, mistakes).run();
}

}  // namespace ringway
