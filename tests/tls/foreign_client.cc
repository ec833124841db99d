#include "tests/tls/foreign_client.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

namespace ringway::tls::test {
namespace {

std::vector<std::uint8_t> serialise(SSL_SESSION* session) {
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(i2d_SSL_SESSION(session, nullptr)));
  unsigned char* end = bytes.data();
  i2d_SSL_SESSION(session, &end);
  return bytes;
}

}  // namespace

ForeignClient::ForeignClient(int version, const std::string& server_name,
                             const std::vector<std::string>& protocols)
    : context_(SSL_CTX_new(TLS_client_method())) {
  SSL_CTX_set_min_proto_version(context_, version);
  SSL_CTX_set_max_proto_version(context_, version);
  SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context_, [](SSL* ssl, SSL_SESSION* session) {
    static_cast<ForeignClient*>(SSL_get_app_data(ssl))->ticket_ = serialise(session);
    return 0;
  });
  ssl_ = SSL_new(context_);
  SSL_set_app_data(ssl_, this);
  SSL_set_bio(ssl_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_connect_state(ssl_);
  if (!server_name.empty()) SSL_set_tlsext_host_name(ssl_, server_name.c_str());
  std::string list;
  for (const std::string& protocol : protocols) {
    list += static_cast<char>(protocol.size());
    list += protocol;
  }
  if (!list.empty()) {
    SSL_set_alpn_protos(ssl_, as_bytes(list).data(), static_cast<unsigned>(list.size()));
  }
}

ForeignClient::~ForeignClient() {
  SSL_free(ssl_);
  SSL_CTX_free(context_);
}

void ForeignClient::run() {
  ERR_clear_error();
  if (!done_) {
    const int result = SSL_do_handshake(ssl_);
    if (result == 1) done_ = true;
    if (result != 1 && SSL_get_error(ssl_, result) != SSL_ERROR_WANT_READ) failed_ = true;
  }
  if (!done_) return;
  char text[20000];
  int size = 0;
  while ((size = SSL_read(ssl_, text, sizeof text)) > 0) {
    received_.append(text, static_cast<std::size_t>(size));
  }
  if (SSL_get_error(ssl_, size) == SSL_ERROR_SSL) failed_ = true;
  ERR_clear_error();
}

void ForeignClient::receive(Bytes ciphertext) {
  if (!ciphertext.empty()) {
    BIO_write(SSL_get_rbio(ssl_), ciphertext.data(), static_cast<int>(ciphertext.size()));
  }
  run();
}

std::vector<std::uint8_t> ForeignClient::take_output() {
  if (!done_) run();
  std::vector<std::uint8_t> output(BIO_ctrl_pending(SSL_get_wbio(ssl_)));
  if (!output.empty()) BIO_read(SSL_get_wbio(ssl_), output.data(), static_cast<int>(output.size()));
  return output;
}

void ForeignClient::send(std::string_view plaintext) {
  if (SSL_write(ssl_, plaintext.data(), static_cast<int>(plaintext.size())) <= 0) failed_ = true;
}

void ForeignClient::update_key() {
  SSL_key_update(ssl_, SSL_KEY_UPDATE_REQUESTED);
  SSL_do_handshake(ssl_);
}

void ForeignClient::close() {
  SSL_shutdown(ssl_);
}
void ForeignClient::restrict_ciphers(const char* list) {
  SSL_set_cipher_list(ssl_, list);
}
void ForeignClient::restrict_signatures(const char* list) {
  SSL_set1_sigalgs_list(ssl_, list);
}
bool ForeignClient::resumed() const {
  return SSL_session_reused(ssl_) == 1;
}

std::string ForeignClient::certificate_name() const {
  X509* const certificate = SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr) return {};
  char text[256] = "";
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, text, sizeof text);
  return text;
}

std::string ForeignClient::key_type() const {
  X509* const certificate = SSL_get0_peer_certificate(ssl_);
  if (certificate == nullptr) return {};
  return EVP_PKEY_get0_type_name(X509_get0_pubkey(certificate));
}

std::vector<std::uint8_t> ForeignClient::ticket() const {
  // TLS 1.2 does not announce a renewed ticket; it is part of the session.
  if (SSL_version(ssl_) == TLS1_2_VERSION && SSL_SESSION_has_ticket(SSL_get_session(ssl_)) == 1) {
    return serialise(SSL_get_session(ssl_));
  }
  return ticket_;
}

void ForeignClient::use_ticket(const std::vector<std::uint8_t>& ticket) {
  const unsigned char* start = ticket.data();
  SSL_SESSION* const session = d2i_SSL_SESSION(nullptr, &start, static_cast<long>(ticket.size()));
  SSL_set_session(ssl_, session);
  SSL_SESSION_free(session);
}

}  // namespace ringway::tls::test
