#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/time.h"

namespace ringway::ban_export {

// A ban of the gateway as its admin interface tells it.
struct ExportedBan {
  std::string source;           // "192.0.2.7", or an IPv6 prefix "2001:db8::/64"
  bool datagrams_only = false;  // its connections are left alone
  std::int64_t seconds_left = 0;
};

// Which ports the packets of banned sources are dropped for; others on this machine never are.
struct GuardedPorts {
  std::vector<std::uint16_t> tcp, udp;
};

// What nft has to be told so that its sets say what the gateway's table says. Knows no nft: it is
// given lists and leaves commands.
//
//   table inet NAME
//     set tcp4, tcp6   sources whose connections are banned; tcp6 and udp6 hold the first address
//                      of a /64
//     set udp4, udp6   those, and the ones whose datagrams alone are banned
//     chain guard      before connection tracking: drops what comes from them to the ports
//
// Elements have time-outs, so that a ban ends on time even while nobody tells nft anything.
class NftBans {
 public:
  static constexpr std::size_t kElementsMax = 1'048'576;  // of each set
  static constexpr std::size_t kElementsInCommand = 500;
  static constexpr std::int64_t kSecondsMax = 366 * 86'400;
  // An end that moved by less stays where it is.
  static constexpr Duration kTolerance = std::chrono::seconds(3);

  explicit NftBans(std::string table) : table_(std::move(table)) {}

  // The table with empty sets, in place of one that is there. Forgets what the sets hold.
  std::string begin(const GuardedPorts& ports);
  // The table goes.
  std::string end() const;
  // From what the sets hold to bans, which are all that are in force now. Each command is a
  // transaction of its own; what was left unsent is made good by begin(). Sources that are no
  // address are left out and counted.
  std::vector<std::string> update(const std::vector<ExportedBan>& bans, Instant now);

  std::size_t size() const { return held_.size(); }
  std::uint64_t not_understood() const { return not_understood_; }

 private:
  struct Held {
    Instant until{};
    bool datagrams_only = false;
    std::uint64_t round = 0;  // the last update that named it
  };
  struct Command;

  void take(const ExportedBan& ban, Instant now, Command& command);

  std::string table_;
  std::map<std::string, Held, std::less<>> held_;
  std::uint64_t round_ = 0, not_understood_ = 0;
};

}  // namespace ringway::ban_export
