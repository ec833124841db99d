#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/base/bytes.h"

namespace ringway::sip {

// Cuts the bytes of a TCP or TLS stream into SIP messages (RFC 3261 18.3) and keepalives
// (RFC 5626 3.5.1). It keeps no bytes, only how far it has looked, so that a message that
// arrives byte by byte is scanned once.
class StreamFramer {
 public:
  // Who sends keepalives on this stream (RFC 5626 3.5.1: only the one that opened it). Answer: a
  // CRLF waits for what follows, since it may be half of a ping. Await: each CRLF is a pong.
  enum class Keepalive : std::uint8_t { Answer, Await };

  explicit StreamFramer(Keepalive keepalive = Keepalive::Answer) : keepalive_(keepalive) {}

  // Of padding, between two messages or CRLF keepalives; more breaks the stream.
  static constexpr std::size_t kPaddingBytesMax = 256;

  enum class Kind : std::uint8_t {
    Incomplete,  // size: 0
    Message,     // size: the bytes of one whole message at the front
    Ping,        // CRLFCRLF at the front: answer with CRLF; size: 4
    Pong,        // a single CRLF before a message or at the front: skip; size: 2
    Padding,     // NUL, LF and spaces that some phones send as keepalives: skip
    Broken,      // framing is lost or a limit exceeded: answer 400/513 if it can be parsed, close
  };
  struct Frame {
    Kind kind;
    std::size_t size;  // bytes to consume from the front
  };

  // pending: all bytes not yet consumed, the old ones at the same place as in the last call, new
  // ones behind. The answer is about its front; after consuming, call again with the rest.
  // A missing Content-Length on a message breaks the stream (RFC 3261 18.3, 20.14).
  Frame next(Bytes pending);

 private:
  Frame keepalive(std::string_view text);

  Keepalive keepalive_;
  std::size_t scanned_ = 0;       // bytes of pending known to hold no end of the header section
  std::size_t padding_ = 0;       // bytes since the last message or keepalive
  std::size_t message_size_ = 0;  // set once the header section is complete
};

}  // namespace ringway::sip
