#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tls/certificate.h"
#include "tls/error.h"
#include "tls/identity.h"
#include "tls/trust_store.h"

namespace ringway::tls {

enum class Version : std::uint8_t { Tls12, Tls13 };

struct KeyPair {
  Pem chain;  // leaf first
  Pem key;
  friend bool operator==(const KeyPair&, const KeyPair&) = default;
};

// What one SNI name is answered with.
struct ServerCertificate {
  std::vector<std::string> names{};  // exact, or `*.example.org` for one label; empty: its own SANs
  KeyPair primary{};                 // ECDSA preferred
  KeyPair secondary{};               // for peers that cannot do the first, e.g. RSA; may be empty
  bool is_default = false;  // for clients without or with unknown SNI; else the first is it
  friend bool operator==(const ServerCertificate&, const ServerCertificate&) = default;
};

enum class ClientCertificatePolicy : std::uint8_t {
  None,     // browsers: not asked for
  Request,  // asked for; what comes must be valid, nothing is fine too
  Require,  // trunks: no handshake without a valid one
};

// What a client's certificate has to be issued for (RFC 5280 4.2.1.12). Public CAs issue for
// servers alone from 2026 on, and a SIP server's certificate is shown in both directions (RFC
// 5922 7.1).
enum class ClientPurpose : std::uint8_t {
  ClientOrServer,  // either, or no purpose named
  Client,          // clientAuth, or no purpose named
};

enum class UnknownNamePolicy : std::uint8_t {
  UseDefault,
  Refuse,  // alert unrecognized_name; a client without SNI still gets the default
};

// How one listener answers.
struct ServerProfile {
  std::vector<ServerCertificate> certificates;  // at least one
  Version min_version = Version::Tls12;
  ClientCertificatePolicy client_certificates = ClientCertificatePolicy::None;
  ClientPurpose client_purpose = ClientPurpose::ClientOrServer;
  Pem client_ca;  // required unless None
  Pem client_crl;
  UnknownNamePolicy unknown_name = UnknownNamePolicy::UseDefault;
  friend bool operator==(const ServerProfile&, const ServerProfile&) = default;
};

// How we call a next hop.
struct ClientProfile {
  Pem ca;       // empty: the system's
  KeyPair own;  // shown if asked for; may be empty
  NamePolicy name_policy = NamePolicy::Strict;
  bool verify_chain = true;  // false: anybody may answer; for laboratories
  Version min_version = Version::Tls12;
  Pem crl;
  friend bool operator==(const ClientProfile&, const ClientProfile&) = default;
};

// Keys that session tickets are sealed with. Shared by all shards and kept over reloads, so that a
// ticket is good wherever its owner comes back.
struct TicketKey {
  std::array<std::uint8_t, 16> name{};
  std::array<std::uint8_t, 32> cipher{};
  std::array<std::uint8_t, 32> mac{};

  static TicketKey random();
};
struct TicketKeys {
  TicketKey current;
  std::optional<TicketKey> previous;  // opens tickets, which are then renewed; seals none

  // A fresh current key; the old one becomes the previous.
  TicketKeys rotated() const;
};

struct ContextConfig {
  std::vector<ServerProfile> servers;
  std::vector<ClientProfile> clients;
  friend bool operator==(const ContextConfig&, const ContextConfig&) = default;
};

// Certificates and rules for all sessions of one shard; immutable. A reload or a rotation makes
// another one; sessions keep what they were made from alive.
//
// One for each shard (built from the same config), so that shards do not fight over OpenSSL's
// reference counts. Copies share.
class TlsContext {
 public:
  // Reads files that the config only names; control thread only. trust: where profiles without a CA
  // of their own find the system's; null: each reads it itself.
  [[nodiscard]] static std::expected<TlsContext, Error> build(const ContextConfig& config,
                                                              const TicketKeys& keys,
                                                              SystemTrust* trust = nullptr);

  // The same with other ticket keys; cheap, reads nothing.
  [[nodiscard]] TlsContext with_ticket_keys(const TicketKeys& keys) const;

  // Whether both were made by one build(), perhaps with other ticket keys.
  bool has_profiles_of(const TlsContext& other) const;

  std::size_t server_count() const;
  std::size_t client_count() const;

  struct Data;  // OpenSSL's side; context.cc and session.cc

 private:
  friend class TlsSession;
  explicit TlsContext(std::shared_ptr<const Data> data) : data_(std::move(data)) {}

  std::shared_ptr<const Data> data_;
};

}  // namespace ringway::tls
