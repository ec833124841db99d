#include "gateway/nat/binding_table.h"

#include <bit>

namespace ringway {

BindingTable::BindingTable(std::uint32_t capacity, const HashKey& key, Counters& counters)
    : table_(capacity),
      key_(key),
      counters_(counters),
      buckets_(std::bit_ceil(std::size_t{capacity})),
      contact_buckets_(std::bit_ceil(std::size_t{capacity})),
      aor_buckets_(std::bit_ceil(std::size_t{capacity})),
      source_buckets_(std::bit_ceil(std::size_t{capacity})) {}

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

SlotId BindingTable::find_from(Chain chain, std::uint32_t place, std::uint64_t hash) const {
  while (place != 0) {
    const SlotId id = table_.id_at(place - 1);
    const UserAgent* agent = table_.find(id);
    if (agent->*chain.hash == hash) return id;
    place = agent->*chain.next;
  }
  return {};
}

SlotId BindingTable::first(const Buckets& buckets, Chain chain, std::uint64_t hash) const {
  return hash == 0 ? SlotId{} : find_from(chain, buckets[hash & (buckets.size() - 1)], hash);
}

SlotId BindingTable::find_contact(std::uint64_t contact_hash) const {
  return first(contact_buckets_, kByContact, contact_hash);
}

SlotId BindingTable::find_source(std::uint64_t source_hash) const {
  return first(source_buckets_, kBySource, source_hash);
}

SlotId BindingTable::next_of_source(SlotId id) const {
  const UserAgent* agent = table_.find(id);
  return find_from(kBySource, agent->next_by_source, agent->source_hash);
}

SlotId BindingTable::first_of_aor(std::uint64_t aor_hash) const {
  return first(aor_buckets_, kByAor, aor_hash);
}

SlotId BindingTable::next_of_aor(SlotId id) const {
  const UserAgent* agent = table_.find(id);
  return find_from(kByAor, agent->next_by_aor, agent->aor_hash);
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

void BindingTable::set(Buckets& buckets, Chain chain, SlotId id, std::uint64_t hash) {
  UserAgent& agent = *table_.find(id);
  const std::uint64_t before = agent.*chain.hash;
  if (before == hash) return;
  if (before != 0) {
    std::uint32_t* link = &buckets[before & (buckets.size() - 1)];
    while (*link != id.slot + 1) link = &(table_.at(*link - 1)->*chain.next);
    *link = agent.*chain.next;
  }
  agent.*chain.hash = hash;
  if (hash == 0) return;
  std::uint32_t& head = buckets[hash & (buckets.size() - 1)];
  agent.*chain.next = head;
  head = id.slot + 1;
}

void BindingTable::set_contact(SlotId id, std::uint64_t contact_hash) {
  set(contact_buckets_, kByContact, id, contact_hash);
}

void BindingTable::set_aor(SlotId id, std::uint64_t aor_hash) {
  set(aor_buckets_, kByAor, id, aor_hash);
}

void BindingTable::set_source(SlotId id, std::uint64_t source_hash) {
  set(source_buckets_, kBySource, id, source_hash);
}

void BindingTable::release(SlotId id) {
  UserAgent& agent = *table_.find(id);
  set_contact(id, 0);
  set_aor(id, 0);
  set_source(id, 0);
  std::uint32_t* link = &buckets_[agent.hash & (buckets_.size() - 1)];
  while (*link != id.slot + 1) link = &table_.at(*link - 1)->next_in_bucket;
  *link = agent.next_in_bucket;
  table_.release(id);
  counters_.user_agents.set(table_.size());
}

}  // namespace ringway
