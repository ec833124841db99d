#include "gateway/transport/stream_table.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "gateway/transport/bounds.h"

namespace ringway {
namespace {

std::uint32_t next_hop_places(const Config& config) {
  return StreamTable::kPlacesOfNextHop * (1 + static_cast<std::uint32_t>(config.next_hops.size()));
}

// A relay's connection may have a successor while the kernel still holds it.
std::uint32_t capacity_of(const Config& config) {
  return std::min<std::uint32_t>(config.limits.flows + next_hop_places(config) +
                                     2 * static_cast<std::uint32_t>(config.media.relays.size()),
                                 0xff'ffff);
}

}  // namespace

StreamTable::StreamTable(const StreamEnvironment& environment)
    : config_(environment.config),
      shard_(environment.shard),
      kernel_(environment.kernel),
      counters_(environment.counters),
      next_hop_places_(next_hop_places(environment.config)),
      streams_(capacity_of(environment.config)),
      timers_(capacity_of(environment.config)) {}

StreamTable::~StreamTable() {
  for (std::uint32_t slot = 0; slot < streams_.used_slots(); ++slot) {
    Stream* stream = streams_.at(slot);
    if (stream && stream->fd >= 0) kernel_.close(stream->fd);
  }
}

std::uint32_t StreamTable::shared_places() const {
  const std::uint32_t own = count(Role::NextHop);
  return count(Role::Accepted) + count(Role::FarEnd) + (own - std::min(own, next_hop_places_));
}

bool StreamTable::is_crowded() const {
  const std::uint32_t places = config_.limits.flows;
  return shared_places() >= places - std::max(places / 16, std::min(places, 1u));
}

bool StreamTable::has_place(Role role) const {
  const std::uint32_t own = count(Role::NextHop), shared = shared_places();
  switch (role) {
    case Role::Accepted:
    case Role::FarEnd:
      return shared < config_.limits.flows;
    case Role::NextHop:
      return own < next_hop_places_ || shared < config_.limits.flows;
    case Role::Relay:
      return count(Role::Relay) < 2 * config_.media.relays.size();
  }
  return false;
}

Stream* StreamTable::add(int fd, Role role, Transport transport, Instant now) {
  if (!has_place(role)) return nullptr;
  const SlotId id = streams_.take();
  if (!id) return nullptr;
  ++places_[static_cast<std::size_t>(role)];
  Stream& stream = *streams_.find(id);
  stream.fd = fd;
  stream.id = id;
  stream.role = role;
  stream.transport = transport;
  stream.last_received = now;
  if (role != Role::Relay) counters_.flows[static_cast<std::size_t>(transport)].add();
  return &stream;
}

void StreamTable::release(Stream& stream) {
  kernel_.close(stream.fd);
  --places_[static_cast<std::size_t>(stream.role)];
  if (stream.role != Role::Relay) {
    counters_.flows[static_cast<std::size_t>(stream.transport)].subtract();
  }
  timers_.cancel(stream.timer);
  streams_.release(stream.id);
}

void StreamTable::enter(Stream& stream, Stage stage, Instant now) {
  // PROXY header, TLS and upgrade have one time together.
  if (!stream.is_establishing() || stage == Stage::Open) stream.stage_since = now;
  stream.stage = stage;
  schedule(stream);
}

void StreamTable::open(Stream& stream, Instant now) {
  enter(stream, Stage::Open, now);
  stream.announced = true;
  if (stream.role == Role::Relay) return;
  counters_.flows_opened[static_cast<std::size_t>(stream.transport)].add();
  StreamEvent& event = events_.emplace_back();
  event.kind = StreamEvent::Kind::FlowOpened;
  event.flow.flow = flow_id(stream);
  event.flow.transport = stream.transport;
  event.flow.listener = stream.listener;
  event.flow.remote = stream.remote;
  event.flow.opened_by_us = stream.outbound != nullptr;
  event.flow.from_proxy = stream.from_proxy;
  if (stream.outbound) event.flow.next_hop = stream.outbound->next_hop;
  if (stream.certificate_names) event.flow.certificate_names = *stream.certificate_names;
}

void StreamTable::close(Stream& stream, const Closing& closing, Instant now) {
  if (stream.is_closing()) return;
  stream.closing = closing;
  stream.leaving = false;
  stream.was_handshaking = stream.stage == Stage::Connecting || stream.stage == Stage::TlsHandshake;
  if (stream.announced && stream.role != Role::Relay) {
    StreamEvent& event = events_.emplace_back();
    event.kind = StreamEvent::Kind::FlowClosed;
    event.flow.flow = flow_id(stream);
    event.end = closing.end;
  }
  if (closing.end == FlowEnd::TimedOut) counters_.flows_timed_out.add();
  stream.partial.reset();
  stream.partial_used = 0;
  set_held(stream, 0);
  if (closing.manner == Closing::Manner::Abrupt || stream.stage == Stage::Connecting) {
    return end(stream);
  }
  stream.stage = Stage::Flushing;
  stream.stage_since = now;
  closed_.push_back(stream.id);
  schedule(stream);
}

void StreamTable::flushed(Stream& stream, Instant now) {
  if (stream.peer_closed) return end(stream);
  kernel_.shutdown(stream.fd, SHUT_WR);
  stream.stage = Stage::Lingering;
  stream.stage_since = now;
  stop_timer(stream);
  schedule(stream);
}

void StreamTable::end(Stream& stream) {
  if (stream.stage == Stage::Ending) return;
  stream.stage = Stage::Ending;
  closed_.push_back(stream.id);
  stop_timer(stream);
  // close() alone would neither send a FIN nor end what is armed.
  kernel_.shutdown(stream.fd, SHUT_RDWR);
  if (stream.receive_armed) kernel_.cancel(stream.fd, {OperationKind::ReceiveStream, stream.id});
  if (stream.sends != 0) kernel_.cancel(stream.fd, {OperationKind::SendStream, stream.id});
  if (stream.connecting) kernel_.cancel(stream.fd, {OperationKind::Connect, stream.id});
  finish_if_idle(stream);
}

void StreamTable::finish_if_idle(Stream& stream) {
  if (stream.stage != Stage::Ending || stream.ended) return;
  if (stream.receive_armed || stream.connecting || stream.sends != 0) return;
  stream.ended = true;
  ended_.push_back(stream.id);
}

void StreamTable::close_later(Stream& stream, const Closing& closing) {
  if (stream.leaving || stream.stage == Stage::Ending) return;
  stream.leaving = true;
  if (!stream.is_closing()) stream.closing = closing;
  leaving_.push_back(stream.id);
}

bool StreamTable::close_next(Instant now) {
  while (!leaving_.empty()) {
    Stream* stream = streams_.find(leaving_.take_front());
    if (!stream || !stream->leaving) continue;
    if (stream->handshake_queued && stream->stage == Stage::TlsHandshake) {
      // What came before its end is looked at first: an alert says why it went.
      leaving_.push_back(stream->id);
      return false;
    }
    stream->leaving = false;
    if (stream->stage == Stage::Lingering) {
      end(*stream);
    } else {
      close(*stream, Closing(stream->closing), now);
    }
    return true;
  }
  return false;
}

Stream* StreamTable::take_ended() {
  while (!ended_.empty()) {
    if (Stream* stream = streams_.find(ended_.take_front())) return stream;
  }
  return nullptr;
}

Stream* StreamTable::take_closed() {
  while (!closed_.empty()) {
    if (Stream* stream = streams_.find(closed_.take_front())) return stream;
  }
  return nullptr;
}

void StreamTable::set_held(Stream& stream, std::size_t bytes) {
  held_bytes_ += bytes;
  held_bytes_ -= std::exchange(stream.held_bytes, static_cast<std::uint32_t>(bytes));
}

void StreamTable::report_failure(Ticket ticket, TransportFailure failure) {
  if (ticket == 0) return;
  StreamEvent& event = events_.emplace_back();
  event.kind = StreamEvent::Kind::SendFailed;
  event.ticket = ticket;
  event.failure = failure;
}

bool StreamTable::is_stalled(const Stream& stream, Instant now) const {
  return stream.sends != 0 && now >= stream.send_since + bounds::kSendStallMax;
}

bool StreamTable::is_dribbling(const Stream& stream, Instant now) const {
  return stream.message_since != Instant{} && now >= stream.message_since + config_.timers.message;
}

Instant StreamTable::open_deadline_of(const Stream& stream) const {
  const TimersConfig& timers = config_.timers;
  Instant deadline = kNever;
  if (stream.protocol == Stream::Protocol::WebSocket) {
    deadline = stream.pinged_at == Instant{} ? stream.last_received + timers.websocket_ping
                                             : stream.pinged_at + timers.websocket_pong;
  } else if (stream.protocol == Stream::Protocol::Sip) {
    deadline = stream.last_received + timers.idle_connection;
  }
  if (stream.message_since != Instant{}) {
    deadline = std::min(deadline, stream.message_since + timers.message);
  }
  if (stream.sends != 0) deadline = std::min(deadline, stream.send_since + bounds::kSendStallMax);
  return deadline;
}

Instant StreamTable::deadline_of(const Stream& stream) const {
  const TimersConfig& timers = config_.timers;
  switch (stream.stage) {
    case Stage::Connecting:
      return stream.stage_since + timers.connect;
    case Stage::ProxyHeader:
    case Stage::TlsHandshake:
    case Stage::Upgrade:
      return stream.stage_since + timers.handshake;
    case Stage::Open:
      return open_deadline_of(stream);
    case Stage::Flushing:
      return std::max(stream.stage_since, stream.send_since) +
             (stream.page ? bounds::kSendStallMax : bounds::kFlushMax);
    case Stage::Lingering:
      return stream.stage_since + bounds::kLingerMax;
    case Stage::Ending:
      return kNever;
  }
  return kNever;
}

void StreamTable::schedule(Stream& stream) {
  const Instant deadline = deadline_of(stream);
  if (deadline >= stream.timer_at) return;
  timers_.cancel(stream.timer);
  stream.timer = timers_.arm(deadline, stream.id.packed());
  stream.timer_at = deadline;
}

void StreamTable::stop_timer(Stream& stream) {
  timers_.cancel(stream.timer);
  stream.timer_at = kNever;
}

}  // namespace ringway
