#include <algorithm>

#include "gateway/tunnel/controller_end.h"

// The controller end's connections: which one a request takes, and when they are made again.

namespace ringway::tunnel {

bool ControllerEnd::usable(std::uint8_t relay) const {
  return std::any_of(places_.begin(), places_.end(),
                     [&](const auto& place) { return place->relay == relay && usable(*place); });
}

ControllerEnd::Place* ControllerEnd::choose(Source& source, SlotId id) {
  if (source.link < places_.size()) {
    Place& place = *places_[source.link];
    if (place.relay == current_ && usable(place)) return &place;
  }
  if (!usable(current_)) {
    std::uint8_t relay = 0;
    while (relay < relays_.size() && !usable(relay)) ++relay;
    if (relay == relays_.size()) {
      reason_ = "tunnel to " + settings_.relays[current_].name + ": " + relays_[current_].reason;
      return nullptr;
    }
    outside_.say("requests go to " + settings_.relays[relay].name + " from now on, because " +
                 settings_.relays[current_].name + " fails: " + relays_[current_].reason);
    numbers_.failovers.add();
    current_ = relay;
  }
  // A source stays with one connection, so that its stream has one socket at the far end.
  for (std::uint32_t i = 0; i < settings_.connections; ++i) {
    const std::uint32_t place =
        std::uint32_t{current_} * settings_.connections + (id.slot + i) % settings_.connections;
    if (!usable(*places_[place])) continue;
    source.link = static_cast<std::uint16_t>(place);
    return places_[place].get();
  }
  return nullptr;
}

void ControllerEnd::connected(std::uint16_t link, Instant now) {
  places_[link]->deadline = now + settings_.link.greeting;
}

void ControllerEnd::opened(std::uint16_t link, Instant now) {
  now_ = now;
  Place& place = *places_[link];
  place.state = State::Open;
  place.serves = true;
  place.link.opened(now);
}

void ControllerEnd::on_greeted(std::uint16_t link) {
  Place& place = *places_[link];
  place.back_off = kBackOffMin;
  numbers_.connections_made.add();
  numbers_.connections.add();
  Relay& relay = relays_[place.relay];
  if (!relay.was_up) outside_.say("connected to " + settings_.relays[place.relay].name);
  relay.was_up = true;
}

void ControllerEnd::on_target(std::uint16_t link, bool serves) {
  Place& place = *places_[link];
  const bool before = usable(place.relay);
  place.serves = serves;
  const bool after = usable(place.relay);
  if (!serves) {
    relays_[place.relay].reason = "rtpengine does not answer at the far end";
    // What its target had of this connection is not answered any more.
    pending_.take_if([&](const Pending& pending) { return pending.link == link; },
                     [&](const Pending& pending) {
                       fail(pending, "tunnel: rtpengine stopped answering at the far end");
                     });
    numbers_.pending.set(pending_.size());
  }
  if (before == after) return;
  outside_.say(settings_.relays[place.relay].name +
               (after ? ": rtpengine answers there again" : ": rtpengine does not answer there"));
}

void ControllerEnd::received(std::uint16_t link, Bytes bytes, Instant now) {
  now_ = now;
  const auto done = places_[link]->link.received(bytes, now);
  if (done) return;
  outside_.close(link);
  lost(link, std::string(ringway::tunnel::text_of(done.error())));
}

void ControllerEnd::closed(std::uint16_t link, const std::string& reason, Instant now) {
  now_ = now;
  lost(link, reason);
}

// The first retry comes soon and later ones more seldom, but often enough to be back within a
// second of the far end. Jitter keeps many controllers apart.
void ControllerEnd::lost(std::uint16_t link, const std::string& reason) {
  Place& place = *places_[link];
  if (place.link.up()) {
    numbers_.connections_broken.add();
    numbers_.connections.subtract();
  } else {
    ++place.address;
  }
  place.link.closed();
  place.state = State::Waiting;
  const auto half = static_cast<std::uint64_t>(place.back_off.count() / 2);
  place.deadline = now_ + Duration(static_cast<std::int64_t>(half + random_.below(half)));
  place.back_off = std::min(place.back_off * 2, kBackOffMax);
  Relay& relay = relays_[place.relay];
  const bool any = std::any_of(places_.begin(), places_.end(), [&](const auto& other) {
    return other->relay == place.relay && other->link.up();
  });
  // Said once for each outage, and again when the reason is another.
  if (!any && (relay.was_up || relay.reason != reason)) {
    outside_.say("no connection to " + settings_.relays[place.relay].name + ": " + reason);
  }
  if (!any) {
    relay.was_up = false;
    relay.reason = reason;
  }
  pending_.take_if([&](const Pending& pending) { return pending.link == link; },
                   [&](const Pending& pending) {
                     fail(pending, "tunnel: the connection broke before the answer came");
                   });
  numbers_.pending.set(pending_.size());
}

void ControllerEnd::expire_places(Instant now) {
  for (std::uint16_t i = 0; i < places_.size(); ++i) {
    Place& place = *places_[i];
    if (place.state == State::Open) {
      const auto done = place.link.expire(now);
      if (done) continue;
      outside_.close(i);
      lost(i, std::string(ringway::tunnel::text_of(done.error())));
    } else if (now >= place.deadline && place.state == State::Connecting) {
      outside_.close(i);
      lost(i, "no answer to the connection attempt");
      place.deadline = now;  // the wait was the back-off
    } else if (now >= place.deadline) {
      place.state = State::Connecting;
      place.deadline = now + settings_.connect_timeout;
      const auto& endpoints = settings_.relays[place.relay].endpoints;
      outside_.connect(i, endpoints[place.address % endpoints.size()]);
    }
  }
}

std::string ControllerEnd::status() const {
  std::string text;
  for (std::uint8_t relay = 0; relay < relays_.size(); ++relay) {
    text += "# relay " + settings_.relays[relay].name + ": " +
            (usable(relay) ? (relay == current_ ? "up, in use" : "up") : relays_[relay].reason) +
            "\n";
  }
  return text;
}

}  // namespace ringway::tunnel
