#include "gateway/nat/binding_table.h"

#include <map>
#include <memory>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace ringway {
namespace {

class BindingTableTest : public ::testing::Test {
 protected:
  std::unique_ptr<Counters> counters_ = std::make_unique<Counters>();
  BindingTable table_{8, {1, 2}, *counters_};
};

TEST_F(BindingTableTest, TakesFindsAndReleases) {
  EXPECT_FALSE(table_.find(5));
  const SlotId id = table_.take(5);
  ASSERT_TRUE(id);
  EXPECT_EQ(table_.find(5), id);
  EXPECT_EQ(table_.take(5), id) << "the same user agent has one entry";
  EXPECT_EQ(table_.get(id)->hash, 5u);
  EXPECT_EQ(table_.size(), 1u);
  EXPECT_EQ(counters_->user_agents.value(), 1u);
  table_.release(id);
  EXPECT_FALSE(table_.find(5));
  EXPECT_EQ(table_.get(id), nullptr);
  EXPECT_EQ(counters_->user_agents.value(), 0u);
}

TEST_F(BindingTableTest, AReusedEntryIsNew) {
  const SlotId old = table_.take(5);
  table_.get(old)->away = true;
  table_.set_contact(old, 99);
  table_.release(old);
  const SlotId id = table_.take(6);
  EXPECT_EQ(id.slot, old.slot);
  EXPECT_NE(id.generation, old.generation);
  EXPECT_FALSE(table_.get(id)->away);
  EXPECT_EQ(table_.get(id)->contact_hash, 0u);
  EXPECT_FALSE(table_.find_contact(99));
}

TEST_F(BindingTableTest, AFullTableRefusesAndStillFinds) {
  for (std::uint64_t hash = 1; hash <= 8; ++hash) ASSERT_TRUE(table_.take(hash * 8));
  EXPECT_FALSE(table_.take(100));
  EXPECT_TRUE(table_.take(16)) << "known already";
  table_.release(table_.find(24));
  EXPECT_TRUE(table_.take(100));
  EXPECT_FALSE(table_.find(24));
}

TEST_F(BindingTableTest, OneChainHoldsManyAndLosesAny) {
  // Eight buckets: all of these share the first, as do their Contacts.
  for (std::uint64_t hash = 8; hash <= 64; hash += 8) {
    table_.set_contact(table_.take(hash), hash * 16);
  }
  for (const std::uint64_t gone : {40u, 8u, 64u, 24u}) {  // middle, tail, head, middle
    table_.release(table_.find(gone));
    EXPECT_FALSE(table_.find(gone));
    EXPECT_FALSE(table_.find_contact(gone * 16));
  }
  for (const std::uint64_t left : {16u, 32u, 48u, 56u}) {
    ASSERT_TRUE(table_.find(left)) << left;
    EXPECT_EQ(table_.find_contact(left * 16), table_.find(left));
  }
}

TEST_F(BindingTableTest, AContactMovesAndGoes) {
  const SlotId id = table_.take(5);
  table_.set_contact(id, 7);
  table_.set_contact(id, 7);
  EXPECT_EQ(table_.find_contact(7), id);
  table_.set_contact(id, 15);
  EXPECT_FALSE(table_.find_contact(7));
  EXPECT_EQ(table_.find_contact(15), id);
  table_.set_contact(id, 0);
  EXPECT_FALSE(table_.find_contact(15));
  EXPECT_EQ(table_.find(5), id);
}

TEST_F(BindingTableTest, TextsAreHashedUnderTheKey) {
  BindingTable other(8, {3, 4}, *counters_);
  EXPECT_EQ(table_.hash_text("sip:alice@example.org"), table_.hash_text("sip:alice@example.org"));
  EXPECT_NE(table_.hash_text("sip:alice@example.org"), other.hash_text("sip:alice@example.org"));
}

// Against a model: who is there, under which Contact.
TEST(BindingTable, BehavesLikeTwoMaps) {
  constexpr unsigned kSeed = 3327;
  std::mt19937_64 random(kSeed);
  const auto counters = std::make_unique<Counters>();
  constexpr std::uint32_t kCapacity = 50;
  BindingTable table(kCapacity, {1, 2}, *counters);
  std::map<std::uint64_t, std::uint64_t> contacts;  // by user agent; 0: none
  for (int step = 0; step < 50'000; ++step) {
    const std::uint64_t hash = random() % 80 + 1;
    const auto known = contacts.find(hash);
    switch (random() % 3) {
      case 0: {
        const bool room = known != contacts.end() || contacts.size() < kCapacity;
        ASSERT_EQ(static_cast<bool>(table.take(hash)), room) << "seed " << kSeed << " " << step;
        if (room) contacts.emplace(hash, 0);
        break;
      }
      case 1:
        if (known == contacts.end()) break;
        known->second = random() % 2 == 0 ? 0 : hash + 1'000;
        table.set_contact(table.find(hash), known->second);
        break;
      default:
        if (known == contacts.end()) break;
        table.release(table.find(hash));
        contacts.erase(known);
    }
    const auto now = contacts.find(hash);
    ASSERT_EQ(static_cast<bool>(table.find(hash)), now != contacts.end()) << step;
    const SlotId by_contact = table.find_contact(hash + 1'000);
    ASSERT_EQ(static_cast<bool>(by_contact), now != contacts.end() && now->second != 0) << step;
    if (by_contact) {
      ASSERT_EQ(by_contact, table.find(hash)) << step;
    }
    ASSERT_EQ(table.size(), contacts.size());
  }
}

}  // namespace
}  // namespace ringway
