#include "tls/session.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>

#include "tls/context_data.h"
#include "tls/pem.h"
#include "tls/span_bio.h"

namespace ringway::tls {
namespace {

constexpr std::size_t kRecordBytesMax = SSL3_RT_MAX_PLAIN_LENGTH;
// Room beside a record's plaintext: header, explicit nonce, tag, and the answer to a KeyUpdate.
constexpr std::size_t kRecordOverheadMax = 128;
// Records without data after the handshake (tickets, KeyUpdate) that a session may send in its
// life. Honest peers send a handful; each costs us a key derivation.
constexpr std::uint16_t kControlRecordsMax = 256;

bool is_address(std::string_view name) {
  return name.find(':') != name.npos || name.find_first_not_of("0123456789.") == name.npos;
}

std::string_view text_or_empty(const char* text) {
  return text == nullptr ? std::string_view() : std::string_view(text);
}

}  // namespace

void TlsSession::Free::operator()(SSL* ssl) const {
  SSL_free(ssl);
}

TlsSession::TlsSession(std::shared_ptr<const TlsContext::Data> data, SSL* ssl)
    : data_(std::move(data)), ssl_(ssl) {}

TlsSession TlsSession::accept(const TlsContext& context, std::size_t profile) {
  const ServerSide& side = context.data_->profiles->servers[profile];
  TlsSession session(context.data_, SSL_new(side.fallback));
  auto links = std::make_unique<SessionLinks>();
  links->data = session.data_.get();
  links->server = &side;
  if (session.ssl_ == nullptr || !attach_links(session.ssl_.get(), std::move(links)) ||
      !attach_span_bio(session.ssl_.get())) {
    ERR_clear_error();
    return {};
  }
  SSL_set_accept_state(session.ssl_.get());
  return session;
}

TlsSession TlsSession::connect(const TlsContext& context, std::size_t profile,
                               std::string_view name) {
  const ClientSide& side = context.data_->profiles->clients[profile];
  TlsSession session(context.data_, SSL_new(side.context.get()));
  if (name.size() > 1 && name.ends_with('.')) name.remove_suffix(1);  // RFC 6066 3
  auto links = std::make_unique<SessionLinks>();
  links->data = session.data_.get();
  links->client = &side;
  links->peer_name = name;
  const bool send_name = !is_address(name);
  const std::string& peer_name = links->peer_name;
  if (session.ssl_ == nullptr ||
      (send_name && SSL_set_tlsext_host_name(session.ssl_.get(), peer_name.c_str()) != 1) ||
      !attach_links(session.ssl_.get(), std::move(links)) || !attach_span_bio(session.ssl_.get())) {
    ERR_clear_error();
    return {};
  }
  SSL_set_connect_state(session.ssl_.get());
  return session;
}

TlsSession::State TlsSession::fail(SessionError error) {
  failed_ = true;
  error_ = error;
  return State::Failed;
}

TlsSession::State TlsSession::outcome(int result) {
  SSL* const ssl = ssl_.get();
  switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
      return State::NeedInput;
    case SSL_ERROR_WANT_WRITE:
      return State::NeedOutput;
    case SSL_ERROR_ZERO_RETURN:
      closed_ = true;
      return State::Closed;
    default:
      return fail(take_session_error(SSL_get_verify_result(ssl)));
  }
}

TlsSession::State TlsSession::handshake_step(Bytes& input, Writer& output) {
  if (failed_) return State::Failed;
  if (handshake_done_) return State::Done;
  Spans spans{input, output};
  const SpanScope scope(ssl_.get(), spans);
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result != 1) return outcome(result);
  handshake_done_ = true;
  return State::Done;
}

TlsSession::Progress TlsSession::read(Bytes& input, MutableBytes plaintext, Writer& output) {
  if (failed_) return {State::Failed, 0};
  if (closed_) return {State::Closed, 0};
  if (!handshake_done_) return {fail({ErrorCode::Internal, 0, "read before handshake"}), 0};
  Spans spans{input, output};
  const SpanScope scope(ssl_.get(), spans);
  ERR_clear_error();
  std::size_t size = 0;
  while (size < plaintext.size()) {
    std::size_t count = 0;
    const int result =
        SSL_read_ex(ssl_.get(), plaintext.data() + size, plaintext.size() - size, &count);
    if (result == 1) {
      size += count;
      continue;
    }
    const State state = outcome(result);
    if (state != State::NeedInput || input.empty()) return {state, size};
    // A record without data.
    if (++control_records_ > kControlRecordsMax) {
      return {fail({ErrorCode::TooManyControlRecords, 0, {}}), size};
    }
  }
  return {State::More, size};
}

TlsSession::Progress TlsSession::write(Bytes plaintext, Writer& output) {
  if (failed_) return {State::Failed, 0};
  if (!handshake_done_) return {fail({ErrorCode::Internal, 0, "write before handshake"}), 0};
  Bytes input;
  Spans spans{input, output};
  const SpanScope scope(ssl_.get(), spans);
  ERR_clear_error();
  std::size_t size = 0;
  while (size < plaintext.size()) {
    if (output.overflowed() || output.space() < kOutputSpaceMin) return {State::NeedOutput, size};
    // A record that fits whole, unless OpenSSL is in the middle of one.
    const std::size_t fitting = std::min(output.space() - kRecordOverheadMax, kRecordBytesMax);
    const std::size_t offered =
        std::min(plaintext.size() - size, std::max(fitting, unfinished_write_));
    std::size_t count = 0;
    const int result = SSL_write_ex(ssl_.get(), plaintext.data() + size, offered, &count);
    if (result != 1) {
      unfinished_write_ = offered;
      return {outcome(result), size};
    }
    unfinished_write_ = 0;
    size += count;
  }
  return {State::Done, size};
}

TlsSession::State TlsSession::close(Writer& output) {
  // Before the handshake is done there is nobody to say farewell to (and OpenSSL refuses).
  if (failed_ || !handshake_done_ || close_sent_) return State::Done;
  if (output.overflowed() || output.space() < kRecordOverheadMax) return State::NeedOutput;
  Bytes input;
  Spans spans{input, output};
  const SpanScope scope(ssl_.get(), spans);
  ERR_clear_error();
  close_sent_ = true;
  if (SSL_shutdown(ssl_.get()) < 0) ERR_clear_error();
  return State::Done;
}

bool TlsSession::holds_partial_record() const {
  return SSL_has_pending(ssl_.get()) == 1;
}

std::string_view TlsSession::version() const {
  return handshake_done_ ? text_or_empty(SSL_get_version(ssl_.get())) : std::string_view();
}

std::string_view TlsSession::cipher() const {
  return handshake_done_ ? text_or_empty(SSL_get_cipher_name(ssl_.get())) : std::string_view();
}

std::string_view TlsSession::server_name() const {
  if (!handshake_done_) return {};
  return text_or_empty(SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name));
}

std::string_view TlsSession::protocol() const {
  if (!handshake_done_) return {};
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &name, &size);
  return as_text({name, size});
}

bool TlsSession::resumed() const {
  return handshake_done_ && SSL_session_reused(ssl_.get()) == 1;
}

bool TlsSession::peer_verified() const {
  return handshake_done_ && (SSL_get_verify_mode(ssl_.get()) & SSL_VERIFY_PEER) != 0 &&
         SSL_get0_peer_certificate(ssl_.get()) != nullptr &&
         SSL_get_verify_result(ssl_.get()) == X509_V_OK;
}

CertificateIdentities TlsSession::peer_identities() const {
  if (!handshake_done_) return {};
  X509* const certificate = SSL_get0_peer_certificate(ssl_.get());
  return certificate == nullptr ? CertificateIdentities() : identities_of(*certificate);
}

}  // namespace ringway::tls
