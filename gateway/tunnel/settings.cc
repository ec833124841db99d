#include "gateway/tunnel/settings.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>

#include "gateway/config/load.h"
#include "gateway/config/table_reader.h"
#include "gateway/transport/sockaddr.h"

namespace ringway::tunnel {
namespace {

using Failure = std::unexpected<std::string>;
constexpr std::size_t kAddressesMax = 8;  // of one name

// RFC 1918, RFC 4193, RFC 3927, RFC 4291 and RFC 6598.
bool is_private(const Prefix& prefix) {
  for (const char* text : {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10",
                           "169.254.0.0/16", "127.0.0.0/8", "fc00::/7", "fe80::/10", "::1/128"}) {
    const Prefix range = *parse_prefix(text);
    if (prefix.bits >= range.bits && range.contains(prefix.address)) return true;
  }
  return false;
}

// What an address that cannot be read probably lacks.
std::string hint(const std::string& text) {
  if (text.find('[') == text.npos && std::count(text.begin(), text.end(), ':') > 1) {
    return "; an IPv6 address stands in brackets: [2001:db8::1]:2223";
  }
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos) return "; the port is missing";
  const std::string port = text.substr(colon + 1);
  const bool is_number =
      !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == port.npos;
  if (!is_number || std::stoi(port) > 65'535) return "; a port is a number from 1 to 65535";
  return "; it takes an address like 127.0.0.1, and no name";
}

std::expected<RelayAddress, std::string> resolve(const std::string& text) {
  const auto literal = parse_endpoint(text);
  if (literal && literal->port != 0) return RelayAddress{{*literal}, text};
  const std::size_t colon = text.rfind(':');
  if (colon == text.npos || colon == 0 || colon + 1 == text.size()) {
    return Failure("--relay: " + text + " is not HOST:PORT");
  }
  if (text.find(':') != colon)
    return Failure("--relay: " + text + " is not HOST:PORT" + hint(text));
  const auto port = parse_endpoint("127.0.0.1:" + text.substr(colon + 1));
  if (!port || port->port == 0) {
    return Failure("--relay: " + text + " is not HOST:PORT; a port is a number from 1 to 65535");
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code =
      getaddrinfo(text.substr(0, colon).c_str(), text.substr(colon + 1).c_str(), &hints, &found);
  if (code != 0) {
    return Failure("--relay: " + text + ": the name cannot be looked up: " + gai_strerror(code));
  }
  RelayAddress relay{{}, text};
  for (const addrinfo* one = found; one && relay.endpoints.size() < kAddressesMax;
       one = one->ai_next) {
    SocketAddress address{};
    std::copy_n(reinterpret_cast<const std::uint8_t*>(one->ai_addr),
                std::min<std::size_t>(one->ai_addrlen, sizeof address),
                reinterpret_cast<std::uint8_t*>(&address));
    relay.endpoints.push_back(read_socket_address(address));
  }
  freeaddrinfo(found);
  return relay;
}

std::expected<void, std::string> check_common(const Wishes& wishes, Settings& settings) {
  if (wishes.kind != "control" && wishes.kind != "datagrams") {
    return Failure("kind is \"" + wishes.kind + "\"; it can be \"control\" or \"datagrams\"");
  }
  const Carries carries = wishes.kind == "control" ? Carries::Control : Carries::Datagrams;
  settings.controller.link.carries = settings.relay.link.carries = carries;
  settings.controller.link.silence = settings.relay.link.silence = wishes.silence;
  settings.keys = wishes.keys;
  settings.user = wishes.user;
  settings.admin_names = wishes.admin_names;
  for (const std::string& text : wishes.plain) {
    const auto prefix = parse_prefix(text);
    if (!prefix) return Failure("plain: " + text + " is no address and no prefix like 10.0.0.0/24");
    if (!is_private(*prefix)) {
      return Failure("plain: " + text +
                     " is no private network; use --keys, everybody could read and write there");
    }
    settings.plain.push_back(*prefix);
  }
  if (!wishes.keys.empty() && !wishes.plain.empty()) {
    return Failure("keys and plain exclude each other: with keys all connections are TLS");
  }
  if (!wishes.admin.empty()) {
    settings.admin = parse_endpoint(wishes.admin);
    if (!settings.admin) {
      return Failure("admin: " + wishes.admin + " is not ADDRESS:PORT" + hint(wishes.admin));
    }
  }
  return {};
}

std::string plain_refusal(const std::string& what) {
  return what +
         " is not on this host, so the tunnel needs --keys FOLDER (made by `ringway tunnel "
         "keys`), or, in a private network that you trust, --plain PREFIX";
}

std::expected<void, std::string> check_controller(const Wishes& wishes, Settings& settings) {
  if (!wishes.rtpengine.empty()) {
    return Failure(
        "rtpengine is a setting of the relay end, which runs beside it; this is the "
        "controller end");
  }
  if (wishes.listen.empty()) {
    return Failure(
        "a controller end needs --listen, where the SIP server finds its rtpengine: "
        "127.0.0.1:2223 or unix:/run/ringway/ng.sock");
  }
  bool all_unix = true;
  for (const std::string& text : wishes.listen) {
    ListenAddress address;
    address.text = text;
    if (text.starts_with("unix:")) {
      address.unix_socket = true;
      address.path = text.substr(5);
      if (address.path.empty()) return Failure("--listen: unix: is not unix:PATH");
    } else {
      all_unix = false;
      const auto endpoint = parse_endpoint(text);
      if (!endpoint) {
        return Failure("--listen: " + text + " is not ADDRESS:PORT or unix:PATH" + hint(text));
      }
      address.endpoint = *endpoint;
    }
    settings.listen.push_back(address);
  }
  if (wishes.relay.empty()) {
    return Failure("a controller end needs --relay HOST:PORT, where the relay end listens");
  }
  if (wishes.relay.size() > ControllerEnd::kRelaysMax) return Failure("at most eight relay ends");
  for (const std::string& text : wishes.relay) {
    const auto relay = resolve(text);
    if (!relay) return Failure(relay.error());
    for (const Endpoint& endpoint : relay->endpoints) {
      if (settings.keys.empty() && !may_be_plain(endpoint.address, settings.plain)) {
        return Failure(plain_refusal("relay end " + text));
      }
    }
    settings.controller.relays.push_back(*relay);
  }
  settings.controller.connections = wishes.connections;
  settings.controller.timeout = wishes.timeout;
  if (!all_unix) settings.controller.link.message_bytes_max = kDatagramBytesMax;
  if (std::any_of(settings.listen.begin(), settings.listen.end(),
                  [](const ListenAddress& one) { return one.unix_socket; })) {
    settings.controller.link.message_bytes_max = kMessageBytesMax;
  }
  return {};
}

std::expected<void, std::string> check_relay(const Wishes& wishes, Settings& settings) {
  if (!wishes.relay.empty()) {
    return Failure(
        "relay is a setting of the controller end, which connects there; this is the "
        "relay end");
  }
  const auto listen = wishes.listen.size() == 1 ? parse_endpoint(wishes.listen[0]) : std::nullopt;
  if (!listen) {
    return Failure(
        "a relay end needs one --listen ADDRESS:PORT, where the controller end connects" +
        (wishes.listen.size() == 1 ? ": " + wishes.listen[0] + " is none" + hint(wishes.listen[0])
                                   : ""));
  }
  settings.relay_listen = *listen;
  settings.relay_listen_text = wishes.listen[0];
  if (settings.keys.empty() && settings.plain.empty() && !listen->address.is_loopback()) {
    return Failure(plain_refusal("the address to listen on, " + wishes.listen[0] + ","));
  }
  std::string target = wishes.rtpengine;
  settings.target.tcp = target.starts_with("tcp:");
  if (settings.target.tcp || target.starts_with("udp:")) target.erase(0, 4);
  const auto endpoint = parse_endpoint(target);
  if (!endpoint) {
    return Failure(
        "a relay end needs --rtpengine ADDRESS:PORT (its listen-ng), or tcp:ADDRESS:PORT "
        "(its listen-tcp-ng)" +
        (target.empty() ? "" : ": " + target + " is none" + hint(target)));
  }
  if (endpoint->port == 0) {
    return Failure("--rtpengine: " + target + ": a port is a number from 1 to 65535");
  }
  settings.target.endpoint = *endpoint;
  settings.target.text = wishes.rtpengine;
  settings.relay.target = wishes.rtpengine;
  if (settings.target.tcp && settings.relay.link.carries == Carries::Datagrams) {
    return Failure("kind \"datagrams\" cannot go to tcp:, where nothing says where one ends");
  }
  if (wishes.ping != "auto" && wishes.ping != "off") {
    return Failure("ping is \"" + wishes.ping + "\"; it can be \"auto\" or \"off\"");
  }
  settings.relay.ping = wishes.ping == "auto";
  settings.relay.link.message_bytes_max =
      static_cast<std::uint32_t>(settings.target.tcp ? kMessageBytesMax : kDatagramBytesMax);
  return {};
}

}  // namespace

bool may_be_plain(const Address& address, const std::vector<Prefix>& plain) {
  return address.is_loopback() ||
         std::any_of(plain.begin(), plain.end(),
                     [&](const Prefix& prefix) { return prefix.contains(address); });
}

Wishes read_wishes(const std::string& file, std::vector<Mistake>& mistakes) {
  Wishes wishes;
  const FileText read = read_text_file(file);
  if (!read.error.empty()) {
    mistakes.push_back({{}, read.error});
    return wishes;
  }
  const TomlNode root = parse_document(read.text, mistakes);
  if (!mistakes.empty()) return wishes;
  ReadLog log;
  TableReader table(&root, "", log);
  table.read("end", wishes.end);
  table.read("listen", wishes.listen);
  table.read("relay", wishes.relay);
  table.read("rtpengine", wishes.rtpengine);
  table.read_path("keys", wishes.keys, file);
  table.read("plain", wishes.plain);
  table.read("kind", wishes.kind);
  table.read("admin", wishes.admin);
  table.read("admin_names", wishes.admin_names);
  table.read("user", wishes.user);
  table.read("connections", wishes.connections, 1, 8);
  table.read("timeout", wishes.timeout, 100ms, 60s);
  table.read("silence", wishes.silence, 200ms, 60s);
  table.read("ping", wishes.ping);
  table.finish();
  mistakes = log.mistakes;
  if (mistakes.empty() && wishes.end != "controller" && wishes.end != "relay") {
    mistakes.push_back({{},
                        "end must be \"controller\" (beside the SIP server) or \"relay\" "
                        "(beside rtpengine)"});
  }
  return wishes;
}

std::expected<Settings, std::string> check_wishes(const Wishes& wishes, End end) {
  Settings settings;
  settings.end = end;
  if (const auto common = check_common(wishes, settings); !common) return Failure(common.error());
  const auto own =
      end == End::Controller ? check_controller(wishes, settings) : check_relay(wishes, settings);
  if (!own) return Failure(own.error());
  return settings;
}

}  // namespace ringway::tunnel
