#pragma once

#include <memory>

// Owners of OpenSSL's objects, for the sources of this folder.

typedef struct bio_st BIO;
typedef struct evp_pkey_st EVP_PKEY;
typedef struct ssl_ctx_st SSL_CTX;
typedef struct x509_st X509;
typedef struct X509_crl_st X509_CRL;

namespace ringway::tls {

struct Release {
  void operator()(BIO* bio) const;
  void operator()(EVP_PKEY* key) const;
  void operator()(SSL_CTX* context) const;
  void operator()(X509* certificate) const;
  void operator()(X509_CRL* list) const;
};

using BioHandle = std::unique_ptr<BIO, Release>;
using KeyHandle = std::unique_ptr<EVP_PKEY, Release>;
using SslContextHandle = std::unique_ptr<SSL_CTX, Release>;
using CertificateHandle = std::unique_ptr<X509, Release>;
using CrlHandle = std::unique_ptr<X509_CRL, Release>;

}  // namespace ringway::tls
