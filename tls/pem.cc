#include "tls/pem.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "protocol/base/bytes.h"

namespace ringway::tls {
namespace {

constexpr std::size_t kFileBytesMax = 1024 * 1024;

std::unexpected<Error> error(ErrorCode code, std::string text) {
  ERR_clear_error();
  return std::unexpected(Error{code, std::move(text)});
}

BioHandle bio_over(const std::string& text) {
  return BioHandle(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// Never asks at a terminal; notes that it was asked.
int refuse_password(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return 0;
}

std::string_view text_of(const ASN1_STRING& string) {
  return as_text(
      {ASN1_STRING_get0_data(&string), static_cast<std::size_t>(ASN1_STRING_length(&string))});
}

// RFC 5280 4.2.1.6: IA5String; a name with a NUL inside is an attack on whoever prints it.
bool is_plain(std::string_view text) {
  return !text.empty() && text.find('\0') == text.npos;
}

std::string address_text(Bytes octets) {
  std::string result;
  if (octets.size() == 4) {
    for (const std::uint8_t octet : octets) {
      if (!result.empty()) result += '.';
      result += std::to_string(octet);
    }
    return result;
  }
  if (octets.size() != 16) return {};
  // RFC 5952: the longest run of zero groups, if longer than one, becomes "::".
  std::size_t zeros_at = 8;
  std::size_t zeros = 1;
  for (std::size_t i = 0; i < 8; ++i) {
    std::size_t run = 0;
    while (i + run < 8 && read_u16(octets.subspan(2 * (i + run))) == 0) ++run;
    if (run > zeros) {
      zeros = run;
      zeros_at = i;
    }
  }
  for (std::size_t i = 0; i < 8; ++i) {
    if (i == zeros_at) {
      result += "::";
      i += zeros - 1;
      continue;
    }
    if (!result.empty() && !result.ends_with(':')) result += ':';
    char group[5];
    std::snprintf(group, sizeof group, "%x", read_u16(octets.subspan(2 * i)));
    result += group;
  }
  return result;
}

std::string common_name_of(X509& certificate) {
  X509_NAME* const subject = X509_get_subject_name(&certificate);
  const int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (index < 0) return {};
  unsigned char* utf8 = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)));
  if (size < 0) return {};
  std::string name(as_text({utf8, static_cast<std::size_t>(size)}));
  OPENSSL_free(utf8);
  return is_plain(name) ? name : std::string();
}

}  // namespace

std::expected<Pem, Error> load_pem(const Pem& pem) {
  if (!pem.text.empty()) return pem;
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  // Without waiting: a pipe in its place is an empty file.
  const int fd = ::open(pem.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  const std::unique_ptr<std::FILE, Close> file(fd < 0 ? nullptr : ::fdopen(fd, "rb"));
  if (file == nullptr) {
    return error(ErrorCode::FileUnreadable, pem.path + ": " + std::strerror(errno) +
                                                "; check the path and that this user may read it");
  }
  Pem loaded{pem.path, std::string(kFileBytesMax + 1, '\0')};
  loaded.text.resize(std::fread(loaded.text.data(), 1, loaded.text.size(), file.get()));
  if (std::ferror(file.get()) != 0) {
    return error(ErrorCode::FileUnreadable, pem.path + ": cannot be read; is it a directory?");
  }
  if (loaded.text.empty()) return error(ErrorCode::NotPem, pem.path + ": the file is empty");
  if (loaded.text.size() > kFileBytesMax) {
    return error(ErrorCode::FileUnreadable, pem.path + ": larger than 1 MiB; not a PEM file?");
  }
  return loaded;
}

std::expected<std::vector<CertificateHandle>, Error> read_certificates(const Pem& pem) {
  const auto loaded = load_pem(pem);
  if (!loaded) return std::unexpected(loaded.error());
  const BioHandle bio = bio_over(loaded->text);
  std::vector<CertificateHandle> certificates;
  while (X509* const next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(next);
  }
  // Ends with "no start line" at the end of the text; anything else is a damaged certificate.
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
    return error(ErrorCode::NotPem, pem.path + ": a certificate in it is damaged (" +
                                        take_error_text() + "); write the file again");
  }
  if (certificates.empty()) {
    return error(ErrorCode::NotPem,
                 pem.path + ": holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
  }
  ERR_clear_error();
  return certificates;
}

std::expected<KeyHandle, Error> read_key(const Pem& pem) {
  const auto loaded = load_pem(pem);
  if (!loaded) return std::unexpected(loaded.error());
  const BioHandle bio = bio_over(loaded->text);
  bool asked = false;
  KeyHandle key(PEM_read_bio_PrivateKey(bio.get(), nullptr, refuse_password, &asked));
  if (key == nullptr && asked) {
    return error(ErrorCode::KeyEncrypted,
                 pem.path +
                     ": the key is encrypted; decrypt it with `openssl pkey`, and let only "
                     "this user read it");
  }
  if (key == nullptr) {
    return error(ErrorCode::NotPem,
                 pem.path + ": holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)");
  }
  ERR_clear_error();
  return key;
}

std::expected<std::vector<CrlHandle>, Error> read_crls(const Pem& pem) {
  const auto loaded = load_pem(pem);
  if (!loaded) return std::unexpected(loaded.error());
  const BioHandle bio = bio_over(loaded->text);
  std::vector<CrlHandle> lists;
  while (X509_CRL* const next = PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr)) {
    lists.emplace_back(next);
  }
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
    return error(ErrorCode::NotPem, pem.path + ": a revocation list in it is damaged (" +
                                        take_error_text() + "); fetch it again");
  }
  if (lists.empty()) {
    return error(ErrorCode::NotPem,
                 pem.path + ": holds no revocation list in PEM form (-----BEGIN X509 CRL-----)");
  }
  ERR_clear_error();
  return lists;
}

std::expected<LoadedPair, Error> read_pair(const Pem& chain, const Pem& key) {
  auto certificates = read_certificates(chain);
  if (!certificates) return std::unexpected(certificates.error());
  auto private_key = read_key(key);
  if (!private_key) return std::unexpected(private_key.error());
  X509& leaf = *certificates->front();
  if (X509_check_private_key(&leaf, private_key->get()) != 1) {
    return error(ErrorCode::KeyMismatch,
                 key.path + ": is not the key of the first certificate in " + chain.path +
                     "; the server's own certificate must come first in the chain");
  }
  // About 112 bits: RSA 2048, any of the usual curves.
  if (EVP_PKEY_get_security_bits(private_key->get()) < 112) {
    return error(ErrorCode::KeyTooWeak, key.path + ": a key of " +
                                            std::to_string(EVP_PKEY_get_bits(private_key->get())) +
                                            " bits is too short; use ECDSA P-256 or RSA 2048");
  }
  return LoadedPair{std::move(*certificates), std::move(*private_key)};
}

CertificateIdentities identities_of(X509& certificate) {
  CertificateIdentities identities;
  identities.common_name = common_name_of(certificate);
  struct Free {
    void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
  };
  const std::unique_ptr<GENERAL_NAMES, Free> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
  identities.has_alternative_names =
      X509_get_ext_by_NID(&certificate, NID_subject_alt_name, -1) >= 0;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME& name = *sk_GENERAL_NAME_value(names.get(), i);
    if (name.type == GEN_DNS && is_plain(text_of(*name.d.dNSName))) {
      identities.dns_names.emplace_back(text_of(*name.d.dNSName));
    } else if (name.type == GEN_URI && is_plain(text_of(*name.d.uniformResourceIdentifier))) {
      const std::string_view domain = sip_domain_of_uri(text_of(*name.d.uniformResourceIdentifier));
      if (!domain.empty()) identities.sip_domains.emplace_back(domain);
    } else if (name.type == GEN_IPADD) {
      std::string address = address_text(as_bytes(text_of(*name.d.iPAddress)));
      if (!address.empty()) identities.addresses.push_back(std::move(address));
    }
  }
  return identities;
}

}  // namespace ringway::tls
