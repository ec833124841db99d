#include <array>
#include <string>

#include "gateway/transport/establishing.h"
#include "gateway/transport/tls_failure.h"

// The TLS handshake, ours and theirs.

namespace ringway {
namespace {

using Stage = Stream::Stage;

constexpr std::size_t kOutputSize = 16'384;

}  // namespace

// Which profile its session is to have; kNone: no certificates were loaded for it.
std::uint16_t Establishing::tls_profile(const Stream& stream) const {
  if (!snapshots_.tls) return TlsSettings::kNone;
  if (stream.outbound) return stream.outbound->client_profile;
  const auto& profiles = snapshots_.tls->server_profiles;
  return stream.listener < profiles.size() ? profiles[stream.listener] : TlsSettings::kNone;
}

void Establishing::tls_unavailable(Stream& stream, Instant now) {
  log_.error("tls_unavailable", {{"transport", to_text(stream.transport)},
                                 {"reason", "no certificates loaded, or no memory"}});
  refuse(stream, FlowEnd::Reset, TransportFailure::TlsFailed, now);
}

// Made with the first step, so that a connection that says nothing costs none.
bool Establishing::make_session(Stream& stream) {
  const std::uint16_t profile = tls_profile(stream);
  if (profile != TlsSettings::kNone) {
    const tls::TlsContext& context = snapshots_.tls->context;
    stream.tls = stream.outbound ? tls::TlsSession::connect(context, profile, stream.outbound->name)
                                 : tls::TlsSession::accept(context, profile);
  }
  return stream.tls.valid();
}

void Establishing::queue_handshake(Stream& stream) {
  if (stream.handshake_queued) return;
  stream.handshake_queued = true;
  handshakes_.push_back(stream.id);
}

// Expensive: it waits for its turn, after all that is established.
void Establishing::read_handshake(Stream& stream, Instant now) {
  MutableBytes& raw = receiver_.raw();
  const std::size_t size_max = BufferPool::kSizes.back();
  const bool taken = receiver_.append_partial(stream, raw, size_max);
  if (taken && raw.empty()) {
    queue_handshake(stream);
    receiver_.end_intake();
  } else if (stream.partial && stream.partial.size() - stream.partial_used >= size_max) {
    // Much came behind its last flight, and more will before its turn: it is now.
    stream.handshake_queued = false;
    step(stream, now);
  } else {  // no buffer
    refuse(stream, FlowEnd::Reset, TransportFailure::QueueFull, now);
    receiver_.end_intake();
  }
}

bool Establishing::step_handshake(Instant now) {
  Stream* found = nullptr;
  while (!found) {
    if (handshakes_.empty()) return false;
    found = table_.find(handshakes_.take_front());
    if (found && (found->stage != Stage::TlsHandshake || !found->handshake_queued)) found = nullptr;
  }
  found->handshake_queued = false;
  step(*found, now);
  return true;
}

void Establishing::step(Stream& stream, Instant now) {
  // What came before the peer's end may still say why it left: an alert.
  if (!stream.tls.valid() && !make_session(stream)) {
    return tls_unavailable(stream, now);
  }
  MutableBytes bytes;
  if (stream.partial) {
    bytes = stream.partial.space().subspan(stream.partial_used,
                                           stream.partial.size() - stream.partial_used);
  }
  Bytes input = bytes;
  auto state = tls::TlsSession::State::NeedOutput;
  while (state == tls::TlsSession::State::NeedOutput) {
    Writer writer({output_.get(), kOutputSize});
    state = stream.tls.handshake_step(input, writer);
    if (writer.size() != 0) acceptors_.waits_for_peer(stream, now);
    sender_.ciphertext(stream, writer.written(), now);
    if (stream.is_closing()) return;
  }
  const MutableBytes rest = bytes.last(input.size());
  if (state == tls::TlsSession::State::Done) {
    handshake_done(stream, rest, now);
  } else if (state != tls::TlsSession::State::NeedInput) {
    handshake_failed(stream, now);
  } else {
    stream.partial.reset();
    stream.partial_used = 0;
  }
}

void Establishing::handshake_done(Stream& stream, MutableBytes rest, Instant now) {
  counters_.handshakes_done.add();
  if (stream.tls.resumed()) counters_.handshakes_resumed.add();
  if (!stream.outbound) {
    note_certificate_names(stream);
  } else if (!stream.tls.peer_verified()) {
    log_.warning("tls_peer_not_verified",
                 {{"name", stream.outbound->name},
                  {"reason", "tls_verify = \"none\": anybody may be behind this connection"}});
  }
  BufferRef held = std::move(stream.partial);
  stream.partial.reset();
  stream.partial_used = 0;
  if (stream.protocol == Stream::Protocol::WebSocket) {
    table_.enter(stream, Stage::Upgrade, now);
  } else {
    open(stream, now);
  }
  sender_.mark_dirty(stream);  // what waited for the handshake
  if (receiver_.intake()) {
    receiver_.continue_intake(rest, std::move(held));
  } else {
    receiver_.begin_intake(stream, rest, std::move(held));
  }
}

// Allocates, once for a connection, and only for clients with a certificate.
void Establishing::note_certificate_names(Stream& stream) {
  if (!stream.tls.peer_verified()) return;
  const tls::CertificateIdentities identities = stream.tls.peer_identities();
  std::string names;
  for (const auto* list : {&identities.sip_domains, &identities.dns_names}) {
    for (const std::string& name : *list) {
      if (names.size() + name.size() + 1 > kCertificateNamesBytesMax) continue;
      if (name.find('\n') == name.npos) names.append(name).push_back('\n');
    }
  }
  if (!names.empty()) stream.certificate_names = std::make_unique<const std::string>(names);
}

void Establishing::closed(Stream& stream) {
  if (!stream.was_handshaking || stream.handshake_judged || stream.connecting) return;
  stream.handshake_judged = true;
  const bool begun = stream.outbound ? stream.tls.valid() : stream.spoke;
  if (!is_secure(stream.transport) || !begun) return;
  counters_.handshakes_failed.add();
  if (stream.tls.valid()) log_tls_failure(log_, listeners_, stream, "tls_handshake_ended");
}

void Establishing::handshake_failed(Stream& stream, Instant now) {
  counters_.handshakes_failed.add();
  stream.handshake_judged = true;
  log_tls_failure(log_, listeners_, stream, "tls_handshake_failed");
  const bool name = stream.tls.error().code == tls::ErrorCode::PeerNameMismatch;
  table_.close(
      stream,
      {FlowEnd::ProtocolError, name ? TransportFailure::NameMismatch : TransportFailure::TlsFailed},
      now);
}

}  // namespace ringway
