#include "tls/error.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

namespace ringway::tls {
namespace {

ErrorCode code_of_verification(long result) {
  switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return ErrorCode::PeerCertificateExpired;
    case X509_V_ERR_CERT_REVOKED:
      return ErrorCode::PeerCertificateRevoked;
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_CRL_HAS_EXPIRED:
    case X509_V_ERR_CRL_NOT_YET_VALID:
    case X509_V_ERR_CRL_SIGNATURE_FAILURE:
    case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
      return ErrorCode::RevocationListUnusable;
    case X509_V_ERR_HOSTNAME_MISMATCH:
      return ErrorCode::PeerNameMismatch;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_CERT_CHAIN_TOO_LONG:
      return ErrorCode::PeerCertificateUntrusted;
    default:
      return ErrorCode::PeerCertificateUnusable;
  }
}

ErrorCode code_of_alert(int alert) {
  switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
      return ErrorCode::PeerDistrustsUs;
    case SSL_AD_PROTOCOL_VERSION:
      return ErrorCode::NoSharedVersion;
    default:
      return ErrorCode::PeerAlert;
  }
}

ErrorCode code_of_reason(int reason) {
  switch (reason) {
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_UNKNOWN_PROTOCOL:
      return ErrorCode::NotTls;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_VERSION_TOO_HIGH:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
      return ErrorCode::NoSharedVersion;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SHARED_GROUPS:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
      return ErrorCode::NoSharedCipher;
    case SSL_R_NO_APPLICATION_PROTOCOL:
      return ErrorCode::NoSharedProtocol;
    case SSL_R_CALLBACK_FAILED:  // only our server name callback refuses
    case SSL_R_CLIENTHELLO_TLSEXT:
      return ErrorCode::UnknownServerName;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return ErrorCode::PeerCertificateMissing;
    case SSL_R_DECRYPTION_FAILED:
    case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
      return ErrorCode::DecryptionFailed;
    default:
      return ErrorCode::ProtocolViolation;
  }
}

}  // namespace

std::string_view name_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::None:
      return "none";
    case ErrorCode::NotTls:
      return "not_tls";
    case ErrorCode::NoSharedVersion:
      return "no_shared_version";
    case ErrorCode::NoSharedCipher:
      return "no_shared_cipher";
    case ErrorCode::NoSharedProtocol:
      return "no_shared_protocol";
    case ErrorCode::UnknownServerName:
      return "unknown_server_name";
    case ErrorCode::PeerDistrustsUs:
      return "peer_distrusts_us";
    case ErrorCode::PeerAlert:
      return "peer_alert";
    case ErrorCode::PeerCertificateMissing:
      return "peer_certificate_missing";
    case ErrorCode::PeerCertificateUntrusted:
      return "peer_certificate_untrusted";
    case ErrorCode::PeerCertificateExpired:
      return "peer_certificate_expired";
    case ErrorCode::PeerCertificateRevoked:
      return "peer_certificate_revoked";
    case ErrorCode::PeerCertificateUnusable:
      return "peer_certificate_unusable";
    case ErrorCode::RevocationListUnusable:
      return "revocation_list_unusable";
    case ErrorCode::PeerNameMismatch:
      return "peer_name_mismatch";
    case ErrorCode::DecryptionFailed:
      return "decryption_failed";
    case ErrorCode::ProtocolViolation:
      return "protocol_violation";
    case ErrorCode::TooManyControlRecords:
      return "too_many_control_records";
    case ErrorCode::Internal:
      return "internal";
    case ErrorCode::FileUnreadable:
      return "file_unreadable";
    case ErrorCode::NotPem:
      return "not_pem";
    case ErrorCode::KeyEncrypted:
      return "key_encrypted";
    case ErrorCode::KeyMismatch:
      return "key_mismatch";
    case ErrorCode::KeyTooWeak:
      return "key_too_weak";
    case ErrorCode::CertificateExpired:
      return "certificate_expired";
    case ErrorCode::CertificateUnusable:
      return "certificate_unusable";
  }
  return "unknown";
}

std::string_view text_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::None:
      return "no error";
    case ErrorCode::NotTls:
      return "the peer does not speak TLS";
    case ErrorCode::NoSharedVersion:
      return "no TLS version in common with the peer";
    case ErrorCode::NoSharedCipher:
      return "no cipher, group or signature in common with the peer";
    case ErrorCode::NoSharedProtocol:
      return "the peer offers neither http/1.1 nor sip by ALPN";
    case ErrorCode::UnknownServerName:
      return "the peer asks for a server name that is not ours";
    case ErrorCode::PeerDistrustsUs:
      return "the peer does not trust our certificate";
    case ErrorCode::PeerAlert:
      return "the peer gave up";
    case ErrorCode::PeerCertificateMissing:
      return "the peer showed no certificate";
    case ErrorCode::PeerCertificateUntrusted:
      return "the peer's certificate comes from no CA that we trust";
    case ErrorCode::PeerCertificateExpired:
      return "the peer's certificate is not valid at this time";
    case ErrorCode::PeerCertificateRevoked:
      return "the peer's certificate is revoked";
    case ErrorCode::PeerCertificateUnusable:
      return "the peer's certificate cannot be used";
    case ErrorCode::RevocationListUnusable:
      return "the revocation list for the peer's certificate is missing or out of date";
    case ErrorCode::PeerNameMismatch:
      return "the peer's certificate is for another name";
    case ErrorCode::DecryptionFailed:
      return "bytes were changed on their way";
    case ErrorCode::ProtocolViolation:
      return "the peer broke the TLS protocol";
    case ErrorCode::TooManyControlRecords:
      return "the peer sent too many records without data";
    case ErrorCode::Internal:
      return "internal TLS error";
    case ErrorCode::FileUnreadable:
      return "a file cannot be read";
    case ErrorCode::NotPem:
      return "a file holds no PEM of the kind needed";
    case ErrorCode::KeyEncrypted:
      return "a private key is encrypted";
    case ErrorCode::KeyMismatch:
      return "certificate and key do not belong together";
    case ErrorCode::KeyTooWeak:
      return "a key is too short to be safe";
    case ErrorCode::CertificateExpired:
      return "a certificate of ours is not valid at this time";
    case ErrorCode::CertificateUnusable:
      return "a certificate of ours cannot be used";
  }
  return "unknown error";
}

SessionError take_session_error(long verify_result) {
  const unsigned long error = ERR_get_error();  // the oldest: the cause, not its echoes
  ERR_clear_error();
  SessionError result;
  if (error == 0) {
    result.code = ErrorCode::Internal;
    return result;
  }
  const char* const detail = ERR_reason_error_string(error);
  if (detail != nullptr) result.detail = detail;
  const int reason = ERR_GET_REASON(error);
  if (ERR_GET_LIB(error) != ERR_LIB_SSL) {
    // Malformed keys and signatures of the peer surface from the libraries below.
    result.code =
        reason == ERR_R_MALLOC_FAILURE ? ErrorCode::Internal : ErrorCode::ProtocolViolation;
  } else if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verify_result != X509_V_OK) {
    result.code = code_of_verification(verify_result);
    result.detail = X509_verify_cert_error_string(verify_result);
  } else if (reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
    result.alert = static_cast<std::uint8_t>(reason - SSL_AD_REASON_OFFSET);
    result.code = code_of_alert(result.alert);
    result.detail = alert_text(result.alert);
  } else {
    result.code = code_of_reason(reason);
  }
  return result;
}

std::string take_error_text() {
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  const char* const reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  return reason == nullptr ? "unknown reason" : reason;
}

std::string_view alert_text(std::uint8_t alert) {
  switch (alert) {
    case SSL_AD_CLOSE_NOTIFY:
      return "close notify";
    case SSL_AD_UNEXPECTED_MESSAGE:
      return "unexpected message";
    case SSL_AD_BAD_RECORD_MAC:
      return "bad record mac";
    case SSL_AD_RECORD_OVERFLOW:
      return "record overflow";
    case SSL_AD_HANDSHAKE_FAILURE:
      return "handshake failure";
    case SSL_AD_BAD_CERTIFICATE:
      return "bad certificate";
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
      return "unsupported certificate";
    case SSL_AD_CERTIFICATE_REVOKED:
      return "certificate revoked";
    case SSL_AD_CERTIFICATE_EXPIRED:
      return "certificate expired";
    case SSL_AD_CERTIFICATE_UNKNOWN:
      return "certificate unknown";
    case SSL_AD_ILLEGAL_PARAMETER:
      return "illegal parameter";
    case SSL_AD_UNKNOWN_CA:
      return "unknown CA";
    case SSL_AD_ACCESS_DENIED:
      return "access denied";
    case SSL_AD_DECODE_ERROR:
      return "decode error";
    case SSL_AD_DECRYPT_ERROR:
      return "decrypt error";
    case SSL_AD_PROTOCOL_VERSION:
      return "protocol version";
    case SSL_AD_INSUFFICIENT_SECURITY:
      return "insufficient security";
    case SSL_AD_INTERNAL_ERROR:
      return "internal error";
    case SSL_AD_INAPPROPRIATE_FALLBACK:
      return "inappropriate fallback";
    case SSL_AD_USER_CANCELLED:
      return "user cancelled";
    case SSL_AD_MISSING_EXTENSION:
      return "missing extension";
    case SSL_AD_UNSUPPORTED_EXTENSION:
      return "unsupported extension";
    case SSL_AD_UNRECOGNIZED_NAME:
      return "unrecognized name";
    case SSL_AD_CERTIFICATE_REQUIRED:
      return "certificate required";
    case SSL_AD_NO_APPLICATION_PROTOCOL:
      return "no application protocol";
    default:
      return "unknown alert";
  }
}

}  // namespace ringway::tls
