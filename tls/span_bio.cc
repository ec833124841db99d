#include "tls/span_bio.h"

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cstring>

namespace ringway::tls {
namespace {

int create(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}

int read_span(BIO* bio, char* memory, std::size_t size, std::size_t* read) {
  BIO_clear_retry_flags(bio);
  Spans* const spans = static_cast<Spans*>(BIO_get_data(bio));
  if (spans == nullptr || spans->input.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  size = std::min(size, spans->input.size());
  std::memcpy(memory, spans->input.data(), size);
  spans->input = spans->input.subspan(size);
  *read = size;
  return 1;
}

int write_span(BIO* bio, const char* data, std::size_t size, std::size_t* written) {
  BIO_clear_retry_flags(bio);
  Spans* const spans = static_cast<Spans*>(BIO_get_data(bio));
  if (spans == nullptr || spans->output.overflowed() || spans->output.space() == 0) {
    BIO_set_retry_write(bio);
    return -1;
  }
  size = std::min(size, spans->output.space());
  spans->output.text({data, size});
  *written = size;
  return 1;
}

long control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// Made once, before the first session; OpenSSL only reads it afterwards.
const BIO_METHOD* span_method() {
  static const BIO_METHOD* const kMethod = [] {
    BIO_METHOD* const method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "span");
    if (method != nullptr) {
      BIO_meth_set_create(method, create);
      BIO_meth_set_read_ex(method, read_span);
      BIO_meth_set_write_ex(method, write_span);
      BIO_meth_set_ctrl(method, control);
    }
    return method;
  }();
  return kMethod;
}

}  // namespace

bool attach_span_bio(SSL* ssl) {
  if (span_method() == nullptr) return false;
  BIO* const bio = BIO_new(span_method());
  if (bio == nullptr) return false;
  SSL_set_bio(ssl, bio, bio);  // takes the one reference for both directions
  return true;
}

// OpenSSL puts a buffer in front of the write side during the handshake; the read side is always
// the BIO itself.
SpanScope::SpanScope(SSL* ssl, Spans& spans) : ssl_(ssl) {
  BIO_set_data(SSL_get_rbio(ssl_), &spans);
}

SpanScope::~SpanScope() {
  BIO_set_data(SSL_get_rbio(ssl_), nullptr);
}

}  // namespace ringway::tls
