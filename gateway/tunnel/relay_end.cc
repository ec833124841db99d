#include "gateway/tunnel/relay_end.h"

#include <algorithm>
#include <array>

#include "protocol/base/writer.h"

namespace ringway::tunnel {
namespace {

constexpr Duration kSweepEvery = 10s;

}  // namespace

RelayEnd::RelayEnd(const RelaySettings& settings, RelayOutside& outside, Numbers& numbers)
    : settings_(settings), outside_(outside), numbers_(numbers), streams_(settings.streams_max) {
  LinkOwner& owner = *this;
  for (std::uint16_t i = 0; i < settings.links_max; ++i) {
    places_.push_back(std::make_unique<Place>(i, settings_.link, owner, numbers));
  }
  index_.reserve(settings.streams_max);
}

void RelayEnd::start(Instant now) {
  now_ = now;
  next_sweep_ = now + kSweepEvery;
  numbers_.target_serves.set(1);
  if (settings_.link.carries == Carries::Control && settings_.ping) ping(now);
}

// --- Connections

std::optional<std::uint16_t> RelayEnd::accepted(Instant now) {
  std::uint16_t oldest = settings_.links_max;
  for (std::uint16_t i = 0; i < places_.size(); ++i) {
    Place& place = *places_[i];
    if (!place.taken) {
      place.taken = true;
      place.since = now;
      place.deadline = now + settings_.link.greeting;
      return i;
    }
    if (!place.link.up() && (oldest == settings_.links_max || place.since < places_[oldest]->since))
      oldest = i;
  }
  numbers_.connections_refused.add();
  if (oldest != settings_.links_max) end(oldest, {});
  return std::nullopt;
}

void RelayEnd::opened(std::uint16_t link, Instant now) {
  now_ = now;
  places_[link]->deadline = kNever;
  places_[link]->link.opened(now);
}

void RelayEnd::on_greeted(std::uint16_t link) {
  numbers_.connections_made.add();
  numbers_.connections.add();
  if (health_ == Health::Silent) places_[link]->link.send_target(false);
}

void RelayEnd::received(std::uint16_t link, Bytes bytes, Instant now) {
  now_ = now;
  const auto done = places_[link]->link.received(bytes, now);
  if (!done) end(link, std::string(text_of(done.error())));
}

void RelayEnd::end(std::uint16_t link, const std::string& reason) {
  if (!reason.empty()) outside_.complain(link, reason);
  outside_.close(link);
  closed(link);
}

void RelayEnd::closed(std::uint16_t link) {
  Place& place = *places_[link];
  if (place.link.up()) {
    numbers_.connections_broken.add();
    numbers_.connections.subtract();
  }
  place.link.closed();
  place.taken = false;
  place.deadline = kNever;
  for (std::uint32_t slot = 0; slot < streams_.used_slots(); ++slot) {
    const Stream* stream = streams_.at(slot);
    if (stream && !stream->health && stream->link == link) close_stream(streams_.id_at(slot));
  }
}

// --- Streams

SlotId RelayEnd::stream_of(std::uint16_t link, std::uint32_t stream) {
  const std::uint64_t key = key_of(link, stream);
  if (const auto found = index_.find(key); found != index_.end()) return found->second;
  if (places_[link]->streams >= settings_.streams_max / 4) return {};
  const SlotId id = streams_.take();
  if (!id) return {};
  *streams_.find(id) = {.link = link, .stream = stream, .used = now_};
  if (!outside_.open_target(id)) {
    streams_.release(id);
    return {};
  }
  index_.emplace(key, id);
  ++places_[link]->streams;
  numbers_.sources.set(index_.size());
  return id;
}

void RelayEnd::close_stream(SlotId id) {
  const Stream& stream = *streams_.find(id);
  outside_.close_target(id);
  if (stream.health) {
    health_socket_ = {};
  } else {
    index_.erase(key_of(stream.link, stream.stream));
    --places_[stream.link]->streams;
  }
  streams_.release(id);
  numbers_.sources.set(index_.size());
}

void RelayEnd::on_forget(std::uint16_t link, std::uint32_t stream) {
  const auto found = index_.find(key_of(link, stream));
  if (found != index_.end()) close_stream(found->second);
}

void RelayEnd::on_message(std::uint16_t link, std::uint32_t stream, std::uint32_t message,
                          Bytes bytes) {
  const SlotId id = stream_of(link, stream);
  Link& from = places_[link]->link;
  if (!id) {
    numbers_.dropped_full.add();
    return from.send_refused(stream, message, Refusal::TooManyStreams);
  }
  streams_.find(id)->used = now_;
  switch (outside_.send_target(id, bytes)) {
    case RelayOutside::Sent::Yes:
      numbers_.messages_out.add();
      numbers_.bytes_out.add(bytes.size());
      return;
    case RelayOutside::Sent::PortClosed:
      // The message before this one was refused, and this one was not sent.
      from.send_refused(stream, message, Refusal::PortClosed);
      return target_refused(id, now_);
    case RelayOutside::Sent::TooLong:
      numbers_.dropped_too_long.add();
      return from.send_refused(stream, message, Refusal::TooLong);
    case RelayOutside::Sent::Full:
      numbers_.dropped_socket.add();
      return from.send_refused(stream, message, Refusal::SocketFull);
    case RelayOutside::Sent::NotFramed:
      numbers_.dropped_malformed.add();
      return from.send_refused(stream, message, Refusal::NotFramed);
  }
}

void RelayEnd::target_received(SlotId socket, Bytes message, Instant now) {
  now_ = now;
  Stream* stream = streams_.find(socket);
  if (!stream) return;
  set_health(Health::Serves);
  missed_ = 0;
  if (stream->health) {
    ping_out_ = false;
    ping_known_ = true;
    return;
  }
  stream->used = now;
  numbers_.messages_in.add();
  numbers_.bytes_in.add(message.size());
  switch (places_[stream->link]->link.send(stream->stream, message, now)) {
    case Link::Sent::Yes:
      return;
    case Link::Sent::QueueFull:
      return numbers_.dropped_full.add();
    case Link::Sent::TooLong:
      return numbers_.dropped_too_long.add();
    case Link::Sent::Down:
      return numbers_.dropped_down.add();
  }
}

// --- The target's health

void RelayEnd::target_refused(SlotId socket, Instant now) {
  now_ = now;
  const Stream* stream = streams_.find(socket);
  if (!stream) return;
  numbers_.targets_refused.add();
  if (!stream->health) {
    places_[stream->link]->link.send_refused(stream->stream, 0, Refusal::PortClosed);
  }
  if (settings_.link.carries == Carries::Control && settings_.ping) set_health(Health::Silent);
}

// Others may still be served: a ping finds that out.
void RelayEnd::target_ended(SlotId socket, Instant now) {
  const Stream* stream = streams_.find(socket);
  if (!stream) return;
  if (stream->health) return target_refused(socket, now);
  places_[stream->link]->link.send_refused(stream->stream, 0, Refusal::Ended);
  if (next_ping_ != kNever) next_ping_ = now;
}

void RelayEnd::target_closed(SlotId socket) {
  if (streams_.find(socket)) close_stream(socket);
}

void RelayEnd::set_health(Health health) {
  if (health_ == health) return;
  health_ = health;
  const bool serves = health == Health::Serves;
  numbers_.target_serves.set(serves ? 1 : 0);
  outside_.say(settings_.target + (serves ? " answers again" : " does not answer"));
  for (const auto& place : places_) place->link.send_target(serves);
  if (!serves) next_ping_ = now_ + kPingSilent;
}

void RelayEnd::ping(Instant now) {
  next_ping_ = now + (health_ == Health::Silent ? kPingSilent : settings_.ping_every);
  if (ping_out_ && ping_known_ && ++missed_ >= kMissedMax) {
    missed_ = kMissedMax;
    set_health(Health::Silent);
  }
  if (!health_socket_) {
    health_socket_ = streams_.take();
    if (!health_socket_) return;
    streams_.find(health_socket_)->health = true;
    if (!outside_.open_target(health_socket_)) {
      streams_.release(health_socket_);
      health_socket_ = {};
      return;
    }
  }
  std::array<std::uint8_t, 64> memory;
  Writer out(memory);
  out.text("ringway-").hex(static_cast<std::uint64_t>(now.time_since_epoch().count()));
  out.character('-').number(++pings_).text(" d7:command4:pinge");
  ping_out_ = true;
  if (outside_.send_target(health_socket_, out.written()) == RelayOutside::Sent::PortClosed) {
    target_refused(health_socket_, now);
  }
}

// --- Deadlines

Instant RelayEnd::next_deadline() const {
  Instant first = std::min(next_sweep_, next_ping_);
  for (const auto& place : places_) {
    first = std::min({first, place->deadline, place->link.next_deadline()});
  }
  return first;
}

void RelayEnd::expire(Instant now) {
  now_ = now;
  for (std::uint16_t i = 0; i < places_.size(); ++i) {
    Place& place = *places_[i];
    if (now >= place.deadline) {
      end(i, "it did not finish its handshake in time");
    } else if (const auto done = place.link.expire(now); !done) {
      end(i, std::string(text_of(done.error())));
    }
  }
  if (now >= next_ping_) ping(now);
  if (now < next_sweep_) return;
  next_sweep_ = now + kSweepEvery;
  for (std::uint32_t slot = 0; slot < streams_.used_slots(); ++slot) {
    const Stream* stream = streams_.at(slot);
    if (stream && !stream->health && now - stream->used > settings_.stream_idle) {
      close_stream(streams_.id_at(slot));
    }
  }
}

std::string RelayEnd::status() const {
  return "# target " + settings_.target +
         (health_ == Health::Serves ? ": serves\n" : ": does not answer\n");
}

}  // namespace ringway::tunnel
