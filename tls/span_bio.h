#pragma once

#include "protocol/base/bytes.h"
#include "protocol/base/writer.h"

typedef struct ssl_st SSL;

namespace ringway::tls {

// What OpenSSL may read and write during one call.
struct Spans {
  Bytes& input;    // advanced past what was read
  Writer& output;  // appended to, never overflowed
};

// Gives ssl a BIO without memory of its own; false if there is no memory for it. Outside of a
// SpanScope reads and writes say "retry".
[[nodiscard]] bool attach_span_bio(SSL* ssl);

// Lends spans to the BIO of ssl while it lives.
class SpanScope {
 public:
  SpanScope(SSL* ssl, Spans& spans);
  ~SpanScope();
  SpanScope(const SpanScope&) = delete;
  SpanScope& operator=(const SpanScope&) = delete;

 private:
  SSL* ssl_;
};

}  // namespace ringway::tls
