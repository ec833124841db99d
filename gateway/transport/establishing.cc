#include "gateway/transport/establishing.h"

#include <algorithm>
#include <array>

#include "protocol/proxy_protocol/header.h"

// Which stage follows which, and the PROXY header. TLS: establishing_tls.cc; HTTP: upgrade.cc.

namespace ringway {
namespace {

constexpr std::size_t kOutputSize = 16'384;

// An IPv4 address that is mapped into IPv6 (RFC 4291 2.5.5.2) is that IPv4 address: proxies that
// listen on "::" write it so.
Address address_of(const std::array<std::uint8_t, 16>& bytes, Family family) {
  constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  Address address;
  if (family == Family::V6 && std::equal(kMapped.begin(), kMapped.end(), bytes.begin())) {
    std::copy_n(bytes.begin() + kMapped.size(), 4, address.bytes.begin());
    return address;
  }
  address.family = family;
  address.bytes = bytes;
  return address;
}

}  // namespace

Establishing::Establishing(const StreamEnvironment& environment, const StreamSnapshots& snapshots,
                           StreamTable& table, Sender& sender, Receiver& receiver,
                           Acceptors& acceptors)
    : config_(environment.config),
      listeners_(environment.listeners),
      buffers_(environment.buffers),
      counters_(environment.counters),
      log_(environment.log),
      snapshots_(snapshots),
      table_(table),
      sender_(sender),
      receiver_(receiver),
      acceptors_(acceptors),
      output_(std::make_unique<std::uint8_t[]>(kOutputSize)) {}

void Establishing::begin(Stream& stream, Instant now) {
  receiver_.arm(stream);
  if (!stream.outbound && acceptors_.wants_proxy_header(stream)) {
    return table_.enter(stream, Stream::Stage::ProxyHeader, now);
  }
  begin_protocol(stream, now);
}

// What comes first on a connection, after the PROXY header if there is one.
void Establishing::begin_protocol(Stream& stream, Instant now) {
  if (is_secure(stream.transport)) {
    if (tls_profile(stream) == TlsSettings::kNone) return tls_unavailable(stream, now);
    table_.enter(stream, Stream::Stage::TlsHandshake, now);
    counters_.handshakes_started.add();
    if (stream.outbound) queue_handshake(stream);  // the client speaks first
  } else if (stream.protocol == Stream::Protocol::WebSocket) {
    table_.enter(stream, Stream::Stage::Upgrade, now);
  } else {
    open(stream, now);
  }
}

void Establishing::open(Stream& stream, Instant now) {
  acceptors_.leave(stream);
  table_.open(stream, now);
}

void Establishing::refuse(Stream& stream, FlowEnd end, TransportFailure failure, Instant now) {
  table_.close(stream, {end, failure, Closing::Manner::Abrupt}, now);
}

void Establishing::read_proxy_header(Stream& stream, Instant now) {
  const auto refused = [&] {
    log_.info("proxy_header_refused",
              {{"listener", listeners_.infos[stream.listener].config.name}});
    refuse(stream, FlowEnd::ProtocolError, TransportFailure::Closed, now);
  };
  MutableBytes& raw = receiver_.raw();
  const std::size_t fresh = raw.size();
  MutableBytes input = raw;
  if (!receiver_.append_partial(stream, input, proxy_protocol::kHeaderBytesMax + 16)) {
    return refused();
  }
  const std::size_t taken = fresh - input.size();
  const auto header = proxy_protocol::parse_header(stream.partial.bytes());
  if (!header) return refused();
  if (!*header) {
    raw = input;
    if (input.empty()) receiver_.end_intake();
    return;
  }
  counters_.proxy_headers.add();
  const auto& source = (*header)->source;
  Endpoint remote = stream.remote;
  if ((*header)->family != proxy_protocol::Family::Unspecified) {
    const bool is_v4 = (*header)->family == proxy_protocol::Family::Ipv4;
    remote.port = source.port;
    remote.address = address_of(source.bytes, is_v4 ? Family::V4 : Family::V6);
  }
  if (!acceptors_.set_remote(stream, remote, now)) {
    return refuse(stream, FlowEnd::Closed, TransportFailure::Closed, now);
  }
  // What followed the header within the newest bytes is the client's.
  const std::size_t surplus = stream.partial.size() - (*header)->size;
  stream.partial.reset();
  stream.partial_used = 0;
  raw = raw.subspan(std::min(taken - std::min(taken, surplus), fresh));
  begin_protocol(stream, now);
}

void Establishing::timed_out(Stream& stream, Instant now) {
  if (stream.stage == Stream::Stage::Upgrade) {
    counters_.websocket_refused.add();
    return answer_error(stream, http::Status::RequestTimeout, {}, now);
  }
  refuse(stream, FlowEnd::TimedOut, TransportFailure::TimedOut, now);
}

}  // namespace ringway
