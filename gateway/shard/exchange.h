#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "gateway/base/flow_id.h"
#include "gateway/reactor/mailbox.h"
#include "gateway/shard/shard_message.h"

namespace ringway {

// The mailboxes between all shards, one for each ordered pair, and how each is woken. Made before
// the shards and outlives them.
class Exchange {
 public:
  explicit Exchange(std::size_t shards);

  std::size_t shards() const { return wakers_.size(); }
  Mailbox<BetweenShards>& box(ShardIndex from, ShardIndex to) {
    return *boxes_[std::size_t{from} * shards() + to];
  }
  Waker& waker(ShardIndex shard) { return *wakers_[shard]; }
  // Random at each start of the process, one value for all its shards.
  std::uint32_t epoch() const { return epoch_; }

 private:
  std::uint32_t epoch_;
  std::vector<std::unique_ptr<Waker>> wakers_;
  std::vector<std::unique_ptr<Mailbox<BetweenShards>>> boxes_;
};

}  // namespace ringway
