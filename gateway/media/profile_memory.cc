#include "gateway/media/profile_memory.h"

namespace ringway {

bool ProfileMemory::works(std::uint64_t key, MediaLeg leg, Instant now) {
  return remember({key, leg, false, now + kAge}, kAge, now);
}

bool ProfileMemory::refuses(std::uint64_t key, Instant now) {
  return remember({key, MediaLeg::Plain, true, now + kRefusedAge}, kRefusedAge, now);
}

// What is known already is news again when half of its age is over.
bool ProfileMemory::remember(const Place& place, Duration age, Instant now) {
  if (place.key == 0) return false;
  Place& known = places_[place.key % kPlaces];
  const bool same =
      known.key == place.key && known.leg == place.leg && known.refused == place.refused;
  if (same && known.until - now > age / 2) return false;
  known = place;
  return true;
}

const ProfileMemory::Place* ProfileMemory::at(std::uint64_t key, Instant now) const {
  const Place& place = places_[key % kPlaces];
  return key != 0 && place.key == key && now < place.until ? &place : nullptr;
}

std::optional<MediaLeg> ProfileMemory::find(std::uint64_t key, Instant now) const {
  const Place* place = at(key, now);
  return place && !place->refused ? std::optional(place->leg) : std::nullopt;
}

bool ProfileMemory::has_refused(std::uint64_t key, Instant now) const {
  const Place* place = at(key, now);
  return place && place->refused;
}

}  // namespace ringway
