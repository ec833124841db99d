#include "gateway/tunnel/pending.h"

#include <algorithm>
#include <bit>

#include "gateway/base/check.h"

namespace ringway::tunnel {

void Pending::set_cookies(std::string_view own, std::string_view sent) {
  DCHECK(own.size() <= kCookieBytesMax && sent.size() <= sent_.size());
  own_ = own.substr(0, kCookieBytesMax);
  sent_size_ = static_cast<std::uint8_t>(std::min(sent.size(), sent_.size()));
  std::copy_n(sent.begin(), sent_size_, sent_.begin());
}

PendingTable::PendingTable(std::uint32_t capacity, const HashKey& key)
    : nodes_(capacity), buckets_(std::bit_ceil(capacity), kNone), key_(key) {}

std::uint32_t PendingTable::bucket_of(SlotId source, std::string_view sent) const {
  const HashKey own{key_[0] ^ source.packed(), key_[1]};
  return static_cast<std::uint32_t>(keyed_hash(own, sent) & (buckets_.size() - 1));
}

bool PendingTable::add(const Pending& pending) {
  const SlotId id = nodes_.take();
  if (!id) return false;
  Node& node = *nodes_.find(id);
  node.pending = pending;
  node.bucket = bucket_of(pending.source, pending.sent());
  node.chain = buckets_[node.bucket];
  buckets_[node.bucket] = id.slot;
  node.older = last_;
  (last_ == kNone ? first_ : nodes_.at(last_)->newer) = id.slot;
  last_ = id.slot;
  return true;
}

bool PendingTable::take(SlotId source, std::string_view sent, Pending& out) {
  std::uint32_t found = kNone;
  for (std::uint32_t slot = buckets_[bucket_of(source, sent)]; slot != kNone;) {
    Node& node = *nodes_.at(slot);
    if (node.pending.source == source && node.pending.sent() == sent) {
      if (found != kNone) nodes_.at(found)->pending.answered = true;
      found = slot;
    }
    slot = node.chain;
  }
  if (found == kNone) return false;
  out = nodes_.at(found)->pending;
  remove(found);
  return true;
}

void PendingTable::mark_answered(SlotId source, std::string_view sent) {
  for (std::uint32_t slot = buckets_[bucket_of(source, sent)]; slot != kNone;) {
    Node& node = *nodes_.at(slot);
    if (node.pending.source == source && node.pending.sent() == sent) node.pending.answered = true;
    slot = node.chain;
  }
}

const Pending* PendingTable::oldest() const {
  return first_ == kNone ? nullptr : &nodes_.at(first_)->pending;
}

Pending PendingTable::take_oldest() {
  const Pending pending = nodes_.at(first_)->pending;
  remove(first_);
  return pending;
}

void PendingTable::remove(std::uint32_t slot) {
  const Node& node = *nodes_.at(slot);
  std::uint32_t* link = &buckets_[node.bucket];
  while (*link != slot) link = &nodes_.at(*link)->chain;
  *link = node.chain;
  (node.older == kNone ? first_ : nodes_.at(node.older)->newer) = node.newer;
  (node.newer == kNone ? last_ : nodes_.at(node.newer)->older) = node.older;
  nodes_.release(nodes_.id_at(slot));
}

}  // namespace ringway::tunnel
