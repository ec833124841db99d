#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "gateway/base/counters.h"
#include "gateway/base/endpoint.h"
#include "gateway/base/outbox.h"
#include "gateway/base/reserved_array.h"
#include "protocol/base/keyed_hash.h"

namespace ringway {

// From which address of this host a datagram has to leave, for UDP listeners that are bound to all
// of them: a response from the one that its request came to (RFC 3261 18.2.2, RFC 3581 4), anything
// else from the one to which its peer last spoke, since a NAT or a connected socket hears no other.
//
// One object for all shards of a process: the shard that sends may be another one than that which
// received. Each place is a word, or is written once; nobody waits for anybody. Where two shards
// write the same place at one moment one of them loses, and the peer's next datagram mends it.
class LocalAddresses {
 public:
  static constexpr std::uint32_t kAddressesMax = 1'023;
  static constexpr std::uint32_t kPeersMax = 8 << 15;
  static constexpr std::uint32_t kKnownMax = kPeersMax / 4 * 3;

  // key: random, so that nobody can choose whose place he takes.
  explicit LocalAddresses(HashKey key)
      : key_(key), addresses_(kAddressesMax), peers_(kPeersMax / kWays) {}

  // The address's name, which it gets with its first use; the host has it (again). 0, and counted:
  // there is no place for more of them.
  LocalAddressId name_of(const Address& address, Counters& counters);
  // nullopt: no such name, or the host has lost it.
  std::optional<Address> find(LocalAddressId id) const;
  // Nothing can be sent from there any more, until a datagram comes to it.
  void lost(LocalAddressId id, Counters& counters);

  // Peers by the port of ours that they speak to and their own endpoint. One that is only heard may
  // be forgotten for another one of those, as many as there are; those that we have sent requests
  // to or know as user agents are forgotten only for each other. Forgotten ones are counted.

  // The peer has spoken to that address (id is not 0).
  void heard(std::uint16_t port, const Endpoint& peer, LocalAddressId id, Counters& counters);
  // The same, and it is a user agent's.
  void keep(std::uint16_t port, const Endpoint& peer, LocalAddressId id, Counters& counters);
  // The address that it last spoke to, for a request of ours; 0: not known.
  LocalAddressId find_for_request(std::uint16_t port, const Endpoint& peer, Counters& counters);

 private:
  //   Free --> Claimed --> Here <--> Lost
  enum State : std::uint32_t { kFree, kClaimed, kHere, kLost };
  struct Place {
    std::atomic<std::uint32_t> state;
    Address address;  // written in Claimed only
  };

  // A peer's word; 0: none.
  //
  //   63                             11    10   9          0
  //   +--------------------------------+------+------------+
  //   | of the hash of port and peer   | used | address id |
  //   +--------------------------------+------+------------+
  //
  // used: since it came, and since the last time that all in its bucket were.
  using Word = std::uint64_t;
  static constexpr Word kIdMask = 0x3ff, kUsed = 0x400, kTagMask = ~Word{0x7ff};
  static_assert(kAddressesMax <= kIdMask);
  static constexpr std::size_t kWays = 8, kKeptWays = 6;  // the first ones
  static_assert(kKnownMax == kPeersMax / kWays * kKeptWays);
  struct alignas(64) Bucket {
    std::array<std::atomic<Word>, kWays> words;
  };
  struct Hash {
    Bucket& bucket;
    Word tag;
  };

  Hash hash_of(std::uint16_t port, const Endpoint& peer);
  struct Found {
    std::size_t way;
    Word word;
  };
  static std::optional<Found> find(const Hash& hash);
  static void touch(const Hash& hash, const Found& found, LocalAddressId id);
  static void insert(const Hash& hash, LocalAddressId id, bool kept, Counters& counters);

  const HashKey key_;
  ReservedArray<Place> addresses_;
  ReservedArray<Bucket> peers_;
};

}  // namespace ringway
