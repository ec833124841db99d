#include "tls/handles.h"

#include <openssl/ssl.h>

namespace ringway::tls {

void Release::operator()(BIO* bio) const {
  BIO_free(bio);
}
void Release::operator()(EVP_PKEY* key) const {
  EVP_PKEY_free(key);
}
void Release::operator()(SSL_CTX* context) const {
  SSL_CTX_free(context);
}
void Release::operator()(X509* certificate) const {
  X509_free(certificate);
}
void Release::operator()(X509_CRL* list) const {
  X509_CRL_free(list);
}

}  // namespace ringway::tls
