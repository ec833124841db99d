#include "gateway/core/services.h"

#include <algorithm>

namespace ringway {
namespace {

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
