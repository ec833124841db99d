#include "gateway/nat/binding_table.h"

#include <bit>

namespace ringway {

BindingTable::BindingTable(std::uint32_t capacity, const HashKey& key, Counters& counters)
    : table_(capacity),
      key_(key),
      counters_(counters),
      buckets_(std::bit_ceil(std::size_t{capacity})),
      contact_buckets_(std::bit_ceil(std::size_t{capacity})) {}

SlotId BindingTable::find(std::uint64_t hash) const {
  std::uint32_t place = buckets_[hash & (buckets_.size() - 1)];
  while (place != 0) {
    const SlotId id = table_.id_at(place - 1);
    const UserAgent* agent = table_.find(id);
    if (agent->hash == hash) return id;
    place = agent->next_in_bucket;
  }
  return {};
}

SlotId BindingTable::find_contact(std::uint64_t contact_hash) const {
  std::uint32_t place = contact_buckets_[contact_hash & (contact_buckets_.size() - 1)];
  while (place != 0) {
    const SlotId id = table_.id_at(place - 1);
    const UserAgent* agent = table_.find(id);
    if (agent->contact_hash == contact_hash) return id;
    place = agent->next_by_contact;
  }
  return {};
}

SlotId BindingTable::take(std::uint64_t hash) {
  if (const SlotId id = find(hash)) return id;
  const SlotId id = table_.take();
  if (!id) return id;
  UserAgent& agent = *table_.find(id);
  agent.hash = hash;
  std::uint32_t& head = buckets_[hash & (buckets_.size() - 1)];
  agent.next_in_bucket = head;
  head = id.slot + 1;
  counters_.user_agents.set(table_.size());
  return id;
}

void BindingTable::set_contact(SlotId id, std::uint64_t contact_hash) {
  UserAgent& agent = *table_.find(id);
  if (agent.contact_hash == contact_hash) return;
  unlink_contact(id, agent);
  agent.contact_hash = contact_hash;
  if (contact_hash == 0) return;
  std::uint32_t& head = contact_buckets_[contact_hash & (contact_buckets_.size() - 1)];
  agent.next_by_contact = head;
  head = id.slot + 1;
}

void BindingTable::unlink_contact(SlotId id, UserAgent& agent) {
  if (agent.contact_hash == 0) return;
  std::uint32_t* link = &contact_buckets_[agent.contact_hash & (contact_buckets_.size() - 1)];
  while (*link != id.slot + 1) link = &table_.at(*link - 1)->next_by_contact;
  *link = agent.next_by_contact;
  agent.contact_hash = 0;
}

void BindingTable::release(SlotId id) {
  UserAgent& agent = *table_.find(id);
  unlink_contact(id, agent);
  std::uint32_t* link = &buckets_[agent.hash & (buckets_.size() - 1)];
  while (*link != id.slot + 1) link = &table_.at(*link - 1)->next_in_bucket;
  *link = agent.next_in_bucket;
  table_.release(id);
  counters_.user_agents.set(table_.size());
}

}  // namespace ringway
