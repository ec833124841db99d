#include "gateway/base/buffer_pool.h"

#include <cstring>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace ringway {
namespace {

TEST(BufferPool, TakesTheSmallestSizeThatFits) {
  BufferPool pool(1 << 20);
  const std::pair<std::size_t, std::size_t> kCases[] = {
      {0, 512},     {1, 512},     {512, 512},   {513, 1024},   {1024, 1024},
      {1025, 2048}, {2049, 8192}, {8192, 8192}, {8193, 65536}, {65536, 65536},
  };
  for (const auto& [size, capacity] : kCases) {
    BufferRef buffer = pool.take(size);
    ASSERT_TRUE(buffer) << size;
    EXPECT_EQ(buffer.space().size(), capacity) << size;
    EXPECT_EQ(buffer.size(), 0u);
    std::memset(buffer.space().data(), 0xee, buffer.space().size());
    EXPECT_EQ(pool.bytes_in_use(), capacity);
  }
  EXPECT_FALSE(pool.take(65'537));
  EXPECT_EQ(pool.in_use(), 0u);
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

TEST(BufferPool, ReferencesAreCounted) {
  BufferPool pool(1 << 20);
  BufferRef first = pool.copy(as_bytes("hello"));
  BufferRef second = first, third = std::move(first);
  EXPECT_FALSE(first);
  EXPECT_EQ(first.size(), 0u);
  second.reset();
  second.reset();
  EXPECT_EQ(pool.in_use(), 1u);
  BufferRef& same = third;
  third = same;
  EXPECT_EQ(as_text(third.bytes()), "hello");
  third = pool.copy(as_bytes("other"));
  EXPECT_EQ(pool.in_use(), 1u);
  third = {};
  EXPECT_EQ(pool.in_use(), 0u);
}

TEST(BufferPool, RefusesBeyondItsBytesAndServesAgainAfterwards) {
  BufferPool pool(4096);
  std::vector<BufferRef> all;
  while (BufferRef buffer = pool.take(512)) all.push_back(buffer);
  EXPECT_EQ(all.size(), 8u);
  EXPECT_FALSE(pool.copy(as_bytes("x")));
  EXPECT_FALSE(pool.take(8192)) << "more than all of it";
  const std::uint8_t* memory = all[3].bytes().data();
  all.erase(all.begin() + 3);
  EXPECT_EQ(pool.take(1).bytes().data(), memory) << "recycled";
  all.clear();
  EXPECT_TRUE(pool.take(2048)) << "another size of the same bytes";
  EXPECT_EQ(pool.bytes_in_use(), 0u);
}

TEST(BufferPool, BuffersNeverShareMemory) {
  constexpr unsigned kSeed = 9;
  std::mt19937 random(kSeed);
  BufferPool pool(1 << 18);
  std::vector<std::pair<BufferRef, std::uint8_t>> live;
  for (int step = 0; step < 5'000; ++step) {
    if (random() % 2 == 0) {
      BufferRef buffer = pool.take(random() % 10'000);
      if (!buffer) continue;
      const auto mark = static_cast<std::uint8_t>(random());
      buffer.set_size(buffer.space().size());
      std::memset(buffer.space().data(), mark, buffer.size());
      live.emplace_back(std::move(buffer), mark);
    } else if (!live.empty()) {
      const std::size_t i = random() % live.size();
      for (const std::uint8_t byte : live[i].first.bytes()) {
        ASSERT_EQ(byte, live[i].second) << "seed " << kSeed;
      }
      live.erase(live.begin() + static_cast<std::ptrdiff_t>(i));
    }
    ASSERT_EQ(pool.in_use(), live.size());
    ASSERT_LE(pool.bytes_in_use(), 1u << 18);
  }
}

}  // namespace
}  // namespace ringway
