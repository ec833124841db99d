#include "gateway/admission/ban_table.h"

#include <algorithm>

#include "gateway/base/check.h"

namespace ringway {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// Rounded up, never 0.
std::uint32_t seconds_of(Instant time) {
  const auto seconds = (time.time_since_epoch() + 999'999'999ns) / 1s;
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(seconds, 1, 0xffff'ffff));
}

// The whole seconds that have passed: what ends later than these is in force.
std::uint32_t seconds_before(Instant time) {
  return static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(time.time_since_epoch() / 1s, 0, 0xffff'ffff));
}

Instant instant_of(std::uint32_t seconds) {
  return Instant(std::chrono::seconds(seconds));
}

}  // namespace

std::string_view to_text(BanCause cause) {
  switch (cause) {
    case BanCause::Command:
      return "command";
    case BanCause::Failures:
      return "failures";
    case BanCause::Challenges:
      return "challenges";
    case BanCause::Signature:
      return "signature";
    case BanCause::Score:
      return "score";
    case BanCause::Framing:
      return "framing";
  }
  return {};
}

std::string_view to_text(BanScope scope) {
  return scope == BanScope::Datagrams ? "udp" : "all";
}

BanTable::BanTable(std::uint32_t capacity, const HashKey& key)
    : key_(key),
      places_((std::max<std::size_t>(capacity, 1) + kWays - 1) / kWays * kWays),
      sets_(places_.size() / kWays) {}

std::size_t BanTable::first_of(SourceKey source) const {
  std::array<std::uint8_t, 8> octets;
  for (std::size_t i = 0; i < octets.size(); ++i) {
    octets[i] = static_cast<std::uint8_t>(source.value >> (8 * i));
  }
  return keyed_hash(key_, Bytes(octets)) % sets_ * kWays;
}

const BanTable::Place* BanTable::find_place(SourceKey source) const {
  const std::size_t first = first_of(source);
  for (std::size_t i = first; i < first + kWays; ++i) {
    if (places_[i].source.load(std::memory_order_acquire) == source.value) return &places_[i];
  }
  return nullptr;
}

bool BanTable::is_banned(SourceKey source, BanScope by, Instant now) const {
  if (used_.load(kRelaxed) == 0 || source.value == 0) return false;
  const Place* place = find_place(source);
  if (!place) return false;
  const auto& until =
      by == BanScope::Datagrams ? place->datagrams_until : place->streams_until;
  const bool banned = instant_of(until.load(kRelaxed)) > now;
  // The place may have become another source's in between.
  std::atomic_thread_fence(std::memory_order_acquire);
  return banned && place->source.load(kRelaxed) == source.value;
}

bool BanTable::is_commanded(SourceKey source) const {
  const Place* place = find_place(source);
  return place && place->cause.load(kRelaxed) == static_cast<std::uint8_t>(BanCause::Command);
}

std::optional<BanTable::Ban> BanTable::read(const Place& place, std::uint32_t now) {
  const std::uint32_t streams = place.streams_until.load(kRelaxed);
  const std::uint32_t datagrams = place.datagrams_until.load(kRelaxed);
  const std::uint32_t until = std::max(streams, datagrams);
  if (place.source.load(kRelaxed) == 0 || until <= now) return std::nullopt;
  return Ban{{place.source.load(kRelaxed)},
             streams > now ? BanScope::Everything : BanScope::Datagrams,
             static_cast<BanCause>(place.cause.load(kRelaxed)),
             place.level.load(kRelaxed),
             instant_of(place.since.load(kRelaxed)),
             instant_of(until)};
}

void BanTable::forget(Place& place) {
  if (place.source.load(kRelaxed) == 0) return;
  place.datagrams_until.store(0, kRelaxed);
  place.streams_until.store(0, kRelaxed);
  place.source.store(0, std::memory_order_release);
  used_.store(used_.load(kRelaxed) - 1, kRelaxed);
}

BanTable::Place& BanTable::place_for(SourceKey source, std::uint32_t now) {
  const std::size_t first = first_of(source);
  Place* chosen = nullptr;
  std::uint64_t chosen_ends = ~std::uint64_t{0};
  for (std::size_t i = first; i < first + kWays; ++i) {
    Place& place = places_[i];
    const std::uint64_t here = place.source.load(kRelaxed);
    if (here == source.value) return place;
    // A free one first, then one that is only remembered, then what ends next.
    const std::uint32_t until =
        std::max(place.streams_until.load(kRelaxed), place.datagrams_until.load(kRelaxed));
    const std::uint64_t ends =
        here == 0 ? 0 : (until <= now ? 1 + place.forget_at.load(kRelaxed)
                                      : (std::uint64_t{1} << 33) + until);
    if (ends >= chosen_ends) continue;
    chosen = &place;
    chosen_ends = ends;
  }
  if (chosen_ends >= std::uint64_t{1} << 33) ++cut_short_;
  forget(*chosen);
  return *chosen;
}

void BanTable::put(const Ban& ban, Instant now) {
  CHECK(ban.source.value != 0 && ban.until > now);
  const std::uint32_t now_seconds = seconds_before(now), until = seconds_of(ban.until);
  Place& place = place_for(ban.source, now_seconds);
  const bool is_new = place.source.load(kRelaxed) == 0;
  if (is_new) place.streams_until.store(0, kRelaxed);
  place.datagrams_until.store(until, kRelaxed);
  if (ban.scope == BanScope::Everything) place.streams_until.store(until, kRelaxed);
  place.forget_at.store(seconds_of(ban.until + kRememberedFor), kRelaxed);
  place.since.store(now_seconds, kRelaxed);
  place.level.store(ban.level, kRelaxed);
  place.cause.store(static_cast<std::uint8_t>(ban.cause), kRelaxed);
  if (!is_new) return;
  place.source.store(ban.source.value, std::memory_order_release);
  used_.store(used_.load(kRelaxed) + 1, kRelaxed);
}

bool BanTable::lift(SourceKey source, Instant now) {
  const Place* place = find_place(source);
  if (!place) return false;
  const bool in_force = read(*place, seconds_before(now)).has_value();
  forget(places_[static_cast<std::size_t>(place - &places_[0])]);
  return in_force;
}

std::vector<BanTable::Ban> BanTable::list(std::size_t max, Instant now) const {
  std::vector<Ban> bans;
  std::uint32_t left = remembered();
  for (std::size_t i = 0; i < places_.size() && left != 0 && bans.size() < max; ++i) {
    if (places_[i].source.load(kRelaxed) == 0) continue;
    --left;
    if (const auto ban = read(places_[i], seconds_before(now))) bans.push_back(*ban);
  }
  return bans;
}

BanTable::Page BanTable::page(std::size_t from, std::size_t max, Instant now) const {
  Page page;
  if (remembered() == 0 || from >= places_.size()) return page;
  const std::size_t end = from + std::min(kPagePlaces, places_.size() - from);
  std::size_t i = from;
  for (; i < end && page.bans.size() < max; ++i) {
    if (places_[i].source.load(kRelaxed) == 0) continue;
    if (const auto ban = read(places_[i], seconds_before(now))) page.bans.push_back(*ban);
  }
  if (i < places_.size()) page.next = i;
  return page;
}

std::optional<BanTable::Ban> BanTable::find(SourceKey source, Instant now) const {
  const Place* place = find_place(source);
  return place ? read(*place, seconds_before(now)) : std::nullopt;
}

std::uint8_t BanTable::next_level(SourceKey source, Instant now) const {
  const Place* place = find_place(source);
  if (!place || place->forget_at.load(kRelaxed) <= seconds_before(now)) return 0;
  return static_cast<std::uint8_t>(std::min<int>(place->level.load(kRelaxed) + 1, kLevelMax));
}

}  // namespace ringway
