#include "gateway/tunnel/controller_end.h"

#include <algorithm>
#include <bit>

namespace ringway::tunnel {
namespace {

constexpr Duration kSweepEvery = 10s;

std::string_view text_of(Refusal refusal) {
  switch (refusal) {
    case Refusal::PortClosed:
      return "nothing listens at the target's port; is rtpengine running there?";
    case Refusal::TooLong:
      return "the message is too long for a datagram to the target";
    case Refusal::SocketFull:
      return "the target takes no more datagrams at the moment";
    case Refusal::TooManyStreams:
      return "the relay end serves as many sockets as it may";
    case Refusal::NotFramed:
      return "the target's TCP port takes bencode only";
    case Refusal::Ended:
      return "the target closed its connection before it answered";
  }
  return {};
}

}  // namespace

ControllerEnd::ControllerEnd(const ControllerSettings& settings, ControllerOutside& outside,
                             Numbers& numbers, std::uint64_t seed, const HashKey& key)
    : settings_(settings),
      outside_(outside),
      numbers_(numbers),
      random_(seed),
      key_(key),
      relays_(settings.relays.size()),
      sources_(settings.sources_max),
      source_index_(settings.sources_max, SourceHash{key}),
      pending_(settings.pending_max, key),
      scratch_(kMessageBytesMax + kErrorBytesMax) {
  LinkOwner& owner = *this;
  for (std::size_t relay = 0; relay < settings.relays.size(); ++relay) {
    for (std::uint16_t i = 0; i < settings.connections; ++i) {
      places_.push_back(std::make_unique<Place>(static_cast<std::uint16_t>(places_.size()),
                                                static_cast<std::uint8_t>(relay), settings_.link,
                                                owner, numbers));
    }
  }
}

void ControllerEnd::start(Instant now) {
  next_sweep_ = now + kSweepEvery;
  for (const auto& place : places_) place->deadline = now;
  expire(now);
}

// --- Datagrams of controllers

void ControllerEnd::received(const SourceName& from, Bytes datagram, Instant now) {
  now_ = now;
  numbers_.messages_in.add();
  numbers_.bytes_in.add(datagram.size());
  const auto message =
      settings_.link.carries == Carries::Control ? split_message(datagram) : std::nullopt;
  const SlotId id = source_of(from, now);
  if (!id) {
    numbers_.dropped_full.add();
    if (message) {
      answer_error(from, message->cookie, message->encoding, "tunnel: too many controllers");
    }
    return;
  }
  Source& source = *sources_.find(id);
  source.used = now;
  if (message) return request(id, source, *message);
  if (settings_.link.carries == Carries::Datagrams) source.waiting = 1;
  Place* place = choose(source, id);
  const auto sent = place ? place->link.send(stream_of(id), datagram, now) : Link::Sent::Down;
  switch (sent) {
    case Link::Sent::Yes:
      return;
    case Link::Sent::Down:
      return numbers_.dropped_down.add();
    case Link::Sent::QueueFull:
      return numbers_.dropped_full.add();
    case Link::Sent::TooLong:
      return numbers_.dropped_too_long.add();
  }
}

void ControllerEnd::request(SlotId id, Source& source, const Message& message) {
  const auto refuse = [&](std::string_view reason) {
    answer_error(source.name, message.cookie, message.encoding, reason);
  };
  Place* place = choose(source, id);
  if (!place) return refuse(reason_);
  if (pending_.size() == settings_.pending_max || source.waiting >= settings_.pending_max / 4) {
    numbers_.dropped_full.add();
    return refuse("tunnel: too many requests wait for an answer");
  }
  // All connections to one relay end share its fate: the idle ones learn of it at the same time.
  for (const auto& other : places_) {
    if (other->relay == place->relay) other->link.probe(now_);
  }
  Writer out(scratch_);
  const std::string_view sent =
      write_with_prefix(message, source.prefix, key_, place->link.message_bytes_max(), out);
  switch (place->link.send(stream_of(id), out.written(), now_)) {
    case Link::Sent::Yes:
      break;
    case Link::Sent::Down:
      return refuse("tunnel: the connection is down");
    case Link::Sent::QueueFull:
      numbers_.dropped_full.add();
      return refuse("tunnel: the queue to the far end is full");
    case Link::Sent::TooLong:
      numbers_.dropped_too_long.add();
      return refuse("tunnel: the message is longer than the far end takes");
  }
  Pending pending;
  pending.source = id;
  pending.link = source.link;
  pending.message = place->link.last_message();
  pending.encoding = message.encoding;
  pending.since = now_;
  pending.set_cookies(message.cookie, sent);
  static_cast<void>(pending_.add(pending));
  ++source.waiting;
  numbers_.pending.set(pending_.size());
}

// --- Answers

void ControllerEnd::on_message(std::uint16_t, std::uint32_t stream, std::uint32_t, Bytes bytes) {
  const SlotId id = source_of(stream);
  if (!id) return numbers_.dropped_unexpected.add();
  Source& source = *sources_.find(id);
  const auto message = settings_.link.carries == Carries::Control
                           ? split_message(bytes, kSentCookieBytesMax)
                           : std::nullopt;
  if (message) {
    Pending pending;
    if (!pending_.take(id, message->cookie, pending)) return numbers_.dropped_unexpected.add();
    numbers_.pending.set(pending_.size());
    --source.waiting;
    return deliver(source, pending, *message);
  }
  if (settings_.link.carries == Carries::Datagrams) source.waiting = 0;
  switch (outside_.send_datagram(source.name, bytes)) {
    case ControllerOutside::Sent::Yes:
      numbers_.messages_out.add();
      numbers_.bytes_out.add(bytes.size());
      return;
    case ControllerOutside::Sent::TooLong:
      return numbers_.dropped_too_long.add();
    case ControllerOutside::Sent::Failed:
      return numbers_.dropped_socket.add();
  }
}

void ControllerEnd::deliver(const Source& source, Pending& pending, const Message& message) {
  count_latency(now_ - pending.since);
  Writer out(scratch_);
  out.text(pending.own()).text(message.rest);
  switch (outside_.send_datagram(source.name, out.written())) {
    case ControllerOutside::Sent::Yes:
      numbers_.messages_out.add();
      numbers_.bytes_out.add(out.size());
      return;
    case ControllerOutside::Sent::TooLong:
      numbers_.dropped_too_long.add();
      return answer_error(source.name, pending.own(), pending.encoding,
                          "tunnel: the answer is too long for a datagram; use a Unix socket");
    case ControllerOutside::Sent::Failed:
      return numbers_.dropped_socket.add();
  }
}

void ControllerEnd::count_latency(Duration passed) {
  const auto us = static_cast<std::uint64_t>(std::max<std::int64_t>(passed.count() / 1000, 0));
  const auto bucket = static_cast<std::size_t>(std::bit_width(us / 64));
  numbers_.latency[std::min(bucket, numbers_.latency.size() - 1)].add();
  numbers_.latency_us.add(us);
}

// One error for all copies of a request, and none if one of them had its answer.
void ControllerEnd::fail(const Pending& pending, std::string_view reason) {
  Source* source = sources_.find(pending.source);
  if (source) --source->waiting;
  if (pending.answered) return;
  pending_.mark_answered(pending.source, pending.sent());
  if (source) answer_error(source->name, pending.own(), pending.encoding, reason);
}

void ControllerEnd::answer_error(const SourceName& to, std::string_view cookie, Encoding encoding,
                                 std::string_view reason) {
  std::array<std::uint8_t, kErrorBytesMax> memory;
  Writer out(memory);
  write_error(cookie, encoding, reason.substr(0, 200), out);
  if (outside_.send_datagram(to, out.written()) == ControllerOutside::Sent::Yes) {
    numbers_.errors_answered.add();
  } else {
    numbers_.dropped_socket.add();
  }
}

void ControllerEnd::on_refused(std::uint16_t link, std::uint32_t stream, std::uint32_t message,
                               Refusal refusal) {
  numbers_.targets_refused.add();
  const SlotId id = source_of(stream);
  if (!id) return;
  const std::string reason = "tunnel: " + std::string(text_of(refusal));
  pending_.take_if(
      [&](const Pending& pending) {
        return pending.source == id && pending.link == link &&
               (message == 0 || pending.message == message);
      },
      [&](const Pending& pending) { fail(pending, reason); });
  numbers_.pending.set(pending_.size());
}

// --- Deadlines

Instant ControllerEnd::next_deadline() const {
  Instant first = next_sweep_;
  for (const auto& place : places_) {
    first = std::min(first,
                     place->state == State::Open ? place->link.next_deadline() : place->deadline);
  }
  if (const Pending* oldest = pending_.oldest()) {
    first = std::min(first, oldest->since + settings_.timeout);
  }
  return first;
}

void ControllerEnd::expire(Instant now) {
  now_ = now;
  while (const Pending* oldest = pending_.oldest()) {
    if (oldest->since + settings_.timeout > now) break;
    const Pending pending = pending_.take_oldest();
    if (!pending.answered) numbers_.timeouts.add();
    fail(pending, "tunnel: the far end took the request and its target did not answer");
  }
  numbers_.pending.set(pending_.size());
  expire_places(now);
  if (now >= next_sweep_) {
    next_sweep_ = now + kSweepEvery;
    forget_idle(now, std::max(settings_.source_idle, settings_.timeout));
  }
}

void ControllerEnd::stop(Instant now) {
  now_ = now;
  pending_.take_if([](const Pending&) { return true; },
                   [&](const Pending& pending) {
                     fail(pending, "tunnel: it was stopped before the answer came");
                   });
  numbers_.pending.set(pending_.size());
}

}  // namespace ringway::tunnel
