#include "gateway/shard/exchange.h"

#include "protocol/base/bytes.h"
#include "tls/random.h"

namespace ringway {
namespace {

constexpr std::size_t kCapacity = 4'096;

}  // namespace

Exchange::Exchange(std::size_t shards) : epoch_(read_u32(tls::random_bytes<4>())) {
  for (std::size_t i = 0; i < shards; ++i) wakers_.push_back(std::make_unique<Waker>());
  for (std::size_t i = 0; i < shards * shards; ++i) {
    const bool to_itself = i / shards == i % shards;
    boxes_.push_back(std::make_unique<Mailbox<BetweenShards>>(to_itself ? 1 : kCapacity));
  }
}

}  // namespace ringway
