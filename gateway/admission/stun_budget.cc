#include "gateway/admission/stun_budget.h"

#include <algorithm>
#include <array>

#include "gateway/base/source_key.h"

namespace ringway {
namespace {

constexpr std::uint64_t kToken = 1'000;

}  // namespace

StunBudget::Place& StunBudget::place_of(std::uint64_t key, Rate rate, Instant now) {
  const std::size_t first = (key >> 8) % (kPlaces / kWays) * kWays;
  std::size_t oldest = first;
  for (std::size_t i = first; i < first + kWays; ++i) {
    if (places_[i].key == key) return places_[i];
    if (places_[i].used < places_[oldest].used) oldest = i;
  }
  places_[oldest] = {key, now, rate.burst * kToken};
  return places_[oldest];
}

bool StunBudget::take(const Endpoint& remote, bool is_known, Instant now) {
  // One kind of key is ten bytes shorter than the other, so that neither is ever the other's.
  std::array<std::uint8_t, 18> octets{};
  std::size_t size = 8;
  if (is_known) {
    const Bytes address = remote.address.octets();
    std::copy(address.begin(), address.end(), octets.begin());
    write_u16(MutableBytes(octets).subspan(16), remote.port);
    size = octets.size();
  } else {
    write_u64(octets, source_key(remote.address).value);
  }
  const Rate rate = is_known ? kKnown : kStranger;
  Place& place = place_of(keyed_hash(key_, Bytes(octets).first(size)) | 1, rate, now);
  const std::int64_t passed = std::max<std::int64_t>((now - place.used) / 1ms, 0);
  place.used += passed * 1ms;  // what is less counts with the next
  // A bucket is full after 1,000 s whatever its size.
  const auto milliseconds = static_cast<std::uint64_t>(std::min<std::int64_t>(passed, 1'000'000));
  place.tokens = std::min(place.tokens + milliseconds * rate.each_second, rate.burst * kToken);
  if (place.tokens < kToken) return false;
  place.tokens -= kToken;
  return true;
}

}  // namespace ringway
