#include "gateway/transport/streams.h"

#include <algorithm>

#include "gateway/transport/bounds.h"
#include "protocol/websocket/frame.h"

namespace ringway {
namespace {

constexpr std::size_t kUnfinishedATime = 64;

}  // namespace

Streams::Streams(const StreamEnvironment& environment)
    : counters_(environment.counters),
      log_(environment.log),
      held_bytes_max_(environment.config.limits.buffer_bytes / 4),
      table_(environment),
      sender_(environment, table_),
      receiver_(environment, table_, sender_),
      acceptors_(environment, table_),
      connector_(environment, snapshots_, table_),
      relays_(environment, table_, connector_, sender_, receiver_),
      establishing_(environment, snapshots_, table_, sender_, receiver_, acceptors_),
      reader_(environment, table_, sender_, receiver_) {}

std::expected<void, std::string> Streams::open(Instant now) {
  auto opened = receiver_.open();
  if (!opened) return opened;
  acceptors_.update();
  relays_.connect_all(now);
  return {};
}

// Completions.

void Streams::accepted(const Completion& completion, Instant now) {
  if (Stream* stream = acceptors_.accepted(completion, now)) establishing_.begin(*stream, now);
  settle(now);
}

void Streams::received(const Completion& completion, Instant now) {
  receiver_.received(completion, now);
  if (Stream* stream = table_.find(receiver_.intake())) acceptors_.spoke(*stream);
  Stream* stream = table_.find(completion.operation.id);
  // Whatever is sent from now on goes another way.
  if (stream && stream->peer_closed) connector_.forget(*stream);
  settle(now);
}

void Streams::sent(const Completion& completion, Instant now) {
  sender_.sent(completion, now);
  settle(now);
}

void Streams::connected(const Completion& completion, Instant now) {
  if (Stream* stream = connector_.connected(completion, now)) {
    establishing_.begin(*stream, now);
    if (stream->role == Stream::Role::Relay && stream->stage == Stage::Open) {
      relays_.opened(*stream);
    }
    if (!stream->is_closing()) sender_.mark_dirty(*stream);
  }
  settle(now);
}

// Tells everybody who keeps something for a stream that it was closed.
void Streams::settle(Instant now) {
  while (Stream* stream = table_.take_closed()) {
    acceptors_.leave(*stream);
    connector_.forget(*stream);
    if (stream->role == Stream::Role::Relay) relays_.ended(*stream, now);
    establishing_.closed(*stream);
    sender_.closed(*stream, now);
  }
}

// Events.

StreamEvent Streams::next_event(Instant now) {
  for (;;) {
    settle(now);
    if (!table_.events().empty()) return table_.events().take_front();
    if (!receiver_.intake()) return {};
    Stream* stream = table_.find(receiver_.intake());
    if (!stream || !stream->is_usable()) {
      receiver_.end_intake();
      may_hold_more_ = gave_message_ = false;
    } else if (stream->broken) {
      counters_.framing_lost.add();
      table_.close(*stream, {FlowEnd::ProtocolError, TransportFailure::Closed}, now);
    } else if (auto event = step(*stream, now)) {
      return *event;
    }
  }
}

std::optional<StreamEvent> Streams::step(Stream& stream, Instant now) {
  if (stream.stage == Stage::ProxyHeader) {
    establishing_.read_proxy_header(stream, now);
    return std::nullopt;
  }
  if (stream.stage == Stage::TlsHandshake) {
    establishing_.read_handshake(stream, now);
    return std::nullopt;
  }
  // Decrypted first; a message may still lie in what the reader keeps.
  if (!may_hold_more_ && receiver_.plain().empty() && !receiver_.refill(stream, now)) {
    if (stream.is_usable()) end_of_bytes(stream, now);
    return std::nullopt;
  }
  may_hold_more_ = false;
  if (stream.stage == Stage::Upgrade) {
    establishing_.read_upgrade(stream, now);
    return std::nullopt;
  }
  auto event =
      stream.role == Stream::Role::Relay ? relays_.next(stream, now) : reader_.next(stream, now);
  if (event) may_hold_more_ = gave_message_ = stream.gave_message = true;
  return event;
}

// All is used up: is a message waiting for its rest? A line end that may become a ping is none.
void Streams::end_of_bytes(Stream& stream, Instant now) {
  const bool begun = stream.partial.size() > stream.partial_used &&
                     stream.partial.bytes()[stream.partial_used] != '\r';
  const bool incomplete = stream.stage == Stage::Open && stream.role != Stream::Role::Relay &&
                          (begun || stream.websocket.in_message() ||
                           (stream.tls.valid() && stream.tls.holds_partial_record()));
  if (!incomplete) {
    stream.message_since = {};
  } else if (stream.message_since == Instant{} || gave_message_) {
    stream.message_since = now;
    table_.schedule(stream);
  }
  table_.set_held(stream, incomplete ? held_of(stream) : 0);
  if (table_.held_bytes() > held_bytes_max_) close_unfinished(now);
  receiver_.end_intake();
  may_hold_more_ = gave_message_ = false;
}

std::size_t Streams::held_of(Stream& stream) {
  if (stream.role == Stream::Role::NextHop) return 0;
  std::size_t bytes = stream.websocket.buffered_bytes();
  if (stream.partial) bytes += stream.partial.space().size();
  if (stream.tls.valid() && stream.tls.holds_partial_record()) bytes += bounds::kRecordMax;
  return bytes;
}

// The streams whose unfinished messages take at least half of what the largest takes: who has just
// begun one is not among them.
void Streams::close_unfinished(Instant now) {
  std::uint32_t most = 0;
  for (std::uint32_t slot = 0; slot < table_.used_slots(); ++slot) {
    if (const Stream* stream = table_.at(slot)) most = std::max(most, stream->held_bytes);
  }
  std::size_t closed = 0;
  for (std::uint32_t slot = 0; slot < table_.used_slots() && closed < kUnfinishedATime; ++slot) {
    Stream* stream = table_.at(slot);
    if (!stream || stream->held_bytes == 0 || stream->held_bytes < (most + 1) / 2) continue;
    ++closed;
    counters_.hoarders_closed.add();
    table_.close(*stream,
                 {FlowEnd::TimedOut, TransportFailure::QueueFull, Closing::Manner::Abrupt}, now);
  }
  log_.warning("hoarders_closed", {{"flows", closed}, {"unfinished_bytes_each", most}});
}

// Sending and closing.

void Streams::send(FlowId flow, BufferRef message, Ticket ticket, Instant now) {
  Stream* stream = table_.find(flow);
  if (!stream || !stream->is_usable() || stream->stage != Stage::Open) {
    return table_.report_failure(ticket, TransportFailure::FlowGone);
  }
  sender_.message(*stream, std::move(message), ticket, now);
  settle(now);
}

void Streams::send_connect(const Destination& destination, BufferRef message, Ticket ticket,
                           Instant now) {
  auto failure = TransportFailure::NoSocket;
  Stream* stream = connector_.find_or_open(destination, failure, now);
  if (!stream) return table_.report_failure(ticket, failure);
  sender_.message(*stream, std::move(message), ticket, now);
  settle(now);
}

void Streams::send_relay(std::uint8_t relay, BufferRef request, Instant now) {
  relays_.send(relay, std::move(request), now);
  settle(now);
}

void Streams::close(FlowId flow, std::uint16_t websocket_code, Instant now) {
  Stream* stream = table_.find(flow);
  if (!stream || stream->is_closing()) return;
  close(*stream, websocket_code, FlowEnd::Closed, now);
}

void Streams::close(Stream& stream, std::uint16_t websocket_code, FlowEnd end, Instant now) {
  if (stream.protocol == Stream::Protocol::WebSocket && stream.stage == Stage::Open) {
    reader_.close_websocket(
        stream, websocket_code == 0 ? websocket::close_code::kNormal : websocket_code, end, now);
  } else {
    table_.close(stream, {end, TransportFailure::Closed}, now);
  }
  settle(now);
}

bool Streams::step_handshake(Instant now) {
  const bool stepped = establishing_.step_handshake(now);
  settle(now);
  return stepped;
}

bool Streams::step_closing(Instant now) {
  if (table_.close_next(now)) {
    settle(now);
    return true;
  }
  Stream* stream = table_.take_ended();
  if (!stream) return false;
  sender_.release(*stream);
  acceptors_.release(*stream);
  table_.release(*stream);
  return true;
}

// Time.

Instant Streams::next_deadline() const {
  return std::min({table_.next_deadline(), acceptors_.next_deadline(), relays_.next_deadline()});
}

Duration Streams::expire(Instant now) {
  const Duration late = table_.expire(now, [&](Stream& stream) { timed_out(stream, now); });
  acceptors_.expire(now);
  relays_.expire(now);
  settle(now);
  return late;
}

void Streams::timed_out(Stream& stream, Instant now) {
  const auto close_with = [&](Closing::Manner manner) {
    table_.close(stream, {FlowEnd::TimedOut, TransportFailure::TimedOut, manner}, now);
  };
  switch (stream.stage) {
    case Stage::Connecting:
      return close_with(Closing::Manner::Abrupt);
    case Stage::ProxyHeader:
    case Stage::TlsHandshake:
    case Stage::Upgrade:
      return establishing_.timed_out(stream, now);
    case Stage::Open: {
      if (table_.is_stalled(stream, now) || table_.is_dribbling(stream, now)) {
        return close_with(Closing::Manner::Abrupt);
      }
      if (stream.protocol != Stream::Protocol::WebSocket) {
        return close_with(Closing::Manner::Graceful);
      }
      return stream.pinged_at != Instant{} ? close_with(Closing::Manner::Abrupt)
                                           : reader_.ping(stream, now);
    }
    case Stage::Flushing:
    case Stage::Lingering:
      return table_.end(stream);
    case Stage::Ending:
      return;
  }
}

void Streams::flush(Instant now) {
  sender_.flush(now);
  settle(now);
  receiver_.flush();
}

}  // namespace ringway
