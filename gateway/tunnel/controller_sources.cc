#include <algorithm>

#include "gateway/tunnel/controller_end.h"

// The controller end's table of controllers' sockets.

namespace ringway::tunnel {
namespace {

// Of kind datagrams: who got no answer for so long is not waited for where places are short.
constexpr Duration kUnanswered = 1s;
// Places of a full table that one new socket may look at.
constexpr std::uint32_t kLooksMax = 256;

}  // namespace

// Sixteen bits of slot, sixteen of generation: sources_max <= 65,536.
std::uint32_t ControllerEnd::stream_of(SlotId source) {
  return source.slot << 16 | (source.generation & 0xffff);
}

SlotId ControllerEnd::source_of(std::uint32_t stream) const {
  const std::uint32_t slot = stream >> 16;
  if (slot >= sources_.used_slots() || !sources_.at(slot)) return {};
  const SlotId id = sources_.id_at(slot);
  return stream_of(id) == stream ? id : SlotId{};
}

SlotId ControllerEnd::source_of(const SourceName& name, Instant now) {
  if (const auto found = source_index_.find(name); found != source_index_.end()) {
    return found->second;
  }
  if (sources_.size() == sources_.capacity()) make_room();
  const SlotId id = sources_.take();
  if (!id) return {};
  Source& source = *sources_.find(id);
  source.name = name;
  source.used = now;
  std::array<std::uint8_t, sizeof name.address + 2> text{};
  write_u16(text, name.listener);
  std::copy_n(name.address.begin(), name.size, text.begin() + 2);
  source.prefix = make_prefix(key_, Bytes(text).first(std::size_t{name.size} + 2));
  source_index_.emplace(name, id);
  numbers_.sources.set(sources_.size());
  return id;
}

void ControllerEnd::forget(SlotId id) {
  const Source& source = *sources_.find(id);
  for (const auto& place : places_) place->link.send_forget(stream_of(id));
  source_index_.erase(source.name);
  sources_.release(id);
  numbers_.sources.set(sources_.size());
}

// Requests are answered, with an error if need be, long before their source is forgotten.
void ControllerEnd::forget_idle(Instant now, Duration idle) {
  for (std::uint32_t slot = 0; slot < sources_.used_slots(); ++slot) {
    const Source* source = sources_.at(slot);
    if (source && now - source->used > idle) forget(sources_.id_at(slot));
  }
}

void ControllerEnd::make_room() {
  const bool control = settings_.link.carries == Carries::Control;
  for (std::uint32_t looks = 0; looks < kLooksMax; ++looks) {
    hand_ = (hand_ + 1) % sources_.used_slots();
    const Source* source = sources_.at(hand_);
    const bool rests =
        source && (source->waiting == 0 || (!control && now_ - source->used > kUnanswered));
    if (rests) return forget(sources_.id_at(hand_));
  }
}

}  // namespace ringway::tunnel
