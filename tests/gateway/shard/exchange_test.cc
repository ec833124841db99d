#include "gateway/shard/exchange.h"

#include <gtest/gtest.h>

#include <set>

namespace ringway {
namespace {

TEST(Exchange, HasABoxForEachOrderedPairAndAWakerForEachShard) {
  Exchange exchange(3);
  std::set<const void*> boxes, wakers;
  for (ShardIndex from = 0; from < 3; ++from) {
    wakers.insert(&exchange.waker(from));
    for (ShardIndex to = 0; to < 3; ++to) boxes.insert(&exchange.box(from, to));
  }
  EXPECT_EQ(boxes.size(), 9u);
  EXPECT_EQ(wakers.size(), 3u);
}

TEST(Exchange, WhatIsPutInOneComesOutOfThatOneOnly) {
  Exchange exchange(2);
  ASSERT_TRUE(exchange.box(0, 1).push(CloseRemoteFlow{FlowId(1, 2, 3), 1001}, {}));
  EXPECT_TRUE(exchange.box(1, 0).empty());
  const BetweenShards* message = exchange.box(0, 1).front();
  ASSERT_NE(message, nullptr);
  EXPECT_EQ(std::get<CloseRemoteFlow>(*message).flow, FlowId(1, 2, 3));
  exchange.box(0, 1).pop();
  EXPECT_TRUE(exchange.box(0, 1).empty());
}

}  // namespace
}  // namespace ringway
