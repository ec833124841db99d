#include <algorithm>
#include <cstring>

#include "gateway/transport/streams.h"

// Connections to the media relays' control port (listen-tcp-ng): requests out, replies and events
// in, each `cookie SP dictionary`, which alone says where it ends.

namespace ringway {
namespace {

constexpr Duration kRetryMin = 50ms;
constexpr Duration kRetryMax = 2s;
constexpr std::uint32_t kSendsMax = 32;
constexpr std::size_t kPendingMax = bencode::kMessageBytesMax + 65'536;

}  // namespace

void Streams::connect_relay(std::uint8_t index, Instant now) {
  Relay& relay = relays_[index];
  if (!relay.pending) relay.pending = std::make_unique<std::uint8_t[]>(kPendingMax);
  relay.pending_size = relay.pending_used = 0;
  relay.framer.reset();
  relay.retry_after = std::clamp<Duration>(relay.retry_after * 2, kRetryMin, kRetryMax);
  // Half of it at random: not all shards and gateways at the same moment.
  const Duration half = relay.retry_after / 2;
  relay.retry_at =
      now + half +
      Duration(static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(half.count()))));
  Destination destination;
  destination.remote = relay.endpoint;
  auto failure = TransportFailure::None;
  Stream* stream = connect(destination, 0, failure, now);
  if (!stream) return;
  stream->protocol = Protocol::Relay;
  stream->outbound->relay = index;
  ++relay_streams_;
  counters_.flows[static_cast<std::size_t>(stream->transport)].subtract();
  relay.stream = stream->id;
}

void Streams::relay_opened(Stream& stream, Instant) {
  Relay& relay = relays_[stream.outbound->relay];
  relay.retry_after = {};
  std::array<std::uint8_t, kEndpointTextMax> memory;
  Writer remote(memory);
  write_endpoint(relay.endpoint, remote);
  log_.info("relay_connected", {{"relay", remote.written_text()}});
  relay.reported = false;
  StreamEvent& event = events_.emplace_back();
  event.kind = StreamEvent::Kind::RelayConnected;
  event.relay = stream.outbound->relay;
}

void Streams::relay_ended(Stream& stream, Instant now) {
  Relay& relay = relays_[stream.outbound->relay];
  if (relay.stream != stream.id) return;
  relay.stream = {};
  if (stream.announced) relay.retry_at = now + kRetryMin;
  counters_.ng_reconnects.add();
  if (!std::exchange(relay.reported, true)) {
    std::array<std::uint8_t, kEndpointTextMax> memory;
    Writer remote(memory);
    write_endpoint(relay.endpoint, remote);
    log_.warning("relay_lost", {{"relay", remote.written_text()}});
  }
  if (!stream.announced) return;
  StreamEvent& event = events_.emplace_back();
  event.kind = StreamEvent::Kind::RelayLost;
  event.relay = stream.outbound->relay;
}

// A relay that is not connected loses the request; its core has heard of the loss, or will.
void Streams::send_relay(std::uint8_t index, BufferRef request, Instant now) {
  if (index >= relays_.size()) return;
  Stream* stream = streams_.find(relays_[index].stream);
  if (!stream || stream->stage != Stage::Open) return;
  SendItem item;
  item.buffer = std::move(request);
  enqueue(*stream, stream->wire, std::move(item), now);
}

// One send for each request: the relay closes a connection on which more than 1,024 bytes of an
// incomplete request are left after a read, so no segment should end inside one. Sends of one
// turn are chained, which keeps their order.
void Streams::submit_relay(Stream& stream, Instant now) {
  const std::uint32_t count = std::min(stream.wire.count(), kSendsMax);
  kernel_.reserve(count);
  stream.sends = static_cast<std::uint8_t>(count);
  stream.sending_items = static_cast<std::uint16_t>(count);
  stream.send_since = now;
  schedule(stream, now);
  SendItem* item = &stream.wire.front(items_);
  for (std::uint32_t i = 0; i < count; ++i) {
    kernel_.send(stream.fd, item->buffer_left(),
                 i + 1 < count ? Kernel::Chain::Linked : Kernel::Chain::Last,
                 {OperationKind::SendStream, stream.id});
    if (i + 1 < count) item = &SendList::after(items_, *item);
  }
}

std::optional<StreamEvent> Streams::step_relay(Stream& stream, Instant now) {
  Relay& relay = relays_[stream.outbound->relay];
  MutableBytes& plain = intake_.plain;
  if (relay.pending_used != 0) {
    const std::size_t left = relay.pending_size - relay.pending_used;
    std::memmove(relay.pending.get(), relay.pending.get() + relay.pending_used, left);
    relay.pending_size = left;
    relay.pending_used = 0;
  }
  const std::size_t count = std::min(plain.size(), kPendingMax - relay.pending_size);
  if (count != 0) std::memcpy(relay.pending.get() + relay.pending_size, plain.data(), count);
  relay.pending_size += count;
  plain = plain.subspan(count);
  const Bytes pending{relay.pending.get(), relay.pending_size};
  if (pending.empty()) return std::nullopt;
  const auto frame = relay.framer.next(pending);
  switch (frame.state) {
    case bencode::Scanner::State::Complete: {
      relay.pending_used = frame.size;
      StreamEvent event;
      event.kind = StreamEvent::Kind::RelayMessage;
      event.relay = stream.outbound->relay;
      event.bytes = pending.first(frame.size);
      return event;
    }
    case bencode::Scanner::State::Incomplete:
      return std::nullopt;
    case bencode::Scanner::State::Malformed:
      counters_.framing_lost.add();
      begin_close(stream, FlowEnd::ProtocolError, TransportFailure::Closed, Manner::Abrupt, now);
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace ringway
