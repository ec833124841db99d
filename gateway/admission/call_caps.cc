#include "gateway/admission/call_caps.h"

namespace ringway {
namespace {

std::uint32_t number_of(std::uint64_t word) {
  return static_cast<std::uint32_t>(word >> 32);
}
std::uint32_t amount_of(std::uint64_t word) {
  return static_cast<std::uint32_t>(word);
}

}  // namespace

// Adds amount to what was counted in that minute or day, if max allows it.
bool CallCaps::add(std::atomic<std::uint64_t>& counter, std::uint32_t number, std::uint32_t amount,
                   std::uint32_t max) {
  std::uint64_t seen = counter.load();
  for (;;) {
    const std::uint32_t before = number_of(seen) == number ? amount_of(seen) : 0;
    if (std::uint64_t{before} + amount > max) return false;
    const std::uint64_t wanted = std::uint64_t{number} << 32 | (before + amount);
    if (counter.compare_exchange_weak(seen, wanted)) return true;
  }
}

CallCaps::Place* CallCaps::find(std::uint64_t key) {
  const std::size_t first = key % (kPlaces / kWays) * kWays;
  for (std::size_t i = first; i < first + kWays; ++i) {
    if (places_[i].key.load() == key) return &places_[i];
  }
  return nullptr;
}

// The place of key, with one call more. Two shards that bring the same key at the same time try the
// same place first; who comes second finds the key there.
CallCaps::Taken CallCaps::take(std::uint64_t key, const Time& time) {
  const std::size_t first = key % (kPlaces / kWays) * kWays;
  for (;;) {
    Place* place = find(key);
    for (std::size_t i = first; i < first + kWays && !place; ++i) {
      std::uint64_t known = places_[i].key.load();
      if (known != 0 && !is_idle(places_[i], time)) continue;
      // What its counters hold is of another day, and so counts for nothing.
      if (places_[i].key.compare_exchange_strong(known, key)) place = &places_[i];
      if (!place) i = first + kWays;  // somebody was faster: look again
    }
    if (!place) {
      if (is_full(first, time)) return {};
      continue;
    }
    const std::uint64_t before = place->calls.fetch_add(1);
    if (place->key.load() == key) return {place, before};
    place->calls.fetch_sub(1);
  }
}

bool CallCaps::is_idle(const Place& place, const Time& time) {
  return place.calls.load() == 0 && number_of(place.day.load()) != time.day &&
         number_of(place.minute.load()) != time.minute;
}

bool CallCaps::is_full(std::size_t first, const Time& time) const {
  for (std::size_t i = first; i < first + kWays; ++i) {
    if (places_[i].key.load() == 0 || is_idle(places_[i], time)) return false;
  }
  return true;
}

CallCaps::Outcome CallCaps::begin(std::uint64_t key, const Limits& limits, const Time& time) {
  const auto [place, before] = take(key, time);
  if (!place) return Outcome::NoRoom;
  Outcome outcome = Outcome::Counted;
  const std::uint64_t day = place->day.load();
  const std::uint32_t used = number_of(day) == time.day ? amount_of(day) : 0;
  if (limits.calls != 0 && before >= limits.calls) {
    outcome = Outcome::Calls;
  } else if (limits.seconds_a_day != 0 && used >= limits.seconds_a_day) {
    outcome = Outcome::MinutesADay;
  } else if (limits.calls_a_minute != 0 &&
             !add(place->minute, time.minute, 1, limits.calls_a_minute)) {
    outcome = Outcome::CallsAMinute;
  }
  if (outcome != Outcome::Counted) place->calls.fetch_sub(1);
  return outcome;
}

void CallCaps::end(std::uint64_t key) {
  if (Place* place = find(key)) place->calls.fetch_sub(1);
}

bool CallCaps::use(std::uint64_t key, std::uint32_t seconds, const Limits& limits,
                   const Time& time) {
  if (limits.seconds_a_day == 0) return true;
  Place* place = find(key);
  return place && add(place->day, time.day, seconds, limits.seconds_a_day);
}

void CallCaps::give_back(std::uint64_t key, std::uint32_t seconds, const Time& time) {
  Place* place = find(key);
  if (!place) return;
  std::uint64_t seen = place->day.load();
  while (number_of(seen) == time.day && amount_of(seen) >= seconds &&
         !place->day.compare_exchange_weak(seen, seen - seconds)) {
  }
}

std::string_view to_text(CallCaps::Outcome outcome) {
  switch (outcome) {
    case CallCaps::Outcome::Counted:
      return {};
    case CallCaps::Outcome::Calls:
      return "calls";
    case CallCaps::Outcome::CallsAMinute:
      return "calls_a_minute";
    case CallCaps::Outcome::MinutesADay:
      return "minutes_a_day";
    case CallCaps::Outcome::NoRoom:
      return "no room to count it";
  }
  return {};
}

}  // namespace ringway
