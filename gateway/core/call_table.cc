#include "gateway/core/call_table.h"

#include <bit>

namespace ringway {

CallTable::CallTable(std::uint32_t capacity, const HashKey& key, Counters& counters)
    : table_(capacity), key_(key), counters_(counters), buckets_(std::bit_ceil(capacity)) {}

std::uint64_t CallTable::key_of(std::string_view call_id, std::uint32_t leg) const {
  return keyed_hash(key_, call_id) ^ (std::uint64_t{leg} * 0x9e3779b97f4a7c15);
}

SlotId CallTable::find(std::string_view call_id, std::uint32_t leg) const {
  const std::uint64_t key = key_of(call_id, leg);
  std::uint32_t place = buckets_[key & (buckets_.size() - 1)];
  while (place != 0) {
    const Call* call = table_.at(place - 1);
    if (call->key == key && call->leg == leg && call->call_id() == call_id) {
      return table_.id_at(place - 1);
    }
    place = call->next_in_bucket;
  }
  return {};
}

SlotId CallTable::take(std::string_view call_id, std::uint32_t leg) {
  const SlotId id = table_.take();
  if (!id) return id;
  Call& call = *table_.find(id);
  call.key = key_of(call_id, leg);
  call.leg = leg;
  std::uint32_t& head = buckets_[call.key & (buckets_.size() - 1)];
  call.next_in_bucket = head;
  head = id.slot + 1;
  counters_.dialogs.set(table_.size());
  return id;
}

void CallTable::release(SlotId id) {
  Call& call = *table_.find(id);
  std::uint32_t* link = &buckets_[call.key & (buckets_.size() - 1)];
  while (*link != id.slot + 1) link = &table_.at(*link - 1)->next_in_bucket;
  *link = call.next_in_bucket;
  table_.release(id);
  counters_.dialogs.set(table_.size());
}

}  // namespace ringway
