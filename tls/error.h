#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ringway::tls {

// Why a handshake or a session failed, or a file could not be used.
enum class ErrorCode : std::uint8_t {
  None,
  // Of a session.
  NotTls,  // the first bytes are no TLS record: plain HTTP, SIP or noise
  NoSharedVersion,
  NoSharedCipher,
  NoSharedProtocol,   // ALPN
  UnknownServerName,  // SNI names nothing we serve and the profile refuses
  PeerDistrustsUs,    // alerts certificate unknown, unknown CA, bad or expired certificate
  PeerAlert,          // any other fatal alert from the peer
  PeerCertificateMissing,
  PeerCertificateUntrusted,
  PeerCertificateExpired,
  PeerCertificateRevoked,
  PeerCertificateUnusable,  // wrong purpose, bad signature, malformed
  RevocationListUnusable,   // no CRL for the issuer, or it has expired
  PeerNameMismatch,         // RFC 5922 7.1
  DecryptionFailed,         // bytes changed on their way
  ProtocolViolation,
  TooManyControlRecords,  // KeyUpdate and the like without end
  Internal,               // of ours: out of memory, misuse
  // Of files, at start and reload.
  FileUnreadable,
  NotPem,
  KeyEncrypted,
  KeyMismatch,
  KeyTooWeak,
  CertificateExpired,
  CertificateUnusable,
};

// A name for counters and log fields: `peer_distrusts_us`.
std::string_view name_of(ErrorCode code);
// One short sentence for an administrator: "the browser does not trust our certificate".
std::string_view text_of(ErrorCode code);

// An error with its particulars; made at start and reload only, never on a shard.
struct Error {
  ErrorCode code = ErrorCode::None;
  std::string text;  // names the file and says what to do
};

// How one session ended. No allocation; detail is a text of OpenSSL with static lifetime.
struct SessionError {
  ErrorCode code = ErrorCode::None;
  std::uint8_t alert = 0;   // RFC 8446 6: the fatal alert that we received; 0 if none
  std::string_view detail;  // may be empty
};

// Reads and empties this thread's OpenSSL error queue. verify_result: X509_V_*, 0 if none.
SessionError take_session_error(long verify_result);
// The same as text, for errors at start and reload.
std::string take_error_text();

// The name of a TLS alert: `certificate unknown`; "unknown alert" if the number is none.
std::string_view alert_text(std::uint8_t alert);

}  // namespace ringway::tls
