#pragma once

#include <array>
#include <cstdint>

#include "gateway/base/outbox.h"
#include "gateway/base/source_counts.h"
#include "protocol/base/keyed_hash.h"

namespace ringway {

// The media sessions that those hold who have not registered, until their calls are answered: few
// for each connection or UDP address, and some more for each source address, so that who only asks
// leaves the relay's ports to the others. Constant memory.
class GuestMedia {
 public:
  // What one call holds; zero: nothing.
  struct Place {
    std::uint64_t flow = 0, source = 0;
  };

  GuestMedia(const HashKey& key, std::uint32_t per_flow, std::uint32_t per_source)
      : key_(key), counts_(key), per_flow_(per_flow), per_source_(per_source) {}

  // False: that flow or source holds as many as it may. place is set otherwise, until give_back().
  [[nodiscard]] bool take(const Source& source, Place& place) {
    const std::uint64_t address = counts_.name_of(source.remote.address);
    const std::uint64_t flow = name_of(source, address);
    if (counts_.count(flow) >= per_flow_ || counts_.count(address) >= per_source_) return false;
    place = {flow, address};
    counts_.add(flow);
    counts_.add(address);
    return true;
  }
  // Answered or over. Nothing happens where nothing is held.
  void give_back(Place& place) {
    if (place.source == 0) return;
    counts_.remove(place.flow);
    counts_.remove(place.source);
    place = {};
  }

 private:
  std::uint64_t name_of(const Source& source, std::uint64_t address) const {
    std::array<std::uint8_t, 16> words;
    write_u64(MutableBytes(words), source.flow ? source.flow.value() : source.remote.port);
    write_u64(MutableBytes(words).subspan(8), source.flow ? 0 : address);
    return keyed_hash(key_, Bytes(words));
  }

  HashKey key_;
  SourceCounts counts_;  // flows and sources
  std::uint32_t per_flow_, per_source_;
};

}  // namespace ringway
