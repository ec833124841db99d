#include "gateway/media/relay_pool.h"

#include <algorithm>

#include "protocol/base/writer.h"

namespace ringway {

std::string_view to_text(RelayState state) {
  switch (state) {
    case RelayState::Down:
      return "not connected";
    case RelayState::Up:
      return "up";
    case RelayState::Paused:
      return "paused";
    case RelayState::Silent:
      return "silent";
  }
  return {};
}

RelayPool::RelayPool(const Config& config, Counters& counters, Log& log, Random& random)
    : config_(config),
      counters_(counters),
      log_(log),
      random_(random),
      size_(std::min(config.media.relays.size(), kRelaysMax)) {}

RelayState RelayPool::state(std::uint8_t relay, Instant now) const {
  const Relay& one = relays_[relay];
  if (!one.connected) return RelayState::Down;
  if (one.silent) return RelayState::Silent;
  return now < one.paused_until ? RelayState::Paused : RelayState::Up;
}

bool RelayPool::is_usable(std::uint8_t relay, Instant now) const {
  return relay < size_ && state(relay, now) == RelayState::Up && !takes_no_more(relay);
}

bool RelayPool::has_usable(Mask without, Instant now) const {
  for (std::uint8_t relay = 0; relay < size_; ++relay) {
    if ((without & bit(relay)) == 0 && is_usable(relay, now)) return true;
  }
  return false;
}

std::optional<std::uint8_t> RelayPool::choose(Mask without, Instant now) {
  const bool first = without == 0;
  // Better ones first: with a share, without one, paused, perhaps back in time.
  std::array<std::uint64_t, 4> weights{};
  std::array<std::uint8_t, kRelaysMax> rank{};
  const auto weight_of = [&](std::uint8_t relay) {
    return rank[relay] == 1 ? 1 : std::max<std::uint64_t>(config_.media.relays[relay].weight, 1);
  };
  for (std::uint8_t relay = 0; relay < size_; ++relay) {
    const RelayConfig& config = config_.media.relays[relay];
    rank[relay] = 4;
    if ((without & bit(relay)) != 0 || takes_no_more(relay)) continue;
    const RelayState state = this->state(relay, now);
    if (state == RelayState::Up) {
      rank[relay] = config.weight == 0 ? 1 : 0;
    } else if (state == RelayState::Paused) {
      rank[relay] = 2;
    } else if (first) {
      rank[relay] = 3;
    }
    if (rank[relay] < weights.size()) weights[rank[relay]] += weight_of(relay);
  }
  for (std::uint8_t wanted = 0; wanted < weights.size(); ++wanted) {
    if (weights[wanted] == 0) continue;
    std::uint64_t drawn = random_.below(weights[wanted]);
    for (std::uint8_t relay = 0; relay < size_; ++relay) {
      if (rank[relay] != wanted) continue;
      if (drawn < weight_of(relay)) return relay;
      drawn -= weight_of(relay);
    }
  }
  return std::nullopt;
}

void RelayPool::publish(std::uint8_t relay) {
  const Relay& one = relays_[relay];
  counters_.relay_up[relay].set(one.connected && !one.silent ? 1 : 0);
  counters_.relay_silent[relay].set(one.connected && one.silent ? 1 : 0);
}

std::string_view RelayPool::name(std::uint8_t relay, Writer& out) const {
  write_endpoint(config_.media.relays[relay].address, out);
  return out.written_text();
}

void RelayPool::connected(std::uint8_t relay) {
  if (relay >= size_) return;
  relays_[relay] = {};
  relays_[relay].connected = true;
  publish(relay);
}

void RelayPool::lost(std::uint8_t relay) {
  if (relay >= size_) return;
  relays_[relay] = {};
  publish(relay);
}

void RelayPool::answered(std::uint8_t relay) {
  if (!std::exchange(relays_[relay].silent, false)) return;
  publish(relay);
  std::array<std::uint8_t, kEndpointTextMax> memory;
  Writer text(memory);
  log_.info("media_relay_answers", {{"relay", name(relay, text)}});
}

void RelayPool::not_answered(std::uint8_t relay) {
  if (!relays_[relay].connected || std::exchange(relays_[relay].silent, true)) return;
  publish(relay);
  std::array<std::uint8_t, kEndpointTextMax> memory;
  Writer text(memory);
  log_.warning("media_relay_silent",
               {{"relay", name(relay, text)},
                {"meaning", "new calls go elsewhere until it answers a ping"}});
}

void RelayPool::refused(std::uint8_t relay, std::string_view reason, Instant now) {
  const bool news = now >= std::exchange(relays_[relay].paused_until, now + kPause);
  counters_.ng_refusals.add();
  if (!news) return;
  std::array<std::uint8_t, kEndpointTextMax> memory;
  Writer text(memory);
  log_.warning("media_relay_full",
               {{"relay", name(relay, text)}, {"reason", reason}, {"pause_seconds", kPause / 1s}});
}

}  // namespace ringway
