#pragma once

#include <cstdint>
#include <optional>

#include "gateway/base/reserved_array.h"
#include "gateway/media/media_leg.h"
#include "protocol/base/time.h"

namespace ringway {

// What destinations have been found to speak: from their own descriptions, or because they took an
// offer of that profile after they had refused another one. Bounded: a newer one may take the place
// of an older one, which is then found out once more. Keys are keyed hashes of user agents or
// addresses of record.
class ProfileMemory {
 public:
  static constexpr std::size_t kPlaces = 4'096;
  static constexpr Duration kAge = std::chrono::hours(24);
  static constexpr Duration kRefusedAge = std::chrono::minutes(10);

  ProfileMemory() : places_(kPlaces) {}

  // True: that is news, to be told to others who remember.
  bool works(std::uint64_t key, MediaLeg leg, Instant now);
  // It refused both: it is asked once only, for a while. True as for works().
  bool refuses(std::uint64_t key, Instant now);

  std::optional<MediaLeg> find(std::uint64_t key, Instant now) const;
  bool has_refused(std::uint64_t key, Instant now) const;

 private:
  struct Place {
    std::uint64_t key = 0;  // 0: free
    MediaLeg leg = MediaLeg::Plain;
    bool refused = false;
    Instant until{};
  };
  const Place* at(std::uint64_t key, Instant now) const;
  bool remember(const Place& place, Duration age, Instant now);

  ReservedArray<Place> places_;  // by key
};

}  // namespace ringway
