#include "gateway/shard/exchange.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "protocol/base/bytes.h"
#include "tls/random.h"

namespace ringway {
namespace {

// What may wait for one shard, all others together; a box has at least kBoxMin. So the memory of
// all boxes is about linear in the number of shards.
constexpr std::size_t kWaitingForOne = 4'096;
constexpr std::size_t kBoxMin = 64;

std::size_t box_capacity(std::size_t shards) {
  const std::size_t others = std::max<std::size_t>(shards, 2) - 1;
  return std::max(std::bit_ceil(kWaitingForOne / others), kBoxMin);
}

HashKey random_key() {
  const auto bytes = tls::random_bytes<sizeof(HashKey)>();
  HashKey key;
  std::memcpy(key.data(), bytes.data(), sizeof key);
  return key;
}

}  // namespace

Exchange::Exchange(std::size_t shards)
    : epoch_(read_u32(tls::random_bytes<4>())), local_addresses_(random_key()) {
  for (std::size_t i = 0; i < shards; ++i) wakers_.push_back(std::make_unique<Waker>());
  for (std::size_t i = 0; i < shards * shards; ++i) {
    const bool to_itself = i / shards == i % shards;
    boxes_.push_back(
        std::make_unique<Mailbox<BetweenShards>>(to_itself ? 1 : box_capacity(shards)));
  }
}

}  // namespace ringway
