#include "tests/tls/pki.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <cstring>

namespace ringway::tls::test {
namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

template <typename Print>
std::string print(Print write) {
  BIO* const bio = BIO_new(BIO_s_mem());
  require(write(bio) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  return text;
}

void extend(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  require(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

void name(X509_NAME* subject, const std::string& common_name) {
  require(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                     reinterpret_cast<const unsigned char*>(common_name.c_str()),
                                     -1, -1, 0) == 1);
}

X509* begin(EVP_PKEY* key, const std::string& common_name, long serial, long from, long until) {
  X509* const certificate = X509_new();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), from);
  X509_gmtime_adj(X509_getm_notAfter(certificate), until);
  name(X509_get_subject_name(certificate), common_name);
  X509_set_pubkey(certificate, key);
  return certificate;
}

}  // namespace

Authority::Authority(const std::string& common_name) : key_(EVP_EC_gen("P-256")) {
  certificate_ = begin(key_, common_name, 1, -7200, 864000);
  X509_set_issuer_name(certificate_, X509_get_subject_name(certificate_));
  extend(certificate_, certificate_, NID_basic_constraints, "critical,CA:TRUE");
  extend(certificate_, certificate_, NID_key_usage, "critical,keyCertSign,cRLSign");
  extend(certificate_, certificate_, NID_subject_key_identifier, "hash");
  require(X509_sign(certificate_, key_, EVP_sha256()) > 0);
}

Authority::~Authority() {
  X509_free(certificate_);
  EVP_PKEY_free(key_);
}

Pem Authority::pem() const {
  return {"ca.pem", print([this](BIO* bio) { return PEM_write_bio_X509(bio, certificate_); })};
}

KeyPair Authority::issue(const Order& order) const {
  EVP_PKEY* const key =
      std::strcmp(order.key, "RSA") == 0 ? EVP_RSA_gen(2048) : EVP_EC_gen(order.key);
  X509* const leaf =
      begin(key, order.common_name, order.serial, order.valid_from, order.valid_until);
  X509_set_issuer_name(leaf, X509_get_subject_name(certificate_));
  extend(leaf, certificate_, NID_basic_constraints, "CA:FALSE");
  extend(leaf, certificate_, NID_ext_key_usage, order.purpose);
  if (!order.alternative_names.empty()) {
    extend(leaf, certificate_, NID_subject_alt_name, order.alternative_names);
  }
  require(X509_sign(leaf, key_, EVP_sha256()) > 0);
  KeyPair pair;
  pair.chain = {order.common_name + ".pem",
                print([leaf](BIO* bio) { return PEM_write_bio_X509(bio, leaf); })};
  pair.key = {order.common_name + ".key", print([key](BIO* bio) {
                return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
              })};
  X509_free(leaf);
  EVP_PKEY_free(key);
  return pair;
}

Pem Authority::revoke(const std::vector<long>& serials, long next_update) const {
  X509_CRL* const list = X509_CRL_new();
  X509_CRL_set_version(list, X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(list, X509_get_subject_name(certificate_));
  ASN1_TIME* const time = X509_gmtime_adj(nullptr, -3600);
  X509_CRL_set1_lastUpdate(list, time);
  for (const long serial : serials) {
    X509_REVOKED* const entry = X509_REVOKED_new();
    ASN1_INTEGER* const number = ASN1_INTEGER_new();
    ASN1_INTEGER_set(number, serial);
    X509_REVOKED_set_serialNumber(entry, number);
    X509_REVOKED_set_revocationDate(entry, time);
    X509_CRL_add0_revoked(list, entry);
    ASN1_INTEGER_free(number);
  }
  X509_gmtime_adj(time, next_update);
  X509_CRL_set1_nextUpdate(list, time);
  ASN1_TIME_free(time);
  require(X509_CRL_sign(list, key_, EVP_sha256()) > 0);
  Pem pem{"crl.pem", print([list](BIO* bio) { return PEM_write_bio_X509_CRL(bio, list); })};
  X509_CRL_free(list);
  return pem;
}

}  // namespace ringway::tls::test
