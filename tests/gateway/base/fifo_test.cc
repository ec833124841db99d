#include "gateway/base/fifo.h"

#include <gtest/gtest.h>

#include <memory>

namespace ringway {
namespace {

TEST(Fifo, KeepsTheOrderWhileItGrowsAndWraps) {
  Fifo<int> fifo(2);
  int put = 0, taken = 0;
  for (int round = 0; round < 50; ++round) {
    for (int i = 0; i < round % 7; ++i) fifo.push_back(put++);
    EXPECT_EQ(fifo.size(), static_cast<std::size_t>(put - taken));
    for (int i = 0; i < round % 5 && !fifo.empty(); ++i) ASSERT_EQ(fifo.take_front(), taken++);
  }
  while (!fifo.empty()) ASSERT_EQ(fifo.take_front(), taken++);
  EXPECT_EQ(taken, put);
}

TEST(Fifo, GivesUpWhatWasTakenAndStartsEachPlaceAnew) {
  Fifo<std::shared_ptr<int>> fifo(2);
  const auto value = std::make_shared<int>(7);
  fifo.push_back(value);
  EXPECT_EQ(*fifo.take_front(), 7);
  EXPECT_EQ(value.use_count(), 1);
  EXPECT_EQ(fifo.emplace_back(), nullptr);
  EXPECT_EQ(fifo.emplace_back(), nullptr);
}

}  // namespace
}  // namespace ringway
