#include "protocol/base/keyed_hash.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

namespace ringway {
namespace {

// SipHash-c-d written from the paper's text, byte by byte: slow and independent of the product.
class Reference {
 public:
  Reference(int compression_rounds, int finalisation_rounds)
      : compression_rounds_(compression_rounds), finalisation_rounds_(finalisation_rounds) {}

  std::uint64_t hash(const HashKey& key, const std::vector<std::uint8_t>& data) {
    v_[0] = key[0] ^ 0x736f6d6570736575u;
    v_[1] = key[1] ^ 0x646f72616e646f6du;
    v_[2] = key[0] ^ 0x6c7967656e657261u;
    v_[3] = key[1] ^ 0x7465646279746573u;
    std::vector<std::uint8_t> padded = data;
    while (padded.size() % 8 != 7) padded.push_back(0);
    padded.push_back(static_cast<std::uint8_t>(data.size()));
    for (std::size_t i = 0; i < padded.size(); i += 8) {
      std::uint64_t word = 0;
      for (std::size_t j = 8; j-- > 0;) word = word << 8 | padded[i + j];
      v_[3] ^= word;
      rounds(compression_rounds_);
      v_[0] ^= word;
    }
    v_[2] ^= 0xff;
    rounds(finalisation_rounds_);
    return v_[0] ^ v_[1] ^ v_[2] ^ v_[3];
  }

 private:
  static std::uint64_t left(std::uint64_t x, int count) { return x << count | x >> (64 - count); }

  void rounds(int count) {
    for (; count > 0; --count) {
      v_[0] += v_[1];
      v_[2] += v_[3];
      v_[1] = left(v_[1], 13);
      v_[3] = left(v_[3], 16);
      v_[1] ^= v_[0];
      v_[3] ^= v_[2];
      v_[0] = left(v_[0], 32);
      v_[2] += v_[1];
      v_[0] += v_[3];
      v_[1] = left(v_[1], 17);
      v_[3] = left(v_[3], 21);
      v_[1] ^= v_[2];
      v_[3] ^= v_[0];
      v_[2] = left(v_[2], 32);
    }
  }

  std::uint64_t v_[4]{};
  int compression_rounds_;
  int finalisation_rounds_;
};

constexpr HashKey kPaperKey{0x0706050403020100, 0x0f0e0d0c0b0a0908};

std::vector<std::uint8_t> counting(std::size_t size) {
  std::vector<std::uint8_t> data(size);
  for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<std::uint8_t>(i);
  return data;
}

// The reference is judged by the vectors that the authors published for SipHash-2-4.
TEST(KeyedHash, ReferenceGivesThePublishedVectors) {
  Reference reference(2, 4);
  EXPECT_EQ(reference.hash(kPaperKey, counting(0)), 0x726fdb47dd0e0e31u);
  EXPECT_EQ(reference.hash(kPaperKey, counting(1)), 0x74f839c593dc67fdu);
  EXPECT_EQ(reference.hash(kPaperKey, counting(15)), 0xa129ca6149be45e5u);
}

TEST(KeyedHash, IsSipHash13ForEachSize) {
  Reference reference(1, 3);
  for (std::size_t size = 0; size <= 600; ++size) {
    const std::vector<std::uint8_t> data = counting(size);
    EXPECT_EQ(keyed_hash(kPaperKey, Bytes{data}), reference.hash(kPaperKey, data)) << size;
  }
}

TEST(KeyedHash, IsSipHash13ForRandomKeysAndData) {
  const std::uint64_t seed = 20240229;
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  Reference reference(1, 3);
  for (int i = 0; i < 1000; ++i) {
    const HashKey key{random(), random()};
    std::vector<std::uint8_t> data(random() % 100);
    for (std::uint8_t& byte : data) byte = static_cast<std::uint8_t>(random());
    ASSERT_EQ(keyed_hash(key, Bytes{data}), reference.hash(key, data)) << i;
  }
}

TEST(KeyedHash, DoesNotDependOnAlignment) {
  const std::vector<std::uint8_t> data = counting(64);
  for (std::size_t offset = 0; offset < 8; ++offset) {
    std::vector<std::uint8_t> moved(offset);
    moved.insert(moved.end(), data.begin(), data.end());
    EXPECT_EQ(keyed_hash(kPaperKey, Bytes{moved}.subspan(offset)),
              keyed_hash(kPaperKey, Bytes{data}));
  }
}

TEST(KeyedHash, TextIsItsBytes) {
  EXPECT_EQ(keyed_hash(kPaperKey, "abc"),
            keyed_hash(kPaperKey, Bytes{std::vector<std::uint8_t>{'a', 'b', 'c'}}));
}

}  // namespace
}  // namespace ringway
