#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "gateway/base/check.h"
#include "gateway/config/reload_plan.h"
#include "gateway/config/tcp_twins.h"
#include "tests/sim/gateway.h"
#include "tests/sim/secure.h"

// What the control thread does when the configuration file has changed: the program's own plan of
// it, sockets of the made-up computer, and one message to each shard.

namespace ringway::sim {
namespace {

constexpr Duration kApartMax = 3ms;  // from one shard's news to another's

}  // namespace

// A descriptor of its own; the machine knows what it stands for.
Socket Gateway::open_socket(const ListenConfig& listen, ShardIndex shard) {
  Socket socket(open("/dev/null", O_RDONLY | O_CLOEXEC));
  CHECK(socket.fd() >= 0);
  if (listen.transport == Transport::Udp) {
    machine_.add_datagram_socket(socket.fd(), listen.address, shard, listen.side == Side::Network);
  } else {
    machine_.add_listener(socket.fd(), listen.address, shard);
  }
  return socket;
}

std::vector<NewListener> Gateway::open_more(ShardIndex shard,
                                            const std::vector<AddedPlace>& added) {
  std::vector<NewListener> opened;
  std::vector<int>& descriptors = descriptors_[shard];
  for (const auto& [place, from] : added) {
    const ListenConfig& listen = config_.listen[place];
    NewListener one{place, {listen, listen.address}, {}, from};
    if (place >= descriptors.size()) descriptors.resize(place + std::size_t{1}, -1);
    if (from != kNoListener) {
      descriptors[place] = std::exchange(descriptors[from], -1);
    } else {
      one.socket = open_socket(listen, shard);
      descriptors[place] = one.socket.fd();
    }
    opened.push_back(std::move(one));
  }
  return opened;
}

void Gateway::reload(Config file) {
  tools_.trace.line("gateway", "reloads");
  add_tcp_twins(file);
  config_ = plan_reload(config_, file).next;
  ++generation_;
  const std::vector<AddedPlace> added = added_places(config_, held_);
  const auto config = std::make_shared<const Config>(config_);
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    const auto shard = static_cast<ShardIndex>(i);
    take_over(shard, {.config = config,
                      .generation = generation_,
                      .tls = server_tls(config_),
                      .filter = filter_ ? FilterRules::for_another_shard(filter_) : nullptr,
                      .pages = nullptr,
                      .lists = nullptr,
                      .fraud = nullptr,
                      .listeners = open_more(shard, added)});
  }
  held_.clear();
  for (const ListenConfig& entry : config_.listen) held_.push_back({entry, entry.address});
}

// One shard after the other, each in the order of the reloads.
void Gateway::take_over(ShardIndex shard, PublishConfig publish) {
  std::vector<int> left;
  for (std::size_t i = 0; i < held_.size(); ++i) {
    if (!config_.listen[i].removed || held_[i].config.removed) continue;
    const int descriptor = std::exchange(descriptors_[shard][i], -1);
    if (descriptor >= 0) left.push_back(descriptor);
  }
  told_at_[shard] =
      std::max(told_at_[shard], tools_.clock.now() + tools_.dice.between(0ns, kApartMax));
  const auto message = std::make_shared<PublishConfig>(std::move(publish));
  tools_.clock.at(told_at_[shard], [this, shard, message, left] {
    if (gone_) return;
    for (const int descriptor : left) machine_.leaves(descriptor);
    tell(shard, std::move(*message));
  });
}

std::size_t Gateway::listening() const {
  const auto removed = std::ranges::count_if(
      config_.listen, [](const ListenConfig& listen) { return listen.removed; });
  return (config_.listen.size() - static_cast<std::size_t>(removed)) * shards_.size();
}

}  // namespace ringway::sim
