#include "gateway/core/stun_server.h"

#include <utility>

#include "protocol/stun/binding.h"

namespace ringway {

void StunServer::receive(const Source& source, Bytes request, Instant now, Outbox& outbox) {
  const auto binding = stun::parse_binding_request(request);
  if (!binding) return core_.drop(DropReason::Unanswerable);
  const bool is_known = peers_.peer_of(source, now).kind != PeerKind::Stranger;
  if (!is_known && core_.listener(source.listener).side == Side::Network) {
    core_.counters.strangers_dropped.add();
    return core_.drop(DropReason::Stranger);
  }
  BufferRef buffer = core_.buffers.take(stun::kResponseBytesMax);
  if (!buffer) return core_.drop(DropReason::NoBuffer);
  stun::SourceAddress seen;
  seen.family = source.remote.family() == Family::V4 ? stun::Family::Ipv4 : stun::Family::Ipv6;
  seen.bytes = source.remote.address.bytes;
  seen.port = source.remote.port;
  Writer out(buffer.space());
  stun::write_binding_response(*binding, seen, out);
  if (!budget_.take(source.remote, is_known, now)) return core_.drop(DropReason::Budget);
  buffer.set_size(out.size());
  core_.counters.stun_answered.add();
  Output& output = outbox.add(Output::Kind::SendDatagram);
  output.listener = source.listener;
  output.remote = source.remote;
  output.local = source.local;
  output.buffer = std::move(buffer);
}

}  // namespace ringway
