#include "gateway/transport/local_addresses.h"

#include <algorithm>
#include <cstring>

namespace ringway {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr std::uint32_t kProbesMax = 16;

}  // namespace

// --- Addresses ---------------------------------------------------------------------------------

LocalAddressId LocalAddresses::name_of(const Address& address, Counters& counters) {
  const auto begin = static_cast<std::uint32_t>(keyed_hash(key_, address.octets()) % kAddressesMax);
  for (std::uint32_t i = 0; i < kProbesMax; ++i) {
    const std::uint32_t index = (begin + i) % kAddressesMax;
    Place& place = addresses_[index];
    std::uint32_t state = place.state.load(std::memory_order_acquire);
    if (state == kFree && place.state.compare_exchange_strong(state, kClaimed)) {
      place.address = address;
      place.state.store(kHere, std::memory_order_release);
      return static_cast<LocalAddressId>(index + 1);
    }
    if (state < kHere || place.address != address) continue;
    if (state == kLost) place.state.store(kHere, std::memory_order_release);
    return static_cast<LocalAddressId>(index + 1);
  }
  counters.local_addresses_refused.add();
  return 0;
}

std::optional<Address> LocalAddresses::find(LocalAddressId id) const {
  if (id == 0 || id > kAddressesMax) return std::nullopt;
  const Place& place = addresses_[id - 1u];
  if (place.state.load(std::memory_order_acquire) != kHere) return std::nullopt;
  return place.address;
}

void LocalAddresses::lost(LocalAddressId id, Counters& counters) {
  if (!find(id)) return;
  addresses_[id - 1u].state.store(kLost, std::memory_order_release);
  counters.local_addresses_lost.add();
}

// --- Peers -------------------------------------------------------------------------------------

LocalAddresses::Hash LocalAddresses::hash_of(std::uint16_t port, const Endpoint& peer) {
  std::array<std::uint8_t, 2 * sizeof port + 16> bytes{};
  std::memcpy(bytes.data(), &port, sizeof port);
  std::memcpy(bytes.data() + sizeof port, &peer.port, sizeof peer.port);
  const Bytes octets = peer.address.octets();
  std::memcpy(bytes.data() + 2 * sizeof port, octets.data(), octets.size());
  const Word hash = keyed_hash(key_, Bytes(bytes).first(2 * sizeof port + octets.size()));
  return {peers_[hash % peers_.size()], hash & kTagMask};
}

std::optional<LocalAddresses::Found> LocalAddresses::find(const Hash& hash) {
  for (std::size_t way = 0; way < kWays; ++way) {
    const Word word = hash.bucket.words[way].load(kRelaxed);
    if (word != 0 && (word & kTagMask) == hash.tag) return Found{way, word};
  }
  return std::nullopt;
}

// Lines that all shards read stay clean: a word is written only when it changes.
void LocalAddresses::touch(const Hash& hash, const Found& found, LocalAddressId id) {
  Word seen = found.word;
  const Word wanted = hash.tag | kUsed | id;
  if (seen == wanted) return;
  hash.bucket.words[found.way].compare_exchange_strong(seen, wanted, kRelaxed);
}

// Of those who may go, the first one goes that was not used since it came. If all were, they have
// to be used again to stay.
void LocalAddresses::insert(const Hash& hash, LocalAddressId id, bool kept, Counters& counters) {
  const auto begin = hash.bucket.words.begin() + (kept ? 0 : kKeptWays);
  const auto end = hash.bucket.words.begin() + (kept ? kKeptWays : kWays);
  auto victim = std::find_if(begin, end, [](const auto& word) { return word.load(kRelaxed) == 0; });
  if (victim == end) {
    victim = std::find_if(begin, end,
                          [](const auto& word) { return (word.load(kRelaxed) & kUsed) == 0; });
  }
  if (victim == end) {
    for (auto word = begin; word != end; ++word) word->fetch_and(~kUsed, kRelaxed);
    victim = begin + static_cast<std::ptrdiff_t>(hash.tag >> 32) % (end - begin);
  }
  Word seen = victim->load(kRelaxed);
  if (!victim->compare_exchange_strong(seen, hash.tag | id, kRelaxed)) return;
  if (seen != 0) counters.datagram_peers_forgotten.add();
}

void LocalAddresses::heard(std::uint16_t port, const Endpoint& peer, LocalAddressId id,
                           Counters& counters) {
  const Hash hash = hash_of(port, peer);
  const auto found = find(hash);
  if (found) return touch(hash, *found, id);
  insert(hash, id, false, counters);
}

void LocalAddresses::keep(std::uint16_t port, const Endpoint& peer, LocalAddressId id,
                          Counters& counters) {
  const Hash hash = hash_of(port, peer);
  const auto found = find(hash);
  if (found && found->way < kKeptWays) return touch(hash, *found, id);
  insert(hash, id, true, counters);
  if (!found) return;
  Word seen = found->word;
  hash.bucket.words[found->way].compare_exchange_strong(seen, 0, kRelaxed);
}

LocalAddressId LocalAddresses::find_for_request(std::uint16_t port, const Endpoint& peer,
                                                Counters& counters) {
  const auto found = find(hash_of(port, peer));
  if (!found) return 0;
  const auto id = static_cast<LocalAddressId>(found->word & kIdMask);
  if (found->way >= kKeptWays || (found->word & kUsed) == 0) keep(port, peer, id, counters);
  return id;
}

}  // namespace ringway
