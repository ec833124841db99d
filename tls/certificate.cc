#include "tls/certificate.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <ctime>

#include "tls/pem.h"
#include "tls/random.h"

namespace ringway::tls {
namespace {

std::int64_t seconds_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  return timegm(&parts);
}

KeyType key_type_of(const EVP_PKEY& key) {
  switch (EVP_PKEY_get_base_id(&key)) {
    case EVP_PKEY_EC:
      return KeyType::Ecdsa;
    case EVP_PKEY_RSA:
      return KeyType::Rsa;
    case EVP_PKEY_ED25519:
      return KeyType::Ed25519;
    default:
      return KeyType::Other;
  }
}

std::string text_in(const BioHandle& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

std::string name_text(const X509_NAME* name) {
  const BioHandle bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr || X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253) < 0) return {};
  return text_in(bio);
}

CertificateFacts facts_of(X509& certificate) {
  CertificateFacts facts;
  const CertificateIdentities identities = identities_of(certificate);
  facts.subject = identities.common_name.empty() ? name_text(X509_get_subject_name(&certificate))
                                                 : identities.common_name;
  facts.issuer = name_text(X509_get_issuer_name(&certificate));
  facts.names = identities.dns_names;
  facts.names.insert(facts.names.end(), identities.addresses.begin(), identities.addresses.end());
  for (const std::string& domain : identities.sip_domains) facts.names.push_back("sip:" + domain);
  facts.not_before = seconds_of(X509_get0_notBefore(&certificate));
  facts.not_after = seconds_of(X509_get0_notAfter(&certificate));
  if (const EVP_PKEY* const key = X509_get0_pubkey(&certificate)) {
    facts.key = key_type_of(*key);
    facts.key_bits = static_cast<std::uint32_t>(EVP_PKEY_get_bits(key));
  }
  facts.self_signed = X509_self_signed(&certificate, 0) == 1;
  ERR_clear_error();
  return facts;
}

std::string date_text(std::int64_t seconds) {
  const std::time_t time = seconds;
  std::tm parts{};
  char text[32] = "";
  gmtime_r(&time, &parts);
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts);
  return text;
}

bool add_extension(X509& certificate, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, &certificate, &certificate, nullptr, nullptr, 0);
  X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (extension == nullptr) return false;
  const bool added = X509_add_ext(&certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

// "DNS:example.org,IP:192.0.2.1". Names go into OpenSSL's own configuration syntax, so nothing but
// the characters of host names and addresses may pass.
std::expected<std::string, Error> alternative_names(std::span<const std::string> names) {
  std::string value;
  for (const std::string& name : names) {
    const bool plain = !name.empty() && name.find_first_not_of(
                                            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                            "0123456789.-_*:") == name.npos;
    if (!plain) {
      return std::unexpected(Error{ErrorCode::CertificateUnusable,
                                   "'" + name + "' is no host name or address for a certificate"});
    }
    const bool address =
        name.find(':') != name.npos || name.find_first_not_of("0123456789.") == name.npos;
    value += (value.empty() ? "" : ",") + std::string(address ? "IP:" : "DNS:") + name;
  }
  return value;
}

bool fill(X509& certificate, EVP_PKEY& key, const std::string& common_name,
          const std::string& alternatives, std::uint32_t days) {
  auto serial = random_bytes<8>();
  serial[0] &= 0x7f;  // RFC 5280 4.1.2.2: positive
  X509_NAME* const name = X509_get_subject_name(&certificate);
  constexpr long kHour = 3600;
  // RFC 5280: at most 64 characters; longer ones live in the alternative names alone.
  const std::string short_name = common_name.size() <= 64 ? common_name : "ringway";
  return X509_set_version(&certificate, X509_VERSION_3) == 1 &&
         ASN1_INTEGER_set_uint64(X509_get_serialNumber(&certificate), read_u64(serial)) == 1 &&
         X509_gmtime_adj(X509_getm_notBefore(&certificate), -kHour) != nullptr &&
         X509_time_adj_ex(X509_getm_notAfter(&certificate), static_cast<int>(days), 0, nullptr) !=
             nullptr &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, as_bytes(short_name).data(),
                                    static_cast<int>(short_name.size()), -1, 0) == 1 &&
         X509_set_issuer_name(&certificate, name) == 1 &&
         X509_set_pubkey(&certificate, &key) == 1 &&
         add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
         add_extension(certificate, NID_key_usage, "critical,digitalSignature,keyCertSign") &&
         add_extension(certificate, NID_ext_key_usage, "serverAuth,clientAuth") &&
         add_extension(certificate, NID_subject_key_identifier, "hash") &&
         add_extension(certificate, NID_subject_alt_name, alternatives) &&
         X509_sign(&certificate, &key, EVP_sha256()) > 0;
}

}  // namespace

std::expected<CertificateFacts, Error> describe_certificate(const Pem& chain) {
  const auto certificates = read_certificates(chain);
  if (!certificates) return std::unexpected(certificates.error());
  return facts_of(*certificates->front());
}

std::expected<CertificateFacts, Error> check_pair(const Pem& chain, const Pem& key,
                                                  std::int64_t now) {
  const auto pair = read_pair(chain, key);
  if (!pair) return std::unexpected(pair.error());
  CertificateFacts facts = facts_of(*pair->chain.front());
  if (now > facts.not_after) {
    return std::unexpected(Error{
        ErrorCode::CertificateExpired,
        chain.path + ": the certificate ended on " + date_text(facts.not_after) + "; renew it"});
  }
  if (now < facts.not_before) {
    return std::unexpected(Error{ErrorCode::CertificateExpired,
                                 chain.path + ": the certificate begins only on " +
                                     date_text(facts.not_before) + "; is this clock right?"});
  }
  return facts;
}

std::expected<std::int64_t, Error> crl_expiry(const Pem& crl) {
  const auto lists = read_crls(crl);
  if (!lists) return std::unexpected(lists.error());
  std::int64_t first = 0;
  for (const CrlHandle& list : *lists) {
    const std::int64_t next = seconds_of(X509_CRL_get0_nextUpdate(list.get()));
    if (next != 0 && (first == 0 || next < first)) first = next;
  }
  return first;
}

std::expected<PemPair, Error> make_self_signed(std::span<const std::string> names,
                                               std::uint32_t days) {
  if (names.empty() || days == 0 || days > 36500) {
    return std::unexpected(Error{ErrorCode::CertificateUnusable,
                                 "a certificate needs a name and a life of 1 to 36500 days"});
  }
  const auto alternatives = alternative_names(names);
  if (!alternatives) return std::unexpected(alternatives.error());
  const KeyHandle key(EVP_EC_gen("P-256"));
  const CertificateHandle certificate(X509_new());
  const BioHandle certificate_text(BIO_new(BIO_s_mem()));
  const BioHandle key_text(BIO_new(BIO_s_mem()));
  if (key == nullptr || certificate == nullptr || certificate_text == nullptr ||
      key_text == nullptr || !fill(*certificate, *key, names.front(), *alternatives, days) ||
      PEM_write_bio_X509(certificate_text.get(), certificate.get()) != 1 ||
      PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
          1) {
    return std::unexpected(Error{ErrorCode::CertificateUnusable,
                                 "a certificate cannot be made (" + take_error_text() + ")"});
  }
  return PemPair{text_in(certificate_text), text_in(key_text)};
}

}  // namespace ringway::tls
