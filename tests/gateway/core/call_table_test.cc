#include "gateway/core/call_table.h"

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ringway {
namespace {

class CallTableTest : public ::testing::Test {
 protected:
  SlotId take(std::string_view call_id, std::uint32_t leg) {
    const SlotId id = table_.take(call_id, leg);
    if (!id) return id;
    Call& call = *table_.get(id);
    call.names = buffers_.copy(as_bytes(call_id));
    call.call_id_size = static_cast<std::uint16_t>(call_id.size());
    return id;
  }

  std::unique_ptr<Counters> counters_ = std::make_unique<Counters>();
  BufferPool buffers_{1u << 20};
  CallTable table_{4, {1, 2}, *counters_};
};

TEST_F(CallTableTest, TwoPassesOfOneCallAreTwoEntries) {
  const SlotId first = take("a@b", 1), second = take("a@b", 3);
  ASSERT_TRUE(first);
  ASSERT_TRUE(second);
  EXPECT_EQ(table_.find("a@b", 1), first);
  EXPECT_EQ(table_.find("a@b", 3), second);
  EXPECT_FALSE(table_.find("a@b", 2));
  EXPECT_FALSE(table_.find("a@c", 1));
  EXPECT_EQ(counters_->dialogs.value(), 2u);
}

TEST_F(CallTableTest, AReleasedCallIsNotFoundAndItsPlaceIsNew) {
  const SlotId old = take("a@b", 1);
  table_.get(old)->media = true;
  table_.release(old);
  EXPECT_FALSE(table_.find("a@b", 1));
  EXPECT_EQ(table_.get(old), nullptr);
  const SlotId id = take("c@d", 1);
  EXPECT_EQ(id.slot, old.slot);
  EXPECT_NE(id.generation, old.generation);
  EXPECT_FALSE(table_.get(id)->media);
}

TEST_F(CallTableTest, AFullTableRefuses) {
  for (std::uint32_t leg = 1; leg <= 4; ++leg) ASSERT_TRUE(take("a@b", leg));
  EXPECT_FALSE(table_.take("a@b", 5));
  EXPECT_TRUE(table_.find("a@b", 4));
  table_.release(table_.find("a@b", 2));
  EXPECT_TRUE(take("a@b", 5));
  EXPECT_EQ(table_.size(), 4u);
}

TEST_F(CallTableTest, NamesAreCutOutOfOneText) {
  const SlotId id = table_.take("id", 1);
  Call& call = *table_.get(id);
  call.names = buffers_.copy(as_bytes(std::string_view("idtagsip:asip:b")));
  call.call_id_size = 2;
  call.tag_size = 3;
  call.from_size = call.to_size = 5;
  EXPECT_EQ(call.call_id(), "id");
  EXPECT_EQ(call.from_tag(), "tag");
  EXPECT_EQ(call.from(), "sip:a");
  EXPECT_EQ(call.to(), "sip:b");
}

}  // namespace
}  // namespace ringway
