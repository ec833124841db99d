#pragma once

#include <expected>
#include <string>
#include <vector>

#include "gateway/config/config.h"
#include "gateway/control/log_writer.h"
#include "gateway/transport/listener.h"

namespace ringway {

// What each shard listens on, as the control thread knows it: opens what a reload adds, and tells
// the service manager which sockets to keep.
class ListenerBook {
 public:
  explicit ListenerBook(HeldListeners held) : held_(std::move(held)) {}

  // Of the first shard, removed ones included. With port_per_shard others have other ports.
  const std::vector<ListenerInfo>& infos() const { return held_.front(); }

  // Opens what next adds, by shard; nothing is changed yet, and dropping the result closes it.
  // Errors: a sentence that names the listener, its address and the cure.
  [[nodiscard]] std::expected<std::vector<std::vector<NewListener>>, std::string> open(
      const Config& next) const {
    return open_more_listeners(next, held_);
  }
  // next is in force, and the shards are about to get opened.
  void take_over(const Config& next, const std::vector<std::vector<NewListener>>& opened,
                 LogWriter& log);

 private:
  HeldListeners held_;
};

// As the service manager is to keep it for that shard.
void keep_listener(const ListenerInfo& info, std::size_t shard, int descriptor);

}  // namespace ringway
