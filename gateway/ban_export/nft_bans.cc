#include "gateway/ban_export/nft_bans.h"

#include <algorithm>
#include <array>

#include "gateway/base/endpoint.h"

namespace ringway::ban_export {
namespace {

std::string list_of(const std::vector<std::uint16_t>& ports) {
  std::string text;
  for (const std::uint16_t port : ports) {
    text += (text.empty() ? "" : ", ") + std::to_string(port);
  }
  return text;
}

}  // namespace

// One transaction: elements that go, then elements that come.
struct NftBans::Command {
  const std::string& table;
  std::vector<std::string>& done;
  std::string text{};
  std::size_t elements = 0;

  void element(std::string_view verb, bool tcp, std::string_view source, std::string_view timeout) {
    const bool is_ipv6 = source.find(':') != source.npos;
    text += std::string(verb) + " element inet " + table + (tcp ? " tcp" : " udp") +
            (is_ipv6 ? "6 { " : "4 { ") + std::string(source) + std::string(timeout) + " }\n";
    if (++elements >= kElementsInCommand) finish();
  }
  // An element that has timed out by itself cannot be deleted, but one that was just added can.
  void remove(bool tcp, std::string_view source) {
    const std::size_t room = kElementsInCommand - elements;
    if (room < 3) finish();
    element("add", tcp, source, " timeout 1m");
    element("delete", tcp, source, {});
  }
  void finish() {
    if (!text.empty()) done.push_back(std::move(text));
    text.clear();
    elements = 0;
  }
};

std::string NftBans::begin(const GuardedPorts& ports) {
  held_.clear();
  std::string text = "add table inet " + table_ + "\ndelete table inet " + table_ +
                     "\nadd table inet " + table_ + "\n";
  for (const std::string set : {"tcp4", "udp4", "tcp6", "udp6"}) {
    text += "add set inet " + table_ + " " + set + " { type " +
            (set.back() == '4' ? "ipv4_addr" : "ipv6_addr") + "; flags timeout; size " +
            std::to_string(kElementsMax) + "; }\n";
  }
  text += "add chain inet " + table_ +
          " guard { type filter hook prerouting priority raw; policy accept; }\n";
  const auto rules = [&](const std::string& protocol, const std::vector<std::uint16_t>& list) {
    if (list.empty()) return;
    const std::string head =
        "add rule inet " + table_ + " guard " + protocol + " dport { " + list_of(list) + " } ";
    text += head + "ip saddr @" + protocol + "4 counter drop\n";
    text += head + "ip6 saddr and ffff:ffff:ffff:ffff:: @" + protocol + "6 counter drop\n";
  };
  rules("tcp", ports.tcp);
  rules("udp", ports.udp);
  return text;
}

std::string NftBans::end() const {
  return "add table inet " + table_ + "\ndelete table inet " + table_ + "\n";
}

void NftBans::take(const ExportedBan& ban, Instant now, Command& command) {
  // What goes into a command is what was read as an address, never the text that came.
  const std::string_view name(ban.source);
  const auto address = parse_address(name.substr(0, name.find('/')));
  if (!address || ban.seconds_left <= 0) {
    if (!address) ++not_understood_;
    return;
  }
  const std::string source = text_of(*address);
  const auto seconds = std::min(ban.seconds_left, kSecondsMax);
  const Instant until = now + std::chrono::seconds(seconds);
  const auto found = held_.find(source);
  if (found == held_.end() && held_.size() >= kElementsMax) return;
  const bool is_new = found == held_.end() || found->second.until <= now;
  Held& held = held_[source];
  const bool stands = !is_new && held.datagrams_only == ban.datagrams_only &&
                      until - held.until < kTolerance && held.until - until < kTolerance;
  held.round = round_;
  if (stands) return;
  const std::string timeout = " timeout " + std::to_string(seconds) + "s";
  for (const bool tcp : {true, false}) {
    if (!is_new && !(tcp && held.datagrams_only)) command.remove(tcp, source);
    if (!(tcp && ban.datagrams_only)) command.element("add", tcp, source, timeout);
  }
  held.until = until;
  held.datagrams_only = ban.datagrams_only;
}

std::vector<std::string> NftBans::update(const std::vector<ExportedBan>& bans, Instant now) {
  std::vector<std::string> commands;
  Command command{table_, commands};
  ++round_;
  for (const ExportedBan& ban : bans) take(ban, now, command);
  std::erase_if(held_, [&](const auto& entry) {
    const auto& [source, held] = entry;
    if (held.round == round_) return false;
    if (held.until > now) {  // lifted
      if (!held.datagrams_only) command.remove(true, source);
      command.remove(false, source);
    }
    return true;
  });
  command.finish();
  return commands;
}

}  // namespace ringway::ban_export
