#include "tls/context.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>

#include "protocol/base/ascii.h"
#include "tls/context_data.h"
#include "tls/mac.h"
#include "tls/pem.h"
#include "tls/random.h"

namespace ringway::tls {
namespace {

// ECDHE with AEAD only; AES-128-GCM first, since nearly every peer has AES instructions.
constexpr const char* kCiphers12 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
constexpr const char* kCiphers13 =
    "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";
// The hybrid first, where OpenSSL (3.5 and later) has it: what is recorded today stays secret from
// a quantum computer too. RFC 8446 4.2.7: a client that does not know it takes the next.
constexpr const char* kGroupsHybrid = "X25519MLKEM768:X25519:P-256";
constexpr const char* kGroups = "X25519:P-256";

constexpr std::size_t kNameBytesMax = 255;

std::unexpected<Error> failure(ErrorCode code, std::string text) {
  ERR_clear_error();
  return std::unexpected(Error{code, std::move(text)});
}

int links_index() {
  static const int kIndex = SSL_get_ex_new_index(
      0, nullptr, nullptr, nullptr, [](void*, void* links, CRYPTO_EX_DATA*, int, long, void*) {
        const std::unique_ptr<SessionLinks> freed(static_cast<SessionLinks*>(links));
      });
  return kIndex;
}

// Server name indication (RFC 6066 3).

std::string canonical(std::string_view name) {
  if (name.size() > 1 && name.ends_with('.')) name.remove_suffix(1);
  std::string result(name);
  for (char& c : result) c = ascii::to_lower(c);
  return result;
}

SSL_CTX* find_name(const std::vector<ServerName>& names, std::string_view name) {
  const auto found = std::lower_bound(
      names.begin(), names.end(), name,
      [](const ServerName& entry, std::string_view wanted) { return entry.name < wanted; });
  return found != names.end() && found->name == name ? found->context : nullptr;
}

int choose_certificate(SSL* ssl, int* alert, void*) {
  const SessionLinks* const links = links_of(ssl);
  const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (links == nullptr || links->server == nullptr || name == nullptr) return SSL_TLSEXT_ERR_NOACK;
  SSL_CTX* const context = find_server_context(*links->server, name);
  if (context != nullptr) {
    SSL_set_SSL_CTX(ssl, context);
    return SSL_TLSEXT_ERR_OK;
  }
  if (links->server->unknown_name == UnknownNamePolicy::UseDefault) return SSL_TLSEXT_ERR_NOACK;
  *alert = SSL_AD_UNRECOGNIZED_NAME;
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// ALPN (RFC 7301 3.2): WebSocket needs http/1.1, SIP over TLS is sip (IANA).
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size,
                    const unsigned char* offered, unsigned offered_size, void*) {
  for (const std::string_view ours : {std::string_view("http/1.1"), std::string_view("sip")}) {
    Bytes rest(offered, offered_size);
    while (!rest.empty() && rest[0] < rest.size()) {
      const Bytes name = rest.subspan(1, rest[0]);
      if (as_text(name) == ours) {
        *chosen = name.data();
        *size = rest[0];
        return SSL_TLSEXT_ERR_OK;
      }
      rest = rest.subspan(1 + name.size());
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// Session tickets (RFC 5077 4; also the form of OpenSSL's TLS 1.3 tickets).

bool key_ticket(const TicketKey& key, const unsigned char* iv, EVP_CIPHER_CTX* cipher,
                EVP_MAC_CTX* mac, bool seal) {
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY,
                                        const_cast<std::uint8_t*>(key.mac.data()), key.mac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, const_cast<char*>("SHA256"), 0),
      OSSL_PARAM_construct_end()};
  return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key.cipher.data(), iv,
                           seal ? 1 : 0) == 1 &&
         EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

// Returns as SSL_CTX_set_tlsext_ticket_key_evp_cb asks: -1 error, 0 unknown key, 1 fine, 2 fine but
// send a new ticket.
int ticket_key(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
               EVP_MAC_CTX* mac, int seal) {
  const SessionLinks* const links = links_of(ssl);
  if (links == nullptr) return -1;
  const TicketKeys& keys = links->data->keys;
  if (seal != 0) {
    std::memcpy(name, keys.current.name.data(), keys.current.name.size());
    fill_random({iv, static_cast<std::size_t>(EVP_CIPHER_get_iv_length(EVP_aes_256_cbc()))});
    return key_ticket(keys.current, iv, cipher, mac, true) ? 1 : -1;
  }
  const Bytes wanted(name, keys.current.name.size());
  if (equal_in_constant_time(wanted, keys.current.name)) {
    // TLS 1.3 tickets are used once (RFC 8446 C.4), so each resumption earns the next one.
    const int fine = SSL_version(ssl) == TLS1_3_VERSION ? 2 : 1;
    return key_ticket(keys.current, iv, cipher, mac, false) ? fine : -1;
  }
  if (keys.previous && equal_in_constant_time(wanted, keys.previous->name)) {
    return key_ticket(*keys.previous, iv, cipher, mac, false) ? 2 : -1;
  }
  return 0;
}

// Issued for TLS, in either direction, or for no purpose in particular.
bool speaks_tls(X509& leaf) {
  if ((X509_get_extension_flags(&leaf) & EXFLAG_XKUSAGE) == 0) return true;
  constexpr std::uint32_t kPurposes = XKU_SSL_CLIENT | XKU_SSL_SERVER | XKU_ANYEKU;
  return (X509_get_extended_key_usage(&leaf) & kPurposes) != 0;
}

// Verification by chain, then by name (RFC 5922 7.3), within the handshake: a peer that fails gets
// an alert and never any data.
int verify_peer(X509_STORE_CTX* store, void*) {
  if (X509_verify_cert(store) != 1) return 0;
  const SSL* const ssl = static_cast<const SSL*>(
      X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  const SessionLinks* const links = links_of(ssl);
  X509* const leaf = X509_STORE_CTX_get0_cert(store);
  if (links == nullptr || links->client == nullptr) {
    if (speaks_tls(*leaf)) return 1;
    X509_STORE_CTX_set_error(store, X509_V_ERR_INVALID_PURPOSE);
    return 0;
  }
  if (matches(identities_of(*leaf), links->peer_name, links->client->name_policy)) return 1;
  X509_STORE_CTX_set_error(store, X509_V_ERR_HOSTNAME_MISMATCH);
  return 0;
}

std::expected<SslContextHandle, Error> make_context(const SSL_METHOD* method, Version min_version) {
  // One library context for all threads.
  SslContextHandle context(SSL_CTX_new(method));
  SSL_CTX* const ctx = context.get();
  const int min = min_version == Version::Tls13 ? TLS1_3_VERSION : TLS1_2_VERSION;
  if (ctx == nullptr || SSL_CTX_set_min_proto_version(ctx, min) != 1 ||
      SSL_CTX_set_cipher_list(ctx, kCiphers12) != 1 ||
      SSL_CTX_set_ciphersuites(ctx, kCiphers13) != 1 ||
      (SSL_CTX_set1_groups_list(ctx, kGroupsHybrid) != 1 &&
       SSL_CTX_set1_groups_list(ctx, kGroups) != 1)) {
    return failure(ErrorCode::Internal, "OpenSSL cannot be set up (" + take_error_text() + ")");
  }
  ERR_clear_error();  // an OpenSSL without the hybrid group says so
  // AUTO_RETRY off: a record without data ends a call, so that sessions can count them.
  SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  SSL_CTX_set_read_ahead(ctx, 0);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_max_cert_list(ctx, 32 * 1024);
  return context;
}

std::expected<void, Error> use_pair(SSL_CTX* context, const KeyPair& pair) {
  const auto loaded = read_pair(pair.chain, pair.key);
  if (!loaded) return std::unexpected(loaded.error());
  bool used = SSL_CTX_use_certificate(context, loaded->chain.front().get()) == 1 &&
              SSL_CTX_use_PrivateKey(context, loaded->key.get()) == 1;
  SSL_CTX_clear_chain_certs(context);
  for (std::size_t i = 1; i < loaded->chain.size(); ++i) {
    used = used && SSL_CTX_add1_chain_cert(context, loaded->chain[i].get()) == 1;
  }
  if (!used) {
    return failure(ErrorCode::CertificateUnusable,
                   pair.chain.path + ": cannot be used for TLS (" + take_error_text() + ")");
  }
  return {};
}

std::expected<void, Error> use_ca(SSL_CTX* context, const Pem& ca, bool announce) {
  const auto certificates = read_certificates(ca);
  if (!certificates) return std::unexpected(certificates.error());
  for (const CertificateHandle& certificate : *certificates) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate.get()) != 1 ||
        (announce && SSL_CTX_add_client_CA(context, certificate.get()) != 1)) {
      return failure(ErrorCode::CertificateUnusable,
                     ca.path + ": cannot be used as CA (" + take_error_text() + ")");
    }
  }
  return {};
}

std::expected<void, Error> use_crl(SSL_CTX* context, const Pem& crl) {
  if (crl.empty()) return {};
  const auto lists = read_crls(crl);
  if (!lists) return std::unexpected(lists.error());
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  for (const CrlHandle& list : *lists) {
    if (X509_STORE_add_crl(store, list.get()) != 1) {
      return failure(ErrorCode::RevocationListUnusable,
                     crl.path + ": cannot be used (" + take_error_text() + ")");
    }
  }
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
  return {};
}

std::expected<void, Error> ask_for_certificate(SSL_CTX* context, const ServerProfile& profile) {
  // Every handshake is verified anew, so that a revocation counts at once: no resumption. Peers
  // with certificates are trunks, few and long-lived.
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(context, 0);
  // Their sessions are also kept apart from those of browsers, which share the ticket keys.
  constexpr std::string_view kSessionContext = "ringway peer";
  SSL_CTX_set_session_id_context(context, as_bytes(kSessionContext).data(), kSessionContext.size());
  int mode = SSL_VERIFY_PEER;
  if (profile.client_certificates == ClientCertificatePolicy::Require) {
    mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  }
  SSL_CTX_set_verify(context, mode, nullptr);
  SSL_CTX_set_cert_verify_callback(context, verify_peer, nullptr);
  if (profile.client_purpose == ClientPurpose::ClientOrServer) {
    SSL_CTX_set_purpose(context, X509_PURPOSE_ANY);  // verify_peer looks at it
  }
  if (profile.client_ca.empty()) {
    return failure(ErrorCode::CertificateUnusable,
                   "client certificates are asked for, but no CA is named to check them with");
  }
  const auto ca = use_ca(context, profile.client_ca, true);
  if (!ca) return ca;
  return use_crl(context, profile.client_crl);
}

std::expected<SslContextHandle, Error> make_server_context(const ServerProfile& profile,
                                                           const ServerCertificate& certificate) {
  auto context = make_context(TLS_server_method(), profile.min_version);
  if (!context) return context;
  SSL_CTX* const ctx = context->get();
  SSL_CTX_set_num_tickets(ctx, 1);
  SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, ticket_key);
  SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, nullptr);
  SSL_CTX_set_tlsext_servername_callback(ctx, choose_certificate);
  constexpr std::string_view kSessionContext = "ringway";
  SSL_CTX_set_session_id_context(ctx, as_bytes(kSessionContext).data(), kSessionContext.size());
  auto used = use_pair(ctx, certificate.primary);
  if (used && !certificate.secondary.chain.empty()) used = use_pair(ctx, certificate.secondary);
  if (used && profile.client_certificates != ClientCertificatePolicy::None) {
    used = ask_for_certificate(ctx, profile);
  }
  if (!used) return std::unexpected(used.error());
  return context;
}

std::expected<void, Error> add_names(ServerSide& side, const ServerCertificate& certificate,
                                     SSL_CTX* context) {
  std::vector<std::string> names = certificate.names;
  if (names.empty()) {
    names = identities_of(*SSL_CTX_get0_certificate(context)).dns_names;
  }
  for (const std::string& written : names) {
    std::string name = canonical(written);
    const bool wildcard = name.starts_with("*.");
    if (wildcard) name.erase(0, 1);
    if (name.empty() || name.size() > kNameBytesMax || name.find('*') != name.npos) {
      return failure(ErrorCode::CertificateUnusable,
                     "'" + written + "' is no server name; write a host name or `*.` and a domain");
    }
    auto& list = wildcard ? side.wildcards : side.exact;
    list.push_back({std::move(name), context});
  }
  return {};
}

std::expected<ServerSide, Error> make_server(const ServerProfile& profile) {
  if (profile.certificates.empty()) {
    return failure(ErrorCode::CertificateUnusable, "a TLS listener needs a certificate");
  }
  ServerSide side;
  side.unknown_name = profile.unknown_name;
  for (const ServerCertificate& certificate : profile.certificates) {
    auto context = make_server_context(profile, certificate);
    if (!context) return std::unexpected(context.error());
    if (side.fallback == nullptr || certificate.is_default) side.fallback = context->get();
    const auto named = add_names(side, certificate, context->get());
    if (!named) return std::unexpected(named.error());
    side.contexts.push_back(std::move(*context));
  }
  const auto by_name = [](const ServerName& a, const ServerName& b) { return a.name < b.name; };
  // Stable: of two certificates for one name the first in the config counts.
  std::stable_sort(side.exact.begin(), side.exact.end(), by_name);
  std::stable_sort(side.wildcards.begin(), side.wildcards.end(), by_name);
  return side;
}

std::expected<ClientSide, Error> make_client(const ClientProfile& profile, SystemTrust* trust) {
  auto context = make_context(TLS_client_method(), profile.min_version);
  if (!context) return std::unexpected(context.error());
  ClientSide side{std::move(*context), profile.name_policy, profile.verify_chain};
  SSL_CTX* const ctx = side.context.get();
  if (!profile.own.chain.empty()) {
    const auto used = use_pair(ctx, profile.own);
    if (!used) return std::unexpected(used.error());
  }
  if (!profile.verify_chain) return side;
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(ctx, verify_peer, nullptr);
  if (profile.ca.empty() && profile.crl.empty() && trust) {
    const auto store = trust->store();
    if (!store) return std::unexpected(store.error());
    SSL_CTX_set1_cert_store(ctx, *store);
  } else if (profile.ca.empty()) {
    if (SSL_CTX_set_default_verify_paths(ctx) != 1) {
      return failure(ErrorCode::FileUnreadable,
                     "the system's CA certificates cannot be read; install ca-certificates");
    }
  } else if (const auto used = use_ca(ctx, profile.ca, false); !used) {
    return std::unexpected(used.error());
  }
  const auto used = use_crl(ctx, profile.crl);
  if (!used) return std::unexpected(used.error());
  return side;
}

}  // namespace

SSL_CTX* find_server_context(const ServerSide& side, std::string_view name) {
  if (name.size() > kNameBytesMax + 1) return nullptr;
  char memory[kNameBytesMax + 1];
  if (name.size() > 1 && name.ends_with('.')) name.remove_suffix(1);
  for (std::size_t i = 0; i < name.size(); ++i) memory[i] = ascii::to_lower(name[i]);
  const std::string_view lower(memory, name.size());
  if (SSL_CTX* const exact = find_name(side.exact, lower)) return exact;
  const std::size_t dot = lower.find('.');
  if (dot == lower.npos || dot == 0) return nullptr;
  return find_name(side.wildcards, lower.substr(dot));
}

bool attach_links(SSL* ssl, std::unique_ptr<SessionLinks> links) {
  if (SSL_set_ex_data(ssl, links_index(), links.get()) != 1) return false;
  links.release();  // freed with ssl
  return true;
}

const SessionLinks* links_of(const SSL* ssl) {
  return static_cast<const SessionLinks*>(SSL_get_ex_data(ssl, links_index()));
}

TicketKey TicketKey::random() {
  return {random_bytes<16>(), random_bytes<32>(), random_bytes<32>()};
}

TicketKeys TicketKeys::rotated() const {
  return {TicketKey::random(), current};
}

std::expected<TlsContext, Error> TlsContext::build(const ContextConfig& config,
                                                   const TicketKeys& keys, SystemTrust* trust) {
  Profiles profiles;
  for (const ServerProfile& profile : config.servers) {
    auto side = make_server(profile);
    if (!side) return std::unexpected(side.error());
    profiles.servers.push_back(std::move(*side));
  }
  for (const ClientProfile& profile : config.clients) {
    auto side = make_client(profile, trust);
    if (!side) return std::unexpected(side.error());
    profiles.clients.push_back(std::move(*side));
  }
  return TlsContext(std::make_shared<const Data>(
      Data{std::make_shared<const Profiles>(std::move(profiles)), keys}));
}

TlsContext TlsContext::with_ticket_keys(const TicketKeys& keys) const {
  return TlsContext(std::make_shared<const Data>(Data{data_->profiles, keys}));
}

bool TlsContext::has_profiles_of(const TlsContext& other) const {
  return data_->profiles == other.data_->profiles;
}

std::size_t TlsContext::server_count() const {
  return data_->profiles->servers.size();
}
std::size_t TlsContext::client_count() const {
  return data_->profiles->clients.size();
}

}  // namespace ringway::tls
