#include "gateway/config/tcp_twins.h"

#include <algorithm>

namespace ringway {
namespace {

bool wants_twin(const Config& config, const ListenConfig& udp) {
  if (udp.transport != Transport::Udp || !udp.tcp_twin || udp.removed) return false;
  return std::ranges::none_of(config.listen, [&](const ListenConfig& other) {
    if (other.transport == Transport::Udp || other.removed) return false;
    return other.twin_of == udp.name || (udp.address.port != 0 && other.address == udp.address);
  });
}

}  // namespace

void add_tcp_twins(Config& config) {
  const std::size_t count = config.listen.size();
  for (std::size_t i = 0; i < count; ++i) {
    if (!wants_twin(config, config.listen[i])) continue;
    ListenConfig twin = config.listen[i];
    twin.transport = Transport::Tcp;
    twin.twin_of = twin.name;
    twin.name += "-tcp";
    twin.tcp_twin = false;
    config.listen.push_back(std::move(twin));
  }
}

}  // namespace ringway
