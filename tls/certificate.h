#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <vector>

#include "tls/error.h"

// Certificates and keys as files. Everything here allocates and may read files: control thread
// only.

namespace ringway::tls {

// PEM text and where it came from. With an empty text the file is read when it is needed.
struct Pem {
  std::string path;  // a file, or a name for messages if text is given
  std::string text;

  bool empty() const { return path.empty() && text.empty(); }
  friend bool operator==(const Pem&, const Pem&) = default;
};

// The file's text. At most 1 MiB.
[[nodiscard]] std::expected<Pem, Error> load_pem(const Pem& pem);

enum class KeyType : std::uint8_t { Ecdsa, Rsa, Ed25519, Other };

struct CertificateFacts {
  std::string subject;  // common name, else the whole subject
  std::string issuer;
  std::vector<std::string> names;  // SAN: DNS names, addresses and URIs as text
  std::int64_t not_before = 0;     // seconds since 1970
  std::int64_t not_after = 0;
  KeyType key = KeyType::Other;
  std::uint32_t key_bits = 0;
  bool self_signed = false;
};

// The leaf of a chain file.
[[nodiscard]] std::expected<CertificateFacts, Error> describe_certificate(const Pem& chain);

// Checks that both can be read, belong together, are strong enough and valid at `now` (seconds
// since 1970), and describes the leaf.
[[nodiscard]] std::expected<CertificateFacts, Error> check_pair(const Pem& chain, const Pem& key,
                                                                std::int64_t now);

// nextUpdate of the list in the file that ends first, for an alarm before it does; seconds since
// 1970, 0 if none says.
[[nodiscard]] std::expected<std::int64_t, Error> crl_expiry(const Pem& crl);

struct PemPair {
  std::string certificate;
  std::string key;
};

// A self-signed certificate with an ECDSA P-256 key. names: host names, `*.` names and addresses;
// the first is also the common name. Valid from an hour ago.
[[nodiscard]] std::expected<PemPair, Error> make_self_signed(std::span<const std::string> names,
                                                             std::uint32_t days);

}  // namespace ringway::tls
