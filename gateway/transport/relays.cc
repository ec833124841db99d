#include "gateway/transport/relays.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "protocol/base/writer.h"

namespace ringway {
namespace {

constexpr Duration kRetryMin = 50ms;
constexpr Duration kRetryMax = 2s;
constexpr std::size_t kPendingMax = bencode::kMessageBytesMax + 65'536;

}  // namespace

Relays::Relays(const StreamEnvironment& environment, StreamTable& table, Connector& connector,
               Sender& sender, Receiver& receiver)
    : counters_(environment.counters),
      log_(environment.log),
      random_(environment.seed),
      table_(table),
      connector_(connector),
      sender_(sender),
      receiver_(receiver),
      relays_(environment.config.media.relays.size()) {
  for (std::size_t i = 0; i < relays_.size(); ++i) {
    const RelayConfig& relay = environment.config.media.relays[i];
    relays_[i].endpoint = relay.address;
    relays_[i].by_stream = relay.transport != Transport::Udp;
  }
}

void Relays::connect_all(Instant now) {
  for (std::size_t i = 0; i < relays_.size(); ++i) {
    if (relays_[i].by_stream) connect(static_cast<std::uint8_t>(i), now);
  }
}

void Relays::connect(std::uint8_t index, Instant now) {
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
  if (const Stream* stream = connector_.open_relay(relay.endpoint, index, now)) {
    relay.stream = stream->id;
  }
}

void Relays::report(StreamEvent::Kind kind, std::uint8_t index) {
  StreamEvent& event = table_.events().emplace_back();
  event.kind = kind;
  event.relay = index;
}

void Relays::opened(Stream& stream) {
  const std::uint8_t index = stream.outbound->relay;
  Relay& relay = relays_[index];
  relay.retry_after = {};
  relay.reported = false;
  const EndpointText remote(relay.endpoint);
  log_.info("relay_connected", {{"relay", remote.text()}});
  report(StreamEvent::Kind::RelayConnected, index);
}

void Relays::ended(Stream& stream, Instant now) {
  const std::uint8_t index = stream.outbound->relay;
  Relay& relay = relays_[index];
  if (relay.stream != stream.id) return;
  relay.stream = {};
  if (stream.announced) relay.retry_at = now + kRetryMin;
  counters_.ng_reconnects.add();
  if (!std::exchange(relay.reported, true)) {
    const EndpointText remote(relay.endpoint);
    log_.warning("relay_lost", {{"relay", remote.text()}});
  }
  if (stream.announced) report(StreamEvent::Kind::RelayLost, index);
}

void Relays::send(std::uint8_t relay, BufferRef request, Instant now) {
  if (relay >= relays_.size()) return;
  Stream* stream = table_.find(relays_[relay].stream);
  if (!stream || stream->stage != Stream::Stage::Open) return;
  sender_.relay_request(*stream, std::move(request), now);
}

std::optional<StreamEvent> Relays::next(Stream& stream, Instant now) {
  Relay& relay = relays_[stream.outbound->relay];
  MutableBytes& plain = receiver_.plain();
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
  if (frame.state == bencode::Scanner::State::Complete) {
    relay.pending_used = frame.size;
    StreamEvent event;
    event.kind = StreamEvent::Kind::RelayMessage;
    event.relay = stream.outbound->relay;
    event.bytes = pending.first(frame.size);
    return event;
  }
  if (frame.state == bencode::Scanner::State::Malformed) {
    counters_.framing_lost.add();
    table_.close(stream,
                 {FlowEnd::ProtocolError, TransportFailure::Closed, Closing::Manner::Abrupt}, now);
  }
  return std::nullopt;
}

Instant Relays::next_deadline() const {
  Instant deadline = kNever;
  for (const Relay& relay : relays_) {
    if (relay.by_stream && !relay.stream) deadline = std::min(deadline, relay.retry_at);
  }
  return deadline;
}

void Relays::expire(Instant now) {
  for (std::size_t i = 0; i < relays_.size(); ++i) {
    if (relays_[i].by_stream && !relays_[i].stream && now >= relays_[i].retry_at) {
      connect(static_cast<std::uint8_t>(i), now);
    }
  }
}

}  // namespace ringway
