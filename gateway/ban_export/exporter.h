#pragma once

#include <expected>
#include <string>

#include "gateway/ban_export/nft_bans.h"
#include "gateway/ban_export/nftables.h"
#include "gateway/ctl/http_client.h"

namespace ringway::ban_export {

// Keeps nft's sets as the gateway's bans are: asks it again and again, and tells nft the
// difference. Its thread may wait; nothing in the gateway waits for it.
class Exporter {
 public:
  struct Settings {
    ctl::Place gateway;
    GuardedPorts ports;
    std::string table;
    Duration every{};
    void (*notify)(std::string_view) = nullptr;  // the service manager
  };
  Exporter(Settings settings, Nftables nftables)
      : settings_(std::move(settings)), nftables_(std::move(nftables)), bans_(settings_.table) {}

  // Until SIGTERM or SIGINT, which the caller has blocked in all threads; then the table goes.
  // The exit code.
  int run();

 private:
  std::expected<std::vector<ExportedBan>, std::string> ask() const;
  std::expected<void, std::string> round();
  void say(const std::string& text);

  Settings settings_;
  Nftables nftables_;
  NftBans bans_;
  bool stands_ = false;  // the table
  std::string said_;     // last, so that nothing is said twice
};

}  // namespace ringway::ban_export
