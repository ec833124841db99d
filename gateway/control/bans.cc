#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "gateway/base/prefix.h"
#include "gateway/config/load_admission.h"
#include "gateway/control/control.h"
#include "gateway/control/json_answer.h"
#include "gateway/reactor/clock.h"

// Who is kept out: the judgement over what the shards have seen, and what the admin address and
// the control socket list, add and lift.

namespace ringway {
namespace {

constexpr std::size_t kBansShown = 1'000;
constexpr std::size_t kBansInPart = 2'000;
constexpr std::int64_t kSecondsMax = 366 * 86'400;

std::int64_t seconds_of(Duration duration) {
  return std::max<std::int64_t>(duration / 1s, 0);
}

// An address, or the /32 or /64 that a ban is about.
std::optional<SourceKey> source_named(const std::string& name) {
  const std::size_t slash = name.find('/');
  const auto address = parse_address(name.substr(0, slash));
  if (!address) return std::nullopt;
  const char* const bits = address->family == Family::V4 ? "/32" : "/64";
  if (slash != name.npos && name.substr(slash) != bits) return std::nullopt;
  return source_key(*address);
}

}  // namespace

// The one place where a ban begins.
BanTable::Ban Control::ban(SourceKey source, BanScope scope, BanCause cause, Duration lasting) {
  const Instant now = read_clock();
  const std::vector<Duration> ladder = ban_durations(config_.bans);
  BanTable::Ban ban{source, scope, cause, setup_.bans->table().next_level(source, now), now, {}};
  if (lasting == Duration{}) {
    lasting = ladder[std::min<std::size_t>(ban.level, ladder.size() - 1)];
  }
  ban.until = now + lasting;
  setup_.bans->table().put(ban, now);
  setup_.log.event(LogLevel::Warning, "banned",
                   {{"source", to_text(source)},
                    {"scope", to_text(scope)},
                    {"cause", to_text(cause)},
                    {"seconds", seconds_of(lasting)},
                    {"times_before", ban.level}});
  return ban;
}

void Control::read_evidence() {
  if (!setup_.bans) return;
  const Instant now = read_clock();
  setup_.bans->begin_turn();
  while (const Evidence* evidence = setup_.bans->next()) {
    if (const auto decision = judge_.observe(*evidence, now)) {
      ban(decision->source, decision->scope, decision->cause, {});
    }
  }
}

// All bans, in parts: for programs that keep a copy, whose list has no order.
AdminAnswer Control::bans_part(const std::string& from) const {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  BanTable::Page page;
  const Instant now = read_clock();
  if (setup_.bans) {
    page = setup_.bans->table().page(std::strtoull(from.c_str(), nullptr, 10), kBansInPart, now);
  }
  for (const BanTable::Ban& ban : page.bans) {
    list.push_back({{"source", to_text(ban.source)},
                    {"scope", to_text(ban.scope)},
                    {"seconds_left", seconds_of(ban.until - now)}});
  }
  return json_answer(200, {{"bans", list}, {"next", page.next}});
}

AdminAnswer Control::bans_page(const std::string& name) const {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  const Instant now = read_clock();
  std::vector<BanTable::Ban> bans;
  if (setup_.bans && name.empty()) {
    bans = setup_.bans->table().list(kBansShown, now);
  } else if (const auto source = source_named(name); setup_.bans && source) {
    if (const auto ban = setup_.bans->table().find(*source, now)) bans.push_back(*ban);
  }
  std::ranges::sort(bans, {}, &BanTable::Ban::until);
  for (const BanTable::Ban& ban : bans) {
    list.push_back({{"source", to_text(ban.source)},
                    {"scope", to_text(ban.scope)},
                    {"cause", to_text(ban.cause)},
                    {"seconds_left", seconds_of(ban.until - now)},
                    {"age_seconds", seconds_of(now - ban.since)},
                    {"times_before", ban.level}});
  }
  nlohmann::ordered_json body{{"bans", list}};
  if (bans.size() == kBansShown) body["cut_at"] = kBansShown;
  return json_answer(200, body);
}

AdminAnswer Control::ban_command(const AdminRequest& request) {
  const std::string name = query_value(request.query, "name");
  if (name.empty()) return error_answer(400, "name=... is missing: say which one is meant");
  const auto source = source_named(name);
  if (!source) {
    return error_answer(400, "\"" + name +
                                 "\" is no address, nor an IPv6 prefix of 64 bits; other "
                                 "prefixes go into bans.block or bans.block_files");
  }
  if (!setup_.bans) return error_answer(404, "this program keeps no bans");
  setup_.log.event(LogLevel::Info, "command", {{"path", request.path}, {"name", name}});
  if (request.path != "/bans/add") {
    judge_.forget(*source);
    if (setup_.bans->table().lift(*source, read_clock())) {
      setup_.log.event(LogLevel::Info, "ban_lifted", {{"source", to_text(*source)}});
      return json_answer(200, {{"done", 1}});
    }
    return error_answer(404, to_text(*source) + " is not banned; list the bans first");
  }
  const std::string seconds = query_value(request.query, "seconds");
  const std::int64_t lasting = seconds.empty() ? 3'600 : std::atoll(seconds.c_str());
  if (lasting < 1 || lasting > kSecondsMax) {
    return error_answer(400, "seconds=... must be 1 to " + std::to_string(kSecondsMax));
  }
  if (!config_.bans.enabled) {
    return error_answer(409, "bans are off (bans.enabled = false): this would do nothing");
  }
  const BanTable::Ban done =
      ban(*source, BanScope::Everything, BanCause::Command, std::chrono::seconds(lasting));
  return json_answer(200, {{"done", 1}, {"source", to_text(done.source)}, {"seconds", lasting}});
}

}  // namespace ringway
