#include "gateway/base/slot_table.h"

#include <map>
#include <memory>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/base/flow_id.h"
#include "gateway/base/reserved_array.h"

namespace ringway {
namespace {

TEST(SlotTable, AnIdFindsItsEntryUntilThatIsFreed) {
  SlotTable<int> table(4);
  EXPECT_EQ(table.find({}), nullptr);
  const SlotId id = table.take(42);
  ASSERT_TRUE(id);
  EXPECT_EQ(*table.find(id), 42);
  EXPECT_EQ(table.id_at(id.slot), id);
  table.release(id);
  EXPECT_EQ(table.find(id), nullptr);
  EXPECT_EQ(table.at(id.slot), nullptr);
  const SlotId next = table.take(43);
  EXPECT_EQ(next.slot, id.slot) << "freed last, used first";
  EXPECT_NE(next.generation, id.generation);
  EXPECT_EQ(table.find(id), nullptr);
  EXPECT_EQ(*table.find(next), 43);
  EXPECT_EQ(table.find({next.slot, 0}), nullptr);
  EXPECT_EQ(table.find({99, 1}), nullptr) << "never used";
}

TEST(SlotTable, RefusesWhenFull) {
  SlotTable<int> table(2);
  const SlotId first = table.take(1), second = table.take(2);
  EXPECT_FALSE(table.take(3));
  EXPECT_EQ(table.size(), 2u);
  table.release(first);
  EXPECT_TRUE(table.take(3));
  EXPECT_FALSE(table.take(4));
  EXPECT_EQ(*table.find(second), 2);
  EXPECT_EQ(table.used_slots(), 2u);
}

TEST(SlotTable, EntriesAreConstructedAndDestroyedOnce) {
  const auto value = std::make_shared<int>(1);
  {
    SlotTable<std::shared_ptr<int>> table(8);
    const SlotId first = table.take(value);
    table.take(value);
    EXPECT_EQ(value.use_count(), 3);
    table.release(first);
    EXPECT_EQ(value.use_count(), 2);
  }
  EXPECT_EQ(value.use_count(), 1) << "the table's end frees the rest";
}

TEST(SlotTable, BehavesLikeAMap) {
  constexpr unsigned kSeed = 5;
  std::mt19937 random(kSeed);
  SlotTable<int> table(32);
  std::map<std::uint64_t, int> live;
  std::vector<SlotId> ever;
  for (int step = 0; step < 20'000; ++step) {
    if (random() % 2 == 0) {
      const SlotId id = table.take(step);
      ASSERT_EQ(static_cast<bool>(id), live.size() < 32) << "seed " << kSeed;
      if (!id) continue;
      ASSERT_TRUE(live.emplace(id.packed(), step).second);
      ever.push_back(id);
    } else if (!ever.empty()) {
      const SlotId id = ever[random() % ever.size()];
      const auto known = live.find(id.packed());
      const int* found = table.find(id);
      ASSERT_EQ(found != nullptr, known != live.end()) << "seed " << kSeed;
      if (!found) continue;
      ASSERT_EQ(*found, known->second);
      table.release(id);
      live.erase(known);
    }
    ASSERT_EQ(table.size(), live.size());
  }
}

TEST(SlotId, PacksInFiftySixBits) {
  const SlotId id{0xff'ffff, 0xffff'ffff};
  EXPECT_EQ(id.packed() >> 56, 0u);
  EXPECT_EQ(SlotId::unpack(id.packed()), id);
  EXPECT_EQ(SlotId::unpack(id.packed() | std::uint64_t{0xab} << 56), id) << "a kind on top";
  EXPECT_FALSE(SlotId{});
}

TEST(FlowId, PacksShardSlotAndGeneration) {
  const FlowId id(255, 0xff'ffff, 0xffff'fffe);
  EXPECT_EQ(id.shard(), 255);
  EXPECT_EQ(id.slot(), 0xff'ffffu);
  EXPECT_EQ(id.generation(), 0xffff'fffeu);
  EXPECT_EQ(FlowId::from_value(id.value()), id);
  EXPECT_FALSE(FlowId());
  EXPECT_TRUE(FlowId(0, 0, 1));
  EXPECT_NE(FlowId(0, 0, 1), FlowId(1, 0, 1));
}

TEST(ReservedArray, BeginsWithZerosAndKeepsWhatIsWritten) {
  ReservedArray<std::uint32_t> array(1 << 20);
  EXPECT_EQ(array.size(), std::size_t{1} << 20);
  EXPECT_EQ(array[0], 0u);
  EXPECT_EQ(array[array.size() - 1], 0u);
  array[array.size() - 1] = 7;
  EXPECT_EQ(array[array.size() - 1], 7u);
}

}  // namespace
}  // namespace ringway
