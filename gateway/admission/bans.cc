#include "gateway/admission/bans.h"

namespace ringway {

Bans::Bans(std::uint32_t capacity, const HashKey& key, unsigned shards) : table_(capacity, key) {
  for (unsigned i = 0; i < shards; ++i) {
    queues_.push_back(std::make_unique<SpscQueue<Evidence>>(kQueue));
  }
}

bool Bans::report(ShardIndex shard, const Evidence& evidence) {
  return queues_[shard]->push(Evidence(evidence));
}

void Bans::begin_turn() {
  shard_ = taken_ = 0;
}

const Evidence* Bans::next() {
  for (; shard_ < queues_.size() && taken_ < kEvidenceATurn; ++shard_) {
    const Evidence* found = queues_[shard_]->front();
    if (!found) continue;
    current_ = *found;
    queues_[shard_]->pop();
    ++taken_;
    return &current_;
  }
  return nullptr;
}

}  // namespace ringway
