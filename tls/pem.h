#pragma once

#include <expected>
#include <string_view>
#include <vector>

#include "tls/certificate.h"
#include "tls/error.h"
#include "tls/handles.h"
#include "tls/identity.h"

namespace ringway::tls {

// PEM text to OpenSSL's objects, for the sources of this folder. Files are read if need be.

// At least one; the leaf first.
[[nodiscard]] std::expected<std::vector<CertificateHandle>, Error> read_certificates(
    const Pem& pem);
[[nodiscard]] std::expected<KeyHandle, Error> read_key(const Pem& pem);
// At least one.
[[nodiscard]] std::expected<std::vector<CrlHandle>, Error> read_crls(const Pem& pem);

// A chain and the key of its leaf, checked to belong together and to be strong enough.
struct LoadedPair {
  std::vector<CertificateHandle> chain;
  KeyHandle key;
};
[[nodiscard]] std::expected<LoadedPair, Error> read_pair(const Pem& chain, const Pem& key);

CertificateIdentities identities_of(X509& certificate);

}  // namespace ringway::tls
