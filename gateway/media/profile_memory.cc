#include "gateway/media/profile_memory.h"

namespace ringway {

void ProfileMemory::works(std::uint64_t key, MediaLeg leg, Instant now) {
  if (key != 0) places_[key % kPlaces] = {key, leg, false, now + kAge};
}

void ProfileMemory::refuses(std::uint64_t key, Instant now) {
  if (key != 0) places_[key % kPlaces] = {key, MediaLeg::Plain, true, now + kRefusedAge};
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
