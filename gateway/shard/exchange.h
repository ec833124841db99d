#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "gateway/base/flow_id.h"
#include "gateway/reactor/mailbox.h"
#include "gateway/shard/shard_message.h"
#include "gateway/transport/local_addresses.h"

namespace ringway {

// What all shards share: the mailboxes between them, one for each ordered pair, how each is woken,
// and from which addresses their datagrams leave. Made before the shards and outlives them.
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
  LocalAddresses& local_addresses() { return local_addresses_; }

 private:
  std::uint32_t epoch_;
  LocalAddresses local_addresses_;
  std::vector<std::unique_ptr<Waker>> wakers_;
  std::vector<std::unique_ptr<Mailbox<BetweenShards>>> boxes_;
};

}  // namespace ringway
