#include "gateway/admission/stun_budget.h"

#include <algorithm>
#include <array>

#include "gateway/base/source_key.h"

namespace ringway {

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
  Place& place = places_.place_of(keyed_hash(key_, Bytes(octets).first(size)) | 1, now,
                                  [](const Place& one) { return one.used; });
  return take_token(place, is_known ? kKnown : kStranger, now);
}

}  // namespace ringway
