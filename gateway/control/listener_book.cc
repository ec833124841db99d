#include "gateway/control/listener_book.h"

#include <algorithm>

#include "gateway/control/service_manager.h"

namespace ringway {
namespace {

std::string kept_name_of(const ListenerInfo& info, std::size_t shard) {
  return kept_name(info.local, info.config.transport == Transport::Udp, shard);
}

void log_listener(LogWriter& log, const char* event, const ListenerInfo& info) {
  log.event(LogLevel::Info, event,
            {{"name", info.config.name},
             {"transport", to_text(info.config.transport)},
             {"address", text_of(info.local)}});
}

}  // namespace

void keep_listener(const ListenerInfo& info, std::size_t shard, int descriptor) {
  keep_descriptor(kept_name_of(info, shard), descriptor);
}

// What is given up goes first: what comes may have its name.
void ListenerBook::take_over(const Config& next,
                             const std::vector<std::vector<NewListener>>& opened, LogWriter& log) {
  for (std::size_t shard = 0; shard < held_.size(); ++shard) {
    std::vector<ListenerInfo>& infos = held_[shard];
    for (std::size_t i = 0; i < infos.size(); ++i) {
      const bool removed = next.listen[i].removed && !infos[i].config.removed;
      infos[i].config = next.listen[i];
      if (!removed) continue;
      if (shard == 0) log_listener(log, "listener_removed", infos[i]);
      const bool handed_over = std::ranges::any_of(
          opened[shard], [&](const NewListener& one) { return one.from == i; });
      if (!handed_over) forget_descriptors(kept_name_of(infos[i], shard));
    }
    for (const NewListener& one : opened[shard]) {
      if (one.place >= infos.size()) infos.resize(one.place + 1U);
      infos[one.place] = one.info;
      if (shard == 0) log_listener(log, "listener_added", one.info);
      if (one.from == kNoListener) keep_listener(one.info, shard, one.socket.fd());
    }
  }
}

}  // namespace ringway
