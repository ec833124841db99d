#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/base/writer.h"
#include "protocol/http/request_head.h"

// Responses to plain requests. Each ends its connection: pages are few and small.

namespace ringway::http {

// The default reason phrase, for example "Not Found".
std::string_view reason_phrase(Status status);

struct ResponseHead {
  Status status = Status::Ok;
  std::string_view content_type = "text/plain; charset=utf-8";
  std::size_t content_length = 0;
  std::string_view extra_headers;  // whole lines, each with its CRLF; may be empty
};

// Status line and header fields up to and including the empty line. Always adds Connection: close,
// X-Content-Type-Options: nosniff, Referrer-Policy: no-referrer and Cache-Control: no-store.
void write_response_head(const ResponseHead& head, Writer& writer);

// Whether a response's body follows its head: not after HEAD (RFC 9110 9.3.2).
enum class Body : std::uint8_t { Follows, LeftOut };

// A whole response whose body is the status and its phrase as text.
void write_error(Status status, Writer& writer, std::string_view extra_headers = {},
                 Body body = Body::Follows);

}  // namespace ringway::http
