#include "gateway/config/validate_peers.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "gateway/base/prefix.h"
#include "gateway/config/next_hop_address.h"
#include "protocol/base/ascii.h"

namespace ringway {
namespace {

std::string place(const char* table, std::size_t index) {
  return std::string(table) + "[" + std::to_string(index) + "]";
}

bool has_side(const Config& config, Side side) {
  return std::ranges::any_of(config.listen,
                             [&](const ListenConfig& listen) { return listen.side == side; });
}

void check_listener(const ListenConfig& listen, const std::string& path, const Locations& locations,
                    const AddMistake& add) {
  const auto has = [&](const char* key) { return locations.contains(path + key); };
  if (!is_websocket(listen.transport) && !has(".side") && has(".address") &&
      (listen.address.address.is_any() || !is_private(listen.address.address))) {
    add(path + ".address",
        "this address may be reached by anybody, so say who speaks there: side = \"network\" for "
        "SIP servers (next hops and [[trusted]]), side = \"access\" for phones and browsers");
  }
  if (listen.side == Side::Network && has(".admission")) {
    add(path + ".admission",
        "admission is for side \"access\"; who may speak on the network side is said by "
        "[[next_hop]] with its members, and by [[trusted]]");
  }
  if (has(".client_certificate_purpose")) {
    if (!is_secure(listen.transport)) {
      add(path + ".client_certificate_purpose",
          "client_certificate_purpose is for transport \"tls\" or \"wss\"");
    } else if (listen.client_certificates == ClientCertificates::Ignore) {
      add(path + ".client_certificate_purpose",
          "client_certificate_purpose has no effect: set client_certificates to \"request\" or "
          "\"require\"");
    }
  }
}

// A prefix for everybody would make everybody that peer.
bool is_everybody(const Prefix& prefix) {
  return prefix.bits == 0;
}

void check_next_hop(const NextHopConfig& next_hop, const std::string& path,
                    const Locations& locations, const AddMistake& add) {
  for (std::size_t i = 0; i < next_hop.members.size(); ++i) {
    const std::string& member = next_hop.members[i];
    const std::string at = path + ".members[" + std::to_string(i) + "]";
    if (const auto prefix = parse_prefix(member)) {
      if (is_everybody(*prefix)) add(at, "\"" + member + "\" makes everybody this next hop");
      continue;
    }
    const auto host = parse_host_port(member);
    if (!host || host->port != 0) {
      add(at, "\"" + member +
                  "\" is no prefix like \"192.0.2.0/24\" and no host name like "
                  "\"sbc2.example.org\"; members have no ports");
    }
  }
  if (next_hop.tls_verify == TlsVerify::None &&
      (!next_hop.tls_ca_file.empty() || !next_hop.tls_crl_file.empty())) {
    add(path + ".tls_verify",
        "with tls_verify = \"none\" every certificate is accepted, so tls_ca and tls_crl have no "
        "effect: take out one or the other");
  }
  if (next_hop.transport && *next_hop.transport != Transport::Tls &&
      locations.contains(path + ".tls_verify")) {
    add(path + ".tls_verify",
        "tls_verify has no effect over " + std::string(scheme_text(*next_hop.transport)));
  }
}

void check_from(const Config& config, const AddMistake& add) {
  if (config.next_hops.empty() || !has_side(config, Side::Access)) return;
  if (std::ranges::any_of(config.next_hops, [](const NextHopConfig& next_hop) {
        return next_hop.from != NextHopFrom::Network;
      })) {
    return;
  }
  add(place("next_hop", 0),
      "no next hop takes requests from user agents: one with domains is for the network side "
      "unless it says from = \"both\" or from = \"access\"");
}

void check_trusted(const TrustedConfig& trusted, const std::string& path, const AddMistake& add) {
  if (trusted.prefixes.empty()) {
    add(path, "prefixes is missing, like prefixes = [\"192.0.2.0/24\"]");
  }
  for (std::size_t i = 0; i < trusted.prefixes.size(); ++i) {
    const std::string& text = trusted.prefixes[i];
    const auto prefix = parse_prefix(text);
    const std::string at = path + ".prefixes[" + std::to_string(i) + "]";
    if (!prefix) add(at, "\"" + text + "\" is no address or prefix like \"192.0.2.0/24\"");
    if (prefix && is_everybody(*prefix)) add(at, "\"" + text + "\" makes everybody trusted");
  }
}

bool is_header_name(std::string_view name) {
  return !name.empty() && name.size() <= 128 && std::ranges::all_of(name, ascii::is_token);
}

// Header fields without which a message is no message, or that the gateway writes itself.
bool is_needed(std::string_view name) {
  static constexpr std::string_view kNeeded[] = {"Via",
                                                 "v",
                                                 "From",
                                                 "f",
                                                 "To",
                                                 "t",
                                                 "Call-ID",
                                                 "i",
                                                 "CSeq",
                                                 "Max-Forwards",
                                                 "Contact",
                                                 "m",
                                                 "Route",
                                                 "l",
                                                 "Record-Route",
                                                 "Content-Type",
                                                 "Content-Length",
                                                 "c",
                                                 "Require",
                                                 "Expires",
                                                 "Supported",
                                                 "k",
                                                 "Max-Breadth",
                                                 "Authorization",
                                                 "Proxy-Authorization"};
  return std::ranges::any_of(
      kNeeded, [&](std::string_view needed) { return ascii::equal_ignoring_case(needed, name); });
}

void check_header_rule(const HeaderRuleConfig& rule, const std::string& path,
                       const Locations& locations, const AddMistake& add) {
  const auto has = [&](const char* key) { return locations.contains(path + key); };
  if (!has(".side")) {
    add(path, "side is missing: \"access\" or \"network\", where the messages come from");
  }
  if (!has(".remove") && !has(".keep") && !has(".add")) {
    add(path, "this rule does nothing: remove, keep or add is missing");
  }
  const auto check_name = [&](std::string_view name, const std::string& key) {
    if (!is_header_name(name)) {
      add(path + "." + key, "\"" + std::string(name) + "\" is no name of a header field");
    } else if (is_needed(name)) {
      add(path + "." + key,
          std::string(name) + " is needed by the gateway itself and cannot be touched by a rule");
    }
  };
  for (const std::string& name : rule.remove) check_name(name, "remove");
  for (const std::string& name : rule.keep) check_name(name, "keep");
  constexpr std::size_t kLineBytesMax = 512;
  for (const std::string& line : rule.add) {
    const std::size_t colon = line.find(':');
    std::string_view name = std::string_view(line).substr(0, colon);
    while (!name.empty() && ascii::is_space(name.back())) name.remove_suffix(1);
    if (colon == line.npos || line.size() > kLineBytesMax ||
        line.find_first_of("\r\n") != line.npos) {
      add(path + ".add", "\"" + line.substr(0, 40) +
                             "\" is no header field like \"X-Edge: berlin\" of one line, at most " +
                             std::to_string(kLineBytesMax) + " bytes");
      continue;
    }
    check_name(name, "add");
  }
  constexpr std::size_t kNamesMax = 32;
  if (rule.remove.size() > kNamesMax || rule.keep.size() > kNamesMax ||
      rule.add.size() > kNamesMax) {
    add(path, "a rule has at most " + std::to_string(kNamesMax) + " names of a kind");
  }
}

}  // namespace

void validate_peers(const Config& config, const Locations& locations, const AddMistake& add) {
  for (std::size_t i = 0; i < config.listen.size(); ++i) {
    check_listener(config.listen[i], place("listen", i), locations, add);
  }
  for (std::size_t i = 0; i < config.next_hops.size(); ++i) {
    check_next_hop(config.next_hops[i], place("next_hop", i), locations, add);
  }
  check_from(config, add);
  for (std::size_t i = 0; i < config.trusted.size(); ++i) {
    check_trusted(config.trusted[i], place("trusted", i), add);
  }
  if (!config.trusted.empty() && !has_side(config, Side::Network)) {
    add("trusted[0]", "trusted servers speak on the network side, and no [[listen]] has it");
  }
  constexpr std::size_t kHeaderRulesMax = 16;
  if (config.header_rules.size() > kHeaderRulesMax) {
    add(place("header", kHeaderRulesMax), "there are more than 16 [[header]]");
  }
  for (std::size_t i = 0; i < config.header_rules.size(); ++i) {
    check_header_rule(config.header_rules[i], place("header", i), locations, add);
  }
}

}  // namespace ringway
