#include <algorithm>
#include <cstring>

#include "gateway/transport/streams.h"

namespace ringway {
namespace {

constexpr std::size_t kPlaintextSize = 32'768;
constexpr std::size_t kOutputSize = 16'384;
// One record carries what a turn has gathered. A larger one would make the peer wait for all of it
// before it can read the first byte.
constexpr std::size_t kRecordMax = 16'384;
constexpr std::size_t kRecordOverhead = 256;

}  // namespace

// Which profile its session is to have; kNone: no certificates were loaded for it.
std::uint16_t Streams::tls_profile(const Stream& stream) const {
  if (!tls_) return TlsSettings::kNone;
  if (stream.outbound) return stream.outbound->client_profile;
  const auto& profiles = tls_->server_profiles;
  return stream.listener < profiles.size() ? profiles[stream.listener] : TlsSettings::kNone;
}

void Streams::begin_tls(Stream& stream, Instant now) {
  if (tls_profile(stream) == TlsSettings::kNone) return tls_unavailable(stream, now);
  enter(stream, Stage::TlsHandshake, now);
  counters_.handshakes_started.add();
  if (stream.outbound) queue_handshake(stream);  // the client speaks first
}

void Streams::tls_unavailable(Stream& stream, Instant now) {
  log_.error("tls_unavailable", {{"transport", to_text(stream.transport)},
                                 {"reason", "no certificates loaded, or no memory"}});
  begin_close(stream, FlowEnd::Reset, TransportFailure::TlsFailed, Manner::Abrupt, now);
}

// Made with the first step, so that a connection that says nothing costs none.
bool Streams::make_session(Stream& stream) {
  const std::uint16_t profile = tls_profile(stream);
  if (profile != TlsSettings::kNone) {
    stream.tls = stream.outbound
                     ? tls::TlsSession::connect(tls_->context, profile, stream.outbound->name)
                     : tls::TlsSession::accept(tls_->context, profile);
  }
  return stream.tls.valid();
}

void Streams::queue_handshake(Stream& stream) {
  if (stream.handshake_queued) return;
  stream.handshake_queued = true;
  handshakes_.push_back(stream.id);
}

bool Streams::step_handshake(Instant now) {
  Stream* found = nullptr;
  while (!found) {
    if (handshakes_.empty()) return false;
    found = streams_.find(handshakes_.take_front());
    if (found && found->stage != Stage::TlsHandshake) found = nullptr;
  }
  Stream& stream = *found;
  stream.handshake_queued = false;
  if (stream.leaving) return true;
  if (!stream.tls.valid() && !make_session(stream)) {
    tls_unavailable(stream, now);
    return true;
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
    enqueue_ciphertext(stream, writer.written(), now);
    if (stream.is_closing()) return true;
  }
  if (state == tls::TlsSession::State::NeedInput) {
    drop_partial(stream);
    return true;
  }
  if (state != tls::TlsSession::State::Done) {
    handshake_failed(stream, now);
    return true;
  }
  counters_.handshakes_done.add();
  if (stream.tls.resumed()) counters_.handshakes_resumed.add();
  if (!stream.outbound) note_certificate_names(stream);
  const MutableBytes rest = bytes.last(input.size());
  BufferRef held = std::move(stream.partial);
  drop_partial(stream);
  if (stream.protocol == Protocol::WebSocket) {
    enter(stream, Stage::Upgrade, now);
  } else {
    opened(stream, now);
  }
  mark_dirty(stream);  // what waited for the handshake
  take_in(stream, rest, std::move(held), -1);
  return true;
}

// Allocates, once for a connection, and only for clients with a certificate.
void Streams::note_certificate_names(Stream& stream) {
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

void Streams::handshake_failed(Stream& stream, Instant now) {
  counters_.handshakes_failed.add();
  log_tls_failure(stream, "tls_handshake_failed");
  const bool name = stream.tls.error().code == tls::ErrorCode::PeerNameMismatch;
  begin_close(stream, FlowEnd::ProtocolError,
              name ? TransportFailure::NameMismatch : TransportFailure::TlsFailed, Manner::Graceful,
              now);
}

void Streams::log_tls_failure(const Stream& stream, std::string_view event) {
  const tls::SessionError& error = stream.tls.error();
  std::array<std::uint8_t, kEndpointTextMax> memory;
  Writer remote(memory);
  write_endpoint(stream.remote, remote);
  const std::string_view listener =
      stream.listener < listeners_.infos.size()
          ? std::string_view(listeners_.infos[stream.listener].config.name)
          : std::string_view{};
  log_.write(stream.outbound ? LogLevel::Warning : LogLevel::Info, event,
             {{"remote", remote.written_text()},
              {"listener", listener},
              {"transport", to_text(stream.transport)},
              {"code", tls::name_of(error.code)},
              {"reason", tls::text_of(error.code)},
              {"alert", error.alert != 0 ? tls::alert_text(error.alert) : std::string_view{}},
              {"detail", error.detail},
              {"name", stream.outbound ? std::string_view(stream.outbound->name)
                                       : stream.tls.server_name()}});
}

// The next plaintext of what was received; false if there is no more.
bool Streams::decrypt(Stream& stream, Instant now) {
  using State = tls::TlsSession::State;
  for (;;) {
    if (intake_.tls == State::NeedInput) return false;
    if (intake_.tls == State::Closed) {
      leave(stream, FlowEnd::Closed, TransportFailure::Closed);
      return false;
    }
    if (intake_.tls == State::Failed) {
      log_tls_failure(stream, "tls_session_failed");
      begin_close(stream, FlowEnd::ProtocolError, TransportFailure::TlsFailed, Manner::Graceful,
                  now);
      return false;
    }
    Bytes input = intake_.raw;
    Writer writer({output_.get(), kOutputSize});
    const auto progress = stream.tls.read(input, {plaintext_.get(), kPlaintextSize}, writer);
    intake_.raw = intake_.raw.last(input.size());
    intake_.tls = progress.state;
    enqueue_ciphertext(stream, writer.written(), now);
    if (stream.is_closing()) return false;
    if (progress.size != 0) {
      intake_.plain = {plaintext_.get(), progress.size};
      return true;
    }
  }
}

// Everything that the stream has gathered goes into as few records as possible.
void Streams::encrypt(Stream& stream, Instant now) {
  while (!stream.plain.empty() && stream.wire.count() < 4) {
    // plaintext_ is free: no intake runs while streams are flushed.
    std::size_t size = 0;
    while (!stream.plain.empty() && size < kRecordMax) {
      SendItem& item = stream.plain.front(items_);
      for (const Bytes bytes : {item.header_left(), item.buffer_left()}) {
        const std::size_t count = std::min(bytes.size(), kRecordMax - size);
        if (count != 0) std::memcpy(plaintext_.get() + size, bytes.data(), count);
        size += count;
        item.offset += static_cast<std::uint32_t>(count);
      }
      if (item.size() != 0) break;
      stream.plain.move_front_to(items_, stream.unconfirmed);
    }
    stream.queued_bytes -= static_cast<std::uint32_t>(size);
    SendItem record;
    record.buffer = buffers_.take(size + kRecordOverhead);
    if (!record.buffer) {
      return begin_close(stream, FlowEnd::TimedOut, TransportFailure::QueueFull, Manner::Abrupt,
                         now);
    }
    Writer writer(record.buffer.space());
    const auto progress = stream.tls.write({plaintext_.get(), size}, writer);
    if (progress.state != tls::TlsSession::State::Done || progress.size != size) {
      log_tls_failure(stream, "tls_session_failed");
      return begin_close(stream, FlowEnd::ProtocolError, TransportFailure::TlsFailed,
                         Manner::Abrupt, now);
    }
    record.buffer.set_size(writer.size());
    if (!enqueue(stream, stream.wire, std::move(record), now)) return;
  }
}

}  // namespace ringway
