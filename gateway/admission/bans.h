#pragma once

#include <memory>
#include <vector>

#include "gateway/admission/ban_table.h"
#include "gateway/admission/evidence.h"
#include "gateway/base/flow_id.h"
#include "gateway/base/spsc_queue.h"

namespace ringway {

// What all shards and the control thread share about bans: the table, which the control thread
// writes, and a queue from each shard with what it saw. Outlives all of them.
class Bans {
 public:
  // capacity: of the table. Throws NoAddressSpace.
  Bans(std::uint32_t capacity, const HashKey& key, unsigned shards);

  BanTable& table() { return table_; }
  const BanTable& table() const { return table_; }

  // That shard's thread. False: the queue is full.
  bool report(ShardIndex shard, const Evidence& evidence);
  // The control thread: the next of any shard, at most kEvidenceATurn between two begin_turn().
  void begin_turn();
  const Evidence* next();

 private:
  static constexpr std::size_t kQueue = 4'096;
  static constexpr std::size_t kEvidenceATurn = 8'192;

  BanTable table_;
  std::vector<std::unique_ptr<SpscQueue<Evidence>>> queues_;
  Evidence current_;
  std::size_t shard_ = 0, taken_ = 0;
};

}  // namespace ringway
