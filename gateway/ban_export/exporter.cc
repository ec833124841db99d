#include "gateway/ban_export/exporter.h"

#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "gateway/reactor/clock.h"

namespace ringway::ban_export {
namespace {

// False: a signal has come.
bool wait_for(Duration time) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  const timespec limit{time / 1s, static_cast<long>((time % 1s).count())};
  for (;;) {
    if (sigtimedwait(&ends, nullptr, &limit) > 0) return false;
    if (errno != EINTR) return true;
  }
}

}  // namespace

void Exporter::say(const std::string& text) {
  if (text == said_) return;
  said_ = text;
  std::fprintf(stderr, "ringway bans-export: %s\n", text.c_str());
}

std::expected<std::vector<ExportedBan>, std::string> Exporter::ask() const {
  std::vector<ExportedBan> bans;
  std::uint64_t from = 0;
  do {
    const auto answer = ctl::ask(settings_.gateway, "GET", "/bans?from=" + std::to_string(from));
    if (!answer) return std::unexpected(answer.error());
    const auto body = nlohmann::json::parse(answer->body, nullptr, false);
    if (answer->status != 200 || !body.is_object()) return std::unexpected(answer->body);
    for (const auto& ban : body.value("bans", nlohmann::json::array())) {
      if (!ban.is_object()) continue;
      bans.push_back({ban.value("source", ""), ban.value("scope", "") == "udp",
                      ban.value("seconds_left", std::int64_t{0})});
    }
    const std::uint64_t next = body.value("next", std::uint64_t{0});
    if (next != 0 && next <= from) return std::unexpected("the gateway's list has no end");
    from = next;
  } while (from != 0 && bans.size() < NftBans::kElementsMax);
  return bans;
}

std::expected<void, std::string> Exporter::round() {
  const auto bans = ask();
  if (!bans) return std::unexpected(bans.error() + "; what nft has runs out by itself");
  // Somebody else may have flushed nft's rules.
  if (stands_) {
    stands_ = nftables_.run("list chain inet " + settings_.table + " guard").has_value();
  }
  if (!stands_) {
    if (const auto made = nftables_.run(bans_.begin(settings_.ports)); !made) return made;
    stands_ = true;
  }
  for (const std::string& command : bans_.update(*bans, read_clock())) {
    if (const auto done = nftables_.run(command); !done) {
      stands_ = false;
      return std::unexpected("nft: " + done.error() + "; its table is made anew");
    }
  }
  return {};
}

int Exporter::run() {
  bool is_ready = false;
  do {
    const auto done = round();
    say(done ? "nft has the gateway's bans (table inet " + settings_.table + ")" : done.error());
    if (done && !is_ready && settings_.notify) settings_.notify("READY=1");
    is_ready = is_ready || done.has_value();
  } while (wait_for(settings_.every));
  if (settings_.notify) settings_.notify("STOPPING=1");
  const auto gone = nftables_.run(bans_.end());
  if (!gone) say(gone.error());
  return gone ? 0 : 1;
}

}  // namespace ringway::ban_export
