#include "gateway/config/load.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "gateway/config/load_admission.h"
#include "gateway/config/next_hop_address.h"
#include "gateway/config/validate.h"
#include "protocol/base/ascii.h"

namespace ringway {
namespace {

constexpr std::uint32_t kMillion = 1'000'000;
constexpr Duration kMinute = 60s, kHour = 3600s;

void read_general(TableReader& root, std::string_view file, Config& config, ReadLog& log) {
  root.read("shards", config.shards, 0, 255);
  root.read("pin", config.pin);
  root.read("reactor", config.reactor,
            {{"auto", KernelKind::Auto},
             {"io_uring", KernelKind::IoUring},
             {"epoll", KernelKind::Epoll}});
  root.read("udp_trains", config.udp_trains);
  root.read_path("key_file", config.key_file, file);
  root.read("node", config.node, 1, 15);

  TableReader logs(root.find("log"), "log", log);
  logs.read("level", config.log_level,
            {{"debug", LogLevel::Debug},
             {"info", LogLevel::Info},
             {"warning", LogLevel::Warning},
             {"error", LogLevel::Error}});
  logs.read<std::string>("format", config.log_format,
                         {{"auto", "auto"}, {"json", "json"}, {"text", "text"}});
  logs.finish();

  TableReader sip(root.find("sip"), "sip", log);
  sip.read("server_name", config.server_name);
  sip.read("max_breadth", config.max_breadth, 1, 1000);
  sip.read("force_rport", config.force_rport);
  sip.finish();

  TableReader filter(root.find("filter"), "filter", log);
  filter.read("enabled", config.filter);
  filter.read_path("file", config.filter_file, file);
  filter.read_path("extra_file", config.filter_extra_file, file);
  filter.read("exempt", config.filter_exempt);
  filter.finish();

  TableReader dns(root.find("dns"), "dns", log);
  dns.read("nameservers", config.nameservers);
  dns.finish();
}

// "gateway.example.org", "gateway.example.org:5060", "[2001:db8::1]:5060".
void read_advertise(TableReader& table, ListenConfig& listen) {
  const TomlNode* node = table.find("advertise", TomlNode::Kind::String);
  if (!node || node->text.empty()) return;
  const auto target = parse_host_port(node->text);
  if (!target) {
    table.mistake(*node, "advertise is \"" + node->text +
                             "\"; it must be a host name or an address, with or without a port");
    return;
  }
  listen.advertise_host = target->host;
  listen.advertise_port = target->port;
}

void read_pair(TableReader& table, std::string_view file, CertificateConfig& certificate) {
  table.read_path("certificate", certificate.chain_file, file);
  table.read_path("key", certificate.key_file, file);
  table.read_path("rsa_certificate", certificate.rsa_chain_file, file);
  table.read_path("rsa_key", certificate.rsa_key_file, file);
}

void read_listen_tls(TableReader& table, std::string_view file, ListenConfig& listen) {
  CertificateConfig own;
  read_pair(table, file, own);
  if (own != CertificateConfig{}) listen.certificates.push_back(std::move(own));
  table.read("unknown_server_name", listen.unknown_server_name,
             {{"default", UnknownServerName::UseDefault}, {"refuse", UnknownServerName::Refuse}});
  table.read("client_certificates", listen.client_certificates,
             {{"ignore", ClientCertificates::Ignore},
              {"request", ClientCertificates::Request},
              {"require", ClientCertificates::Require}});
  table.read(
      "client_certificate_purpose", listen.client_certificate_purpose,
      {{"any", ClientCertificatePurpose::Any}, {"client", ClientCertificatePurpose::Client}});
  table.read_path("client_ca", listen.client_ca_file, file);
  table.read_path("client_crl", listen.client_crl_file, file);
  table.read<std::uint16_t>("tls_version_min", listen.tls_version_min,
                            {{"1.2", 0x0303}, {"1.3", 0x0304}});
  table.read("record_route_secure", listen.record_route_secure,
             {{"name", RecordRouteSecure::Name},
              {"sips", RecordRouteSecure::Sips},
              {"transport_tls", RecordRouteSecure::TransportTls}});
}

void read_media_profile(TableReader& table, MediaProfile& profile) {
  table.read("media_profile", profile,
             {{"auto", MediaProfile::Auto},
              {"rtp", MediaProfile::Rtp},
              {"srtp", MediaProfile::Srtp},
              {"webrtc", MediaProfile::Webrtc}});
}

ListenConfig read_listen(const TomlNode* node, const std::string& path, std::string_view file,
                         std::size_t number, ReadLog& log) {
  TableReader table(node, path, log);
  ListenConfig listen;
  if (table.find("transport")) {
    table.read("transport", listen.transport,
               {{"udp", Transport::Udp},
                {"tcp", Transport::Tcp},
                {"tls", Transport::Tls},
                {"ws", Transport::Ws},
                {"wss", Transport::Wss}});
  } else if (node) {
    table.mistake(*node, path + " has no transport: \"udp\", \"tcp\", \"tls\", \"ws\" or \"wss\"");
  }
  listen.name = std::string(scheme_text(listen.transport)) + "-" + std::to_string(number);
  table.read("name", listen.name);
  // Browsers come over WebSocket; who speaks the other transports only the administrator knows,
  // mostly it is the SIP server.
  listen.side = is_websocket(listen.transport) ? Side::Access : Side::Network;
  table.read("side", listen.side, {{"access", Side::Access}, {"network", Side::Network}});
  table.read("admission", listen.admission,
             {{"registered", Admission::Registered}, {"open", Admission::Open}});
  if (table.find("address")) {
    table.read("address", listen.address, default_port(listen.transport));
  } else if (node) {
    table.mistake(*node, path + " has no address, like \"192.0.2.1:5060\"");
  }
  read_advertise(table, listen);
  table.read("port_per_shard", listen.port_per_shard);
  table.read("tcp_twin", listen.tcp_twin);
  read_listen_tls(table, file, listen);
  read_media_profile(table, listen.media_profile);
  table.read("record_route_wss", listen.record_route_wss);
  table.read("origins", listen.origins);
  table.read("hosts", listen.hosts);
  table.read("path", listen.path);
  table.read("proxy_protocol_from", listen.proxy_protocol_from);
  table.read("forwarded_from", listen.forwarded_from);
  table.finish();
  return listen;
}

// An explicit TCP listener on a UDP listener's address takes the place of its twin.
void settle_twins(std::vector<ListenConfig>& listeners, const Locations& locations) {
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    ListenConfig& udp = listeners[i];
    if (udp.transport != Transport::Udp) {
      udp.tcp_twin = false;
      continue;
    }
    if (locations.contains("listen[" + std::to_string(i) + "].tcp_twin")) continue;
    for (const ListenConfig& other : listeners) {
      if (other.transport != Transport::Udp && other.address == udp.address &&
          udp.address.port != 0) {
        udp.tcp_twin = false;
      }
    }
  }
}

// Every tls and wss listener offers the common certificates beside its own one, which stays the
// default there.
void share_certificates(Config& config) {
  for (ListenConfig& listen : config.listen) {
    if (listen.transport != Transport::Tls && listen.transport != Transport::Wss) continue;
    const bool has_own = !listen.certificates.empty();
    for (CertificateConfig certificate : config.certificates) {
      if (has_own) certificate.is_default = false;
      listen.certificates.push_back(std::move(certificate));
    }
  }
}

CertificateConfig read_certificate(const TomlNode* node, const std::string& path,
                                   std::string_view file, ReadLog& log) {
  TableReader table(node, path, log);
  CertificateConfig certificate;
  table.read("names", certificate.names);
  read_pair(table, file, certificate);
  table.read("default", certificate.is_default);
  table.finish();
  return certificate;
}

void read_next_hop_address(TableReader& table, const TomlNode* node, NextHopConfig& next_hop) {
  const TomlNode* address = table.find("address");
  if (!address) {
    if (node) table.mistake(*node, table.path() + " has no address, like \"pbx.example.org\"");
    return;
  }
  const auto parsed = address->kind == TomlNode::Kind::String
                          ? parse_next_hop(address->text)
                          : std::unexpected(std::string("it must be a text"));
  if (!parsed) {
    table.mistake(*address, "address: " + parsed.error() +
                                "; it can be \"pbx.example.org\", \"192.0.2.1:5060\" or "
                                "\"sip:pbx.example.org:5060;transport=tcp\"");
    return;
  }
  next_hop.host = parsed->host;
  next_hop.port = parsed->port;
  next_hop.transport = parsed->transport;
}

NextHopConfig read_next_hop(const TomlNode* node, const std::string& path, std::string_view file,
                            ReadLog& log) {
  TableReader table(node, path, log);
  NextHopConfig next_hop;
  read_next_hop_address(table, node, next_hop);
  next_hop.name = next_hop.host;
  if (next_hop.port != 0) next_hop.name += ":" + std::to_string(next_hop.port);
  table.read("name", next_hop.name);
  table.read("domains", next_hop.domains);
  next_hop.from = next_hop.domains.empty() ? NextHopFrom::Both : NextHopFrom::Network;
  table.read("from", next_hop.from,
             {{"access", NextHopFrom::Access},
              {"network", NextHopFrom::Network},
              {"both", NextHopFrom::Both}});
  table.read("members", next_hop.members);
  table.read("priority", next_hop.priority, 0, 65535);
  table.read("weight", next_hop.weight, 0, 65535);
  table.read("send_from", next_hop.send_from);
  read_media_profile(table, next_hop.media_profile);
  table.read("dtmf", next_hop.dtmf, {{"info", Dtmf::Info}, {"rfc4733", Dtmf::Rfc4733}});
  table.read("binding", next_hop.binding,
             {{"path", BindingMode::Path},
              {"contact", BindingMode::Contact},
              {"auto", BindingMode::Auto}});
  table.read("add_supported_path", next_hop.add_supported_path);
  table.read("probe_interval", next_hop.probe_interval, 0s, kHour);
  table.read_path("tls_ca", next_hop.tls_ca_file, file);
  table.read_path("tls_crl", next_hop.tls_crl_file, file);
  table.read_path("tls_certificate", next_hop.tls_certificate_file, file);
  table.read_path("tls_key", next_hop.tls_key_file, file);
  table.read(
      "tls_name_check", next_hop.tls_name_check,
      {{"strict", NameCheck::Strict}, {"wildcard", NameCheck::Wildcard}, {"off", NameCheck::Off}});
  table.read("tls_verify", next_hop.tls_verify,
             {{"chain", TlsVerify::Chain}, {"none", TlsVerify::None}});
  table.finish();
  return next_hop;
}

TrustedConfig read_trusted(const TomlNode* node, const std::string& path, std::size_t number,
                           ReadLog& log) {
  TableReader table(node, path, log);
  TrustedConfig trusted;
  trusted.name = "trusted-" + std::to_string(number);
  table.read("name", trusted.name);
  table.read("prefixes", trusted.prefixes);
  table.finish();
  return trusted;
}

HeaderRuleConfig read_header_rule(const TomlNode* node, const std::string& path, ReadLog& log) {
  TableReader table(node, path, log);
  HeaderRuleConfig rule;
  table.read("side", rule.side, {{"access", Side::Access}, {"network", Side::Network}});
  table.read("remove", rule.remove);
  table.read("keep", rule.keep);
  table.read("add", rule.add);
  table.finish();
  return rule;
}

void read_media(const TomlNode* node, MediaConfig& media, ReadLog& log) {
  TableReader table(node, "media", log);
  std::vector<std::string> relays;
  table.read("rtpengine", relays);
  const TomlNode* list = node ? node->find("rtpengine") : nullptr;
  for (const std::string& relay : relays) {
    const auto endpoint = parse_endpoint(relay);
    if (endpoint && endpoint->port != 0) {
      media.relays.push_back(*endpoint);
    } else {
      table.mistake(*list, "rtpengine is \"" + relay +
                               "\"; it must be the address and port of its listen-tcp-ng, like "
                               "\"127.0.0.1:2223\"");
    }
  }
  table.read("allow_public", media.allow_public);
  table.read("request_timeout", media.request_timeout, 50ms, 10s);
  table.read("access_interface", media.access_interface);
  table.read("network_interface", media.network_interface);
  table.read("private_candidates", media.private_candidates);
  table.read("slim", media.slim);
  table.finish();
}

RelayConfig read_relay(const TomlNode* node, const std::string& path, ReadLog& log) {
  TableReader table(node, path, log);
  RelayConfig relay;
  table.read("address", relay.address, 0);
  table.read("transport", relay.transport, {{"tcp", Transport::Tcp}, {"udp", Transport::Udp}});
  table.read("weight", relay.weight, 0, 1000);
  table.read("drain", relay.drain);
  table.finish();
  return relay;
}

void read_limits(const TomlNode* node, LimitsConfig& limits, ReadLog& log) {
  TableReader table(node, "limits", log);
  table.read("flows", limits.flows, 16, 16 * kMillion);
  table.read("transactions", limits.transactions, 64, 16 * kMillion);
  table.read("client_transactions", limits.client_transactions, 64, 16 * kMillion);
  table.read("contexts", limits.contexts, 64, 16 * kMillion);
  table.read("bindings", limits.bindings, 16, 16 * kMillion);
  table.read("dialogs", limits.dialogs, 16, 16 * kMillion);
  table.read_size("buffer_bytes", limits.buffer_bytes, 1u << 20, std::uint64_t{64} << 30);
  table.read("handshakes", limits.handshakes, 1, 65535);
  table.read_size("send_queue_bytes", limits.send_queue_bytes, 65536, 64u << 20);
  table.read("flows_per_source", limits.flows_per_source, 1, 16 * kMillion);
  table.read("guest_media_per_flow", limits.guest_media_per_flow, 0, kMillion);
  table.read("guest_media_per_source", limits.guest_media_per_source, 0, kMillion);
  table.read("bans", limits.bans, 64, 16 * kMillion);
  table.finish();
}

void read_timers(const TomlNode* node, TimersConfig& timers, ReadLog& log) {
  TableReader table(node, "timers", log);
  table.read("t1", timers.t1, 10ms, 10s);
  table.read("t2", timers.t2, 10ms, kMinute);
  table.read("t4", timers.t4, 10ms, kMinute);
  table.read("timer_c", timers.timer_c, 1s, kHour);
  table.read("first_answer", timers.first_answer, 100ms, 32s);
  table.read("grace", timers.grace, 0s, 5 * kMinute);
  table.read("release_after_grace", timers.release_after_grace);
  table.read("call_longest", timers.call_longest, kMinute, 168 * kHour);
  table.read("websocket_ping", timers.websocket_ping, 1s, kHour);
  table.read("websocket_pong", timers.websocket_pong, 1s, kHour);
  table.read("handshake", timers.handshake, 100ms, kMinute);
  table.read("message", timers.message, 100ms, kMinute);
  table.read("idle_connection", timers.idle_connection, 1s, 24 * kHour);
  table.read("connect", timers.connect, 50ms, 32s);
  table.read("drain", timers.drain, 0s, kHour);
  table.finish();
}

void read_root(const TomlNode* document, const std::string& file, Config& config, ReadLog& log) {
  TableReader root(document, "", log);
  read_general(root, file, config, log);
  for (const auto& [node, path] : root.tables("listen")) {
    config.listen.push_back(read_listen(node, path, file, config.listen.size() + 1, log));
  }
  for (const auto& [node, path] : root.tables("certificate")) {
    config.certificates.push_back(read_certificate(node, path, file, log));
  }
  for (const auto& [node, path] : root.tables("next_hop")) {
    config.next_hops.push_back(read_next_hop(node, path, file, log));
  }
  for (const auto& [node, path] : root.tables("trusted")) {
    config.trusted.push_back(read_trusted(node, path, config.trusted.size() + 1, log));
  }
  for (const auto& [node, path] : root.tables("header")) {
    config.header_rules.push_back(read_header_rule(node, path, log));
  }
  settle_twins(config.listen, log.locations);
  read_media(root.find("media"), config.media, log);
  for (const auto& [node, path] : root.tables("relay")) {
    config.media.relays.push_back(read_relay(node, path, log));
  }

  const TomlNode* admin_node = root.find("admin");
  TableReader admin(admin_node, "admin", log);
  config.admin.enabled = admin_node != nullptr;
  admin.read("enabled", config.admin.enabled);
  admin.read("address", config.admin.address, 0);
  admin.read_path("token_file", config.admin.token_file, file);
  admin.read("names", config.admin.names);
  admin.finish();

  TableReader ctl(root.find("ctl"), "ctl", log);
  ctl.read_path("socket", config.ctl.socket, file);
  ctl.read("group", config.ctl.group);
  ctl.finish();

  read_limits(root.find("limits"), config.limits, log);
  read_timers(root.find("timers"), config.timers, log);
  read_admission(root, file, config, log);
  TableReader page(root.find("page"), "page", log);
  page.read_path("directory", config.page.directory, file);
  page.finish();
  root.finish();
}

}  // namespace

std::set<std::string> known_keys() {
  ReadLog log;
  Config config;
  read_root(nullptr, "", config, log);
  read_listen(nullptr, "listen[0]", "", 1, log);
  read_certificate(nullptr, "certificate[0]", "", log);
  read_next_hop(nullptr, "next_hop[0]", "", log);
  read_trusted(nullptr, "trusted[0]", 1, log);
  read_header_rule(nullptr, "header[0]", log);
  read_relay(nullptr, "relay[0]", log);
  note_fraud_keys(log);
  for (const char* table :
       {"log",   "sip",   "filter", "dns", "listen", "certificate", "next_hop", "trusted",
        "header", "media", "relay",  "admin", "ctl", "limits",    "timers",    "page",
        "bans",  "budgets", "fraud", "overload", "process", "answers"}) {
    log.known.erase(table);
  }
  return std::move(log.known);
}

LoadedConfig parse_config(std::string_view text, const std::string& file) {
  LoadedConfig loaded;
  ReadLog log;
  log.all = known_keys();
  const TomlNode document = parse_document(text, log.mistakes);
  const bool is_toml = log.mistakes.empty();
  if (is_toml) read_root(&document, file, loaded.config, log);
  loaded.mistakes = std::move(log.mistakes);
  loaded.locations = std::move(log.locations);
  if (is_toml) validate(loaded.config, loaded.locations, loaded.mistakes);
  share_certificates(loaded.config);
  std::stable_sort(
      loaded.mistakes.begin(), loaded.mistakes.end(), [](const Mistake& a, const Mistake& b) {
        return a.position.line != b.position.line ? a.position.line < b.position.line
                                                  : a.position.column < b.position.column;
      });
  return loaded;
}

FileText read_text_file(const std::string& file, std::size_t bytes_max) {
  const auto failed = [](int error) {
    return FileText{{}, std::string("cannot read it: ") + std::strerror(error)};
  };
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return failed(errno);
  struct stat facts {};
  FileText read;
  if (::fstat(fd, &facts) != 0) {
    read = failed(errno);
  } else if (!S_ISREG(facts.st_mode)) {
    read.error = S_ISDIR(facts.st_mode) ? "it is a folder; name a file" : "it is no ordinary file";
  }
  while (read.error.empty() && read.text.size() <= bytes_max) {
    std::array<char, 65'536> piece;
    const ssize_t size = ::read(fd, piece.data(), piece.size());
    if (size == 0) break;
    if (size > 0) {
      read.text.append(piece.data(), static_cast<std::size_t>(size));
    } else if (errno != EINTR) {
      read = failed(errno);
    }
  }
  ::close(fd);
  if (read.text.size() > bytes_max) {
    return {{}, "it is larger than " + std::to_string(bytes_max >> 20) + " MiB"};
  }
  return read;
}

LoadedConfig load_config(const std::string& file) {
  FileText read = read_text_file(file);
  if (!read.error.empty()) {
    LoadedConfig loaded;
    loaded.mistakes.push_back({{}, std::move(read.error)});
    return loaded;
  }
  LoadedConfig loaded = parse_config(read.text, file);
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) == 0) loaded.config.host_name = name.data();
  return loaded;
}

}  // namespace ringway
