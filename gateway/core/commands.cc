#include "gateway/core/commands.h"

namespace ringway {

Commands::Commands(const Parts& parts)
    : core_(parts.core),
      next_hops_(parts.next_hops),
      relays_(parts.relays),
      calls_(parts.calls),
      relay_watch_(parts.relay_watch),
      probes_(parts.probes) {}

std::vector<NextHopInfo> Commands::next_hops(Instant now) const {
  std::vector<NextHopInfo> result;
  const NextHopSet& all = next_hops_;
  const auto& configured = core_.config.next_hops;
  for (std::size_t i = 0; i < configured.size(); ++i) {
    if (configured[i].removed) continue;
    const auto place = static_cast<std::uint16_t>(i);
    TargetList list;
    all.select_for_probe(place, list);
    for (std::size_t k = 0; k < list.count; ++k) {
      const Target& target = list.targets[k];
      const bool held_off = all.is_held_off(target.remote, target.transport, now);
      const bool up = held_off || all.is_up(target.remote, target.transport, now);
      result.push_back({configured[i].name, target, up, held_off, all.is_held(place)});
    }
  }
  return result;
}

std::uint32_t Commands::end_calls(std::string_view call_id, Instant now, Outbox& outbox) {
  std::uint32_t count = 0;
  for (const SlotId id : calls_.all()) {
    if (calls_.get(id)->call_id() != call_id) continue;
    calls_.end_now(id, CallEndReason::Command, now, outbox);
    ++count;
  }
  return count;
}

void Commands::release_calls(Instant now, Outbox& outbox) {
  for (const SlotId call : calls_.all()) {
    calls_.end_now(call, CallEndReason::Drained, now, outbox);
  }
}

std::uint32_t Commands::for_next_hops(std::string_view name, auto work) {
  std::uint32_t count = 0;
  for (std::size_t i = 0; i < core_.config.next_hops.size(); ++i) {
    if (core_.config.next_hops[i].removed || core_.config.next_hops[i].name != name) continue;
    work(static_cast<std::uint16_t>(i));
    ++count;
  }
  return count;
}

std::uint32_t Commands::for_relays(std::string_view address, auto work) {
  std::uint32_t count = 0;
  for (std::size_t i = 0; i < relays_.pool().size(); ++i) {
    if (text_of(core_.config.media.relays[i].address) != address) continue;
    work(static_cast<std::uint8_t>(i));
    ++count;
  }
  return count;
}

std::uint32_t Commands::hold_next_hop(std::string_view name, bool held) {
  return for_next_hops(name, [&](std::uint16_t place) { next_hops_.set_held(place, held); });
}

void Commands::next_hops_changed() {
  for (std::size_t i = 0; i < core_.config.next_hops.size(); ++i) {
    if (core_.config.next_hops[i].removed)
      next_hops_.set_held(static_cast<std::uint16_t>(i), false);
  }
}

std::uint32_t Commands::probe_next_hop(std::string_view name, Instant now, Outbox& outbox) {
  return for_next_hops(name, [&](std::uint16_t place) { probes_.ask_now(place, now, outbox); });
}

std::uint32_t Commands::hold_relay(std::string_view address, bool held) {
  return for_relays(address, [&](std::uint8_t relay) { relays_.pool().set_held(relay, held); });
}

std::uint32_t Commands::probe_relay(std::string_view address, Instant now, Outbox& outbox) {
  return for_relays(address, [&](std::uint8_t relay) { relay_watch_.probe(relay, now, outbox); });
}

}  // namespace ringway
