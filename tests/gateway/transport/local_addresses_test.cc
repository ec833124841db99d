#include "gateway/transport/local_addresses.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

namespace ringway::test {
namespace {

Address address(std::uint32_t number, std::uint8_t first = 10) {
  Address made;
  made.bytes = {first, static_cast<std::uint8_t>(number >> 16),
                static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)};
  return made;
}
Endpoint peer(std::uint32_t number, std::uint8_t first = 10) {
  return {address(number, first), 5'060};
}

class LocalAddressesTest : public testing::Test {
 protected:
  LocalAddressId name(std::uint32_t number) {
    return addresses_.name_of(address(number), counters_);
  }
  LocalAddressId last(const Endpoint& peer, std::uint16_t port = 5'060) {
    return addresses_.find_for_request(port, peer, counters_);
  }
  std::uint64_t forgotten() { return counters_.datagram_peers_forgotten.value(); }
  Counters counters_;
  LocalAddresses addresses_{HashKey{1, 2}};
};

TEST_F(LocalAddressesTest, AnAddressHasOneNameAndANameOneAddress) {
  std::set<LocalAddressId> names;
  for (std::uint32_t i = 0; i < 200; ++i) {
    const LocalAddressId id = name(i);
    EXPECT_TRUE(names.insert(id).second);
    EXPECT_EQ(addresses_.find(id), address(i));
    EXPECT_EQ(name(i), id);
  }
  EXPECT_FALSE(names.contains(0));
  for (const LocalAddressId nobody :
       std::initializer_list<LocalAddressId>{0, 1'023, 1'024, 65'535}) {
    if (!names.contains(nobody)) {
      EXPECT_FALSE(addresses_.find(nobody)) << nobody;
    }
  }
}

TEST_F(LocalAddressesTest, MoreAddressesThanThereArePlacesAreRefusedAndCounted) {
  std::uint64_t named = 0;
  for (std::uint32_t i = 0; i < 5'000; ++i) named += name(i) != 0 ? 1 : 0;
  EXPECT_LE(named, LocalAddresses::kAddressesMax);
  EXPECT_GT(named, LocalAddresses::kAddressesMax / 2);
  EXPECT_EQ(counters_.local_addresses_refused.value(), 5'000 - named);
  EXPECT_NE(name(0), 0) << "who has a name keeps it";
}

TEST_F(LocalAddressesTest, ALostOneIsCountedOnceAndComesBackWithItsName) {
  const LocalAddressId id = name(1);
  addresses_.lost(id, counters_);
  addresses_.lost(id, counters_);
  EXPECT_EQ(counters_.local_addresses_lost.value(), 1u);
  EXPECT_FALSE(addresses_.find(id));
  EXPECT_EQ(name(1), id);
  EXPECT_EQ(addresses_.find(id), address(1));
}

TEST_F(LocalAddressesTest, APeerIsKnownByItsEndpointAndOurPort) {
  const LocalAddressId a = name(1), b = name(2);
  EXPECT_EQ(last(peer(7)), 0);
  addresses_.heard(5'060, peer(7), a, counters_);
  addresses_.heard(5'062, peer(7), b, counters_);
  EXPECT_EQ(last(peer(7)), a);
  EXPECT_EQ(last(peer(7), 5'062), b);
  EXPECT_EQ(last({peer(7).address, 5'061}), 0);
  EXPECT_EQ(last(peer(8)), 0);
  Endpoint six = peer(7);
  six.address.family = Family::V6;
  EXPECT_EQ(last(six), 0);
}

TEST_F(LocalAddressesTest, TheAddressThatItLastSpokeToCounts) {
  const LocalAddressId a = name(1), b = name(2);
  for (const LocalAddressId id : {a, b, a}) {
    addresses_.heard(5'060, peer(7), id, counters_);
    EXPECT_EQ(last(peer(7)), id);
  }
  for (const LocalAddressId id : {b, a}) {
    addresses_.keep(5'060, peer(7), id, counters_);
    EXPECT_EQ(last(peer(7)), id);
  }
}

// RFC 3261 26.1: anybody may write any source into a datagram.
TEST_F(LocalAddressesTest, AFloodOfInventedSourcesForgetsNobodyWhoIsKnown) {
  const LocalAddressId ours = name(1), theirs = name(2);
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    if (i % 2 == 0) {
      addresses_.keep(5'060, peer(i), ours, counters_);
    } else {
      addresses_.heard(5'060, peer(i), ours, counters_);
      EXPECT_EQ(last(peer(i)), ours);  // we have sent him something
    }
  }
  EXPECT_EQ(forgotten(), 0u);
  for (std::uint32_t i = 0; i < 1'000'000; ++i) {
    addresses_.heard(5'060, peer(i, 99), theirs, counters_);
  }
  EXPECT_GT(forgotten(), 900'000u);
  for (std::uint32_t i = 0; i < 10'000; ++i) ASSERT_EQ(last(peer(i)), ours) << i;
}

TEST_F(LocalAddressesTest, KnownOnesThatAreTooManyForgetThoseThatWereNotUsed) {
  const LocalAddressId id = name(1);
  constexpr std::uint32_t kMany = LocalAddresses::kPeersMax * 2;
  for (std::uint32_t i = 0; i < kMany; ++i) {
    addresses_.keep(5'060, peer(i), id, counters_);
    if (i % 16 == 0) {
      ASSERT_EQ(last(peer(0)), id) << i;  // who is in use stays
    }
  }
  EXPECT_GE(forgotten(), kMany - LocalAddresses::kPeersMax);
  std::uint32_t known = 0;
  for (std::uint32_t i = 0; i < kMany; ++i) known += last(peer(i)) != 0 ? 1 : 0;
  EXPECT_GT(known, LocalAddresses::kPeersMax / 2);
}

TEST_F(LocalAddressesTest, AsManyKnownOnesAsAShardHasBindingsFindTheirPlaces) {
  const LocalAddressId id = name(1);
  constexpr std::uint32_t kBindings = 65'536;
  for (std::uint32_t i = 0; i < kBindings; ++i) addresses_.keep(5'060, peer(i), id, counters_);
  EXPECT_LT(forgotten(), kBindings / 100);
}

TEST_F(LocalAddressesTest, ShardsThatUseItAtOnceFindWhatTheyPutIn) {
  constexpr std::uint32_t kEach = 20'000;
  std::vector<Counters> counters(4);
  std::vector<std::uint32_t> wrong(counters.size()), missing(counters.size());
  std::vector<std::thread> shards;
  for (std::uint32_t shard = 0; shard < counters.size(); ++shard) {
    shards.emplace_back([&, shard] {
      for (std::uint32_t i = 0; i < kEach; ++i) {
        const std::uint32_t mine = shard * kEach + i;
        const LocalAddressId id = addresses_.name_of(address(mine % 50), counters[shard]);
        addresses_.keep(5'060, peer(mine), id, counters[shard]);
        const LocalAddressId found =
            addresses_.find_for_request(5'060, peer(mine), counters[shard]);
        const auto there = addresses_.find(found);
        if (!there) {
          ++missing[shard];
        } else if (*there != address(mine % 50)) {
          ++wrong[shard];
        }
      }
    });
  }
  for (std::thread& shard : shards) shard.join();
  for (std::size_t shard = 0; shard < counters.size(); ++shard) {
    EXPECT_EQ(wrong[shard], 0u);
    EXPECT_LT(missing[shard], kEach / 100);  // two wrote the same place at one moment
  }
}

}  // namespace
}  // namespace ringway::test
