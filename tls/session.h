#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "protocol/base/bytes.h"
#include "protocol/base/writer.h"
#include "tls/context.h"
#include "tls/error.h"
#include "tls/identity.h"

typedef struct ssl_st SSL;

namespace ringway::tls {

// One TLS connection without a descriptor: ciphertext in and out, plaintext in and out, all in
// memory of the caller.
//
// Input is a span that each call advances past what it has used. OpenSSL keeps an incomplete
// record itself, so calling until NeedInput uses all of it: the caller never stores ciphertext.
// Output is appended to a Writer, as much as there is space for; it never overflows the Writer.
//
//   received(bytes):  while handshaking: handshake_step, once for each chunk received; then
//                     read until NeedInput; send what the Writer got
//   to send:          write; keep what was not consumed and pass it again, first, when the Writer
//                     is empty again
//
// After Failed the Writer holds the alert for the peer, if one was due; error() says why.
// Movable, one thread at a time. About 14 kB of heap when idle; 17 kB more while a record is
// incomplete (holds_partial_record()), which deserves a deadline.
class TlsSession {
 public:
  // Output space with which every call makes progress.
  static constexpr std::size_t kOutputSpaceMin = 512;

  // profile: index into ContextConfig::servers or clients. An invalid session (valid() is false)
  // comes back if OpenSSL has no memory.
  static TlsSession accept(const TlsContext& context, std::size_t profile);
  // name: the domain to verify and to send as SNI, or an IP address (no SNI then).
  static TlsSession connect(const TlsContext& context, std::size_t profile, std::string_view name);

  TlsSession() = default;
  TlsSession(TlsSession&&) noexcept = default;
  TlsSession& operator=(TlsSession&&) noexcept = default;

  bool valid() const { return ssl_ != nullptr; }

  enum class State : std::uint8_t {
    Done,        // handshake: complete, input may hold more; write and close: all consumed
    NeedInput,   // input is used up
    NeedOutput,  // output has no space left; call again with an empty one
    More,        // read: plaintext is full and more may follow; call again
    Closed,      // the peer sent close_notify
    Failed,
  };

  // One step: at most one flight of the peer is answered. A client begins with empty input.
  // Cost: up to a signature, some 100 us; shells slice between sessions, not within.
  [[nodiscard]] State handshake_step(Bytes& input, Writer& output);
  bool handshake_done() const { return handshake_done_; }

  struct Progress {
    State state;
    std::size_t size;  // bytes read or consumed, whatever the state
  };
  // Decrypts into plaintext as many records as fit. Done is never returned.
  [[nodiscard]] Progress read(Bytes& input, MutableBytes plaintext, Writer& output);
  // Encrypts; records are as large as plaintext and output space allow, at most 16 kB each.
  [[nodiscard]] Progress write(Bytes plaintext, Writer& output);
  // close_notify, once; Done when it is written or can no longer be.
  [[nodiscard]] State close(Writer& output);

  // A part of a record was received and waits for the rest.
  bool holds_partial_record() const;

  const SessionError& error() const { return error_; }

  // All of these are empty or false before the handshake is done. Texts live as long as the
  // session.
  std::string_view version() const;      // TLSv1.3
  std::string_view cipher() const;       // TLS_AES_128_GCM_SHA256
  std::string_view server_name() const;  // SNI
  std::string_view protocol() const;     // ALPN
  bool resumed() const;
  // The peer showed a certificate and its chain (and name, if we called) was verified.
  bool peer_verified() const;
  // Of the peer's certificate; empty without one. Allocates.
  CertificateIdentities peer_identities() const;

 private:
  struct Free {
    void operator()(SSL* ssl) const;
  };

  TlsSession(std::shared_ptr<const TlsContext::Data> data, SSL* ssl);
  State outcome(int result);  // after an SSL call that did not succeed
  State fail(SessionError error);

  std::shared_ptr<const TlsContext::Data> data_;  // outlives ssl_, whose callbacks use it
  std::unique_ptr<SSL, Free> ssl_;
  SessionError error_;
  std::size_t unfinished_write_ = 0;  // plaintext bytes that OpenSSL wants to see again
  std::uint16_t control_records_ = 0;
  bool handshake_done_ = false;
  bool failed_ = false;
  bool closed_ = false;  // close_notify received
  bool close_sent_ = false;
};

}  // namespace ringway::tls
