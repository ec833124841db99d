#include "tests/sim/wire.h"

#include <algorithm>
#include <utility>

namespace ringway::sim {

void Wire::open(End client, End server) {
  halves_[0].end = std::move(client);
  halves_[1].end = std::move(server);
  halves_[0].attached = halves_[1].attached = true;
}

Instant Wire::arrival(Side to) {
  Half& there = half(to);
  there.last_arrival =
      std::max(there.last_arrival, clock_.now() + dice_.between(delay_min_, delay_max_));
  return there.last_arrival;
}

void Wire::send(Side from, std::string_view bytes) {
  if (dead_ || !half(from).attached) return;
  const Side to = other(from);
  while (!bytes.empty()) {
    std::size_t size = bytes.size();
    // Mostly whole, sometimes anywhere, now and then byte by byte for a while.
    if (dice_.chance(0.25)) size = 1 + dice_.below(bytes.size());
    if (dice_.chance(0.02)) size = 1;
    clock_.at(arrival(to),
              [self = shared_from_this(), to, piece = std::string(bytes.substr(0, size))] {
                self->deliver(to, piece);
              });
    bytes.remove_prefix(size);
  }
}

void Wire::deliver(Side to, std::string_view bytes) {
  Half& there = half(to);
  if (dead_ || !there.attached) return;
  const bool cuts = bytes.size() >= bytes_until_cut_;
  if (cuts) bytes = bytes.substr(0, bytes_until_cut_);
  if (bytes_until_cut_ != UINT64_MAX) bytes_until_cut_ -= bytes.size();
  // A copy: receiving may end in this end's being taken away.
  const auto receive = there.end.receive;
  if (!bytes.empty()) receive(bytes);
  if (cuts) cut(cut_silently_);
}

void Wire::tell_end(Side to, Ending how) {
  Half& there = half(to);
  if (!there.attached) return;
  there.attached = false;
  const End end = std::exchange(there.end, {});
  end.ended(how);
}

void Wire::close(Side from, Ending how) {
  if (!half(from).attached) return;
  half(from).attached = false;
  half(from).end = {};
  if (dead_) return;
  const Side to = other(from);
  clock_.at(arrival(to), [self = shared_from_this(), to, how] {
    if (!self->dead_) self->tell_end(to, how);
  });
}

void Wire::cut_after(std::uint64_t bytes, bool silently) {
  bytes_until_cut_ = bytes;
  cut_silently_ = silently;
}

void Wire::cut(bool silently) {
  if (dead_) return;
  dead_ = true;
  silent_ = silently;
  if (silently) return;
  clock_.after(0ns, [self = shared_from_this()] {
    self->tell_end(Side::Client, Ending::Reset);
    self->tell_end(Side::Server, Ending::Reset);
  });
}

}  // namespace ringway::sim
