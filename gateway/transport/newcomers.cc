#include "gateway/transport/newcomers.h"

#include "gateway/transport/bounds.h"

namespace ringway {

Newcomers::Newcomers(const StreamEnvironment& environment, StreamTable& table)
    : handshakes_max_(environment.config.limits.handshakes),
      counters_(environment.counters),
      table_(table),
      sources_(environment.hash_key) {}

void Newcomers::add(Stream& stream, Instant now) {
  stream.waits_to_open = true;
  stream.waiting_since = now;
  append(stream);
  sources_.add(stream.remote.address);
}

void Newcomers::spoke(Stream& stream) {
  if (stream.spoke) return;
  stream.spoke = true;
  if (stream.waits_to_open) counters_.handshakes_waiting.set(++handshakes_);
}

void Newcomers::waits_for_peer(Stream& stream, Instant now) {
  if (!stream.waits_to_open) return;
  stream.waiting_since = now;
  unlink(stream);
  append(stream);
}

void Newcomers::set_source(Stream& stream, const Address& source) {
  if (!stream.waits_to_open) return;
  sources_.remove(stream.remote.address);
  sources_.add(source);
}

void Newcomers::remove(Stream& stream) {
  if (!stream.waits_to_open) return;
  stream.waits_to_open = false;
  unlink(stream);
  sources_.remove(stream.remote.address);
  if (stream.spoke) counters_.handshakes_waiting.set(--handshakes_);
}

bool Newcomers::is_full() const {
  return handshakes_ >= handshakes_max_ || count_ >= bounds::kWaitingMax;
}

bool Newcomers::is_quiet() const {
  return handshakes_ <= handshakes_max_ / 4 && count_ < bounds::kWaitingMax;
}

Instant Newcomers::next_surplus() const {
  return count_ == 0 ? kNever : table_.at(first_)->waiting_since + bounds::kWaitingMin;
}

void Newcomers::append(Stream& stream) {
  if (count_++ == 0) {
    first_ = stream.id.slot;
  } else {
    table_.at(last_)->waiting_next = stream.id.slot;
    stream.waiting_previous = last_;
  }
  last_ = stream.id.slot;
}

void Newcomers::unlink(Stream& stream) {
  const bool is_first = first_ == stream.id.slot, is_last = last_ == stream.id.slot;
  if (is_first) first_ = stream.waiting_next;
  if (is_last) last_ = stream.waiting_previous;
  if (!is_first) table_.at(stream.waiting_previous)->waiting_next = stream.waiting_next;
  if (!is_last) table_.at(stream.waiting_next)->waiting_previous = stream.waiting_previous;
  --count_;
}

// Not one that has just come, whose first flight may be on its way or in the kernel, and not one
// that waits for us.
bool Newcomers::may_go(const Stream& stream, Instant now) const {
  return !stream.handshake_queued && stream.waiting_since + bounds::kWaitingMin <= now;
}

Stream* Newcomers::find_surplus(const Address& source, Instant now) {
  if (sources_.count(source) <= bounds::kWaitingOfSourceMax) return nullptr;
  std::uint32_t slot = first_;
  for (std::uint32_t left = count_; left != 0; --left) {
    Stream& stream = *table_.at(slot);
    if (stream.waiting_since + bounds::kWaitingMin > now) break;  // and so are all behind it
    if (may_go(stream, now) && source_key(stream.remote.address) == source_key(source)) {
      return &stream;
    }
    slot = stream.waiting_next;
  }
  return nullptr;
}

Stream* Newcomers::find_heaviest(Instant now) {
  Stream* heaviest = nullptr;
  std::uint32_t most = 0;
  std::uint32_t slot = first_;
  for (std::uint32_t left = count_; left != 0; --left) {
    Stream& stream = *table_.at(slot);
    slot = stream.waiting_next;
    if (stream.waiting_since + bounds::kWaitingMin > now) break;
    if (!may_go(stream, now)) continue;
    const std::uint32_t count = sources_.count(stream.remote.address);
    if (count <= most) continue;
    most = count;
    heaviest = &stream;
  }
  return heaviest;
}

}  // namespace ringway
