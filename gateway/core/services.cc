#include "gateway/core/services.h"

#include <algorithm>
#include <utility>

#include "gateway/media/relay_set.h"

namespace ringway {
namespace {

// The same on all shards: derived from the key that signs tokens.
HashKey derive_hash_key(const tls::Mac& mac) {
  const tls::MacTag tag = mac.sign(as_bytes("hash key of tables"));
  return {read_u64(tag), read_u64(Bytes(tag).subspan(8))};
}

HashKey derive_branch_key(const tls::Mac& mac, std::uint32_t epoch) {
  std::uint8_t word[4];
  write_u32(word, epoch);
  const tls::MacTag tag = mac.sign({as_bytes("key of branches"), word});
  return {read_u64(tag), read_u64(Bytes(tag).subspan(8))};
}

// The configuration's number, or one of 16 that the machine's name stands for.
std::uint8_t node_number(const Config& config) {
  if (config.node != 0) return config.node;
  return static_cast<std::uint8_t>(keyed_hash(HashKey{}, config.host_name) & 15);
}

// How many deadlines can be pending at once.
std::uint32_t deadlines_max(const LimitsConfig& limits) {
  const std::uint64_t sum = 2 * (std::uint64_t{limits.transactions} + limits.client_transactions) +
                            limits.contexts + limits.bindings + 2 * std::uint64_t{limits.dialogs} +
                            RelaySet::kPendingMax + 1024;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(sum, 0x100'0000));
}

template <typename Fits>
ListenerIndex find_listener(const std::vector<ListenerInfo>& listeners, Fits&& fits) {
  const auto found = std::ranges::find_if(listeners, [&](const ListenerInfo& one) {
    return !one.config.removed && fits(one);
  });
  if (found == listeners.end()) return kNoListener;
  return static_cast<ListenerIndex>(found - listeners.begin());
}

bool is_of_its_kind(const ListenConfig& one, const ListenConfig& other) {
  return one.side == other.side && one.transport == other.transport;
}

}  // namespace

Services make_services(CoreEnvironment& environment) {
  OwnUris own(environment.listeners);
  return {environment.config,
          environment.shard,
          environment.shard_count,
          environment.epoch,
          std::move(environment.listeners),
          environment.mac,
          derive_hash_key(environment.mac),
          derive_branch_key(environment.mac, environment.epoch),
          std::move(own),
          environment.buffers,
          environment.counters,
          environment.log,
          Random(environment.seed),
          TimerWheel(deadlines_max(environment.config.limits)),
          environment.calendar,
          node_number(environment.config)};
}

ListenerIndex Services::heir_of(ListenerIndex index) const {
  const ListenerInfo& gone = listeners[index];
  if (!gone.config.removed) return index;
  return find_listener(listeners, [&](const ListenerInfo& one) {
    return is_of_its_kind(one.config, gone.config) && one.local == gone.local;
  });
}

ListenerIndex Services::name_for(ListenerIndex index) const {
  const ListenerIndex heir = heir_of(index);
  if (heir != kNoListener) return heir;
  const ListenerIndex other = find_listener(listeners, [&](const ListenerInfo& one) {
    return is_of_its_kind(one.config, listeners[index].config);
  });
  return other != kNoListener ? other : index;
}

}  // namespace ringway
