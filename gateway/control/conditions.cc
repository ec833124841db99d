#include "gateway/control/conditions.h"

#include <algorithm>
#include <array>

namespace ringway {
namespace {

using State = Condition::State;

constexpr std::int64_t kDay = 24 * 3'600;
constexpr std::int64_t kEarliestClock = 1'767'225'600;  // 2026-01-01: before it no clock is right
constexpr int kWarnDays = 21, kWarnDaysOfList = 3;
constexpr std::array<std::int64_t, 4> kReminders = {21 * kDay, 7 * kDay, kDay, 0};
constexpr std::uint64_t kFullPercent = 90;

std::string count_of(std::size_t count, std::string_view one) {
  return std::to_string(count) + " " + std::string(one) + (count == 1 ? "" : "s");
}

// Health is each shard's own view: an address is down if every shard has set it aside.
Condition judge_next_hops(const Facts& facts) {
  Condition condition{"next_hops", State::Ok, {}, true};
  std::size_t addresses = 0, used = 0;
  std::string unresolved, resolved;
  for (std::size_t i = 0; i < facts.config.next_hops.size(); ++i) {
    if (facts.config.next_hops[i].removed) continue;
    ++used;
    const std::size_t found =
        i < facts.next_hops.size() ? facts.next_hops[i].targets.size() : std::size_t{0};
    addresses += found;
    std::string& names = found != 0 ? resolved : unresolved;
    names += (names.empty() ? "" : ", ") + facts.config.next_hops[i].name;
  }
  std::uint64_t down = facts.shards.empty() ? 0 : UINT64_MAX;
  for (const Counters* shard : facts.shards) down = std::min(down, shard->next_hop_down.value());
  condition.reason = count_of(used, "next hop") + " with " + std::to_string(addresses) +
                     (addresses == 1 ? " address" : " addresses");
  if (used == 0) return condition;
  if (!facts.absent_address.empty()) {
    condition.reason +=
        ", not asked: " + facts.absent_address + " is not on this machine, so another one serves";
  } else if (addresses == 0) {
    condition.state = State::Failed;
    condition.reason = "no next hop has an address: DNS gave none for " + unresolved;
  } else if (down >= addresses) {
    condition.state = State::Failed;
    condition.reason = "no next hop answers: is the SIP server running, and reached from here? " +
                       resolved + (addresses == 1 ? " is silent" : " are silent");
    if (!unresolved.empty()) condition.reason += "; DNS gave no address for " + unresolved;
  } else if (!unresolved.empty()) {
    condition.state = State::Degraded;
    condition.reason += "; DNS gave no address for " + unresolved;
  } else if (down != 0) {
    condition.state = State::Degraded;
    condition.reason += ", " + std::to_string(down) + " of them down";
  }
  return condition;
}

Condition judge_relays(const Facts& facts) {
  Condition condition{"relays", State::Ok, "no media relay is configured", true};
  const auto& relays = facts.config.media.relays;
  if (relays.empty()) return condition;
  std::string down;
  std::size_t up = 0;
  for (std::size_t i = 0; i < relays.size() && i < std::tuple_size_v<decltype(Counters::relay_up)>;
       ++i) {
    const bool connected =
        std::any_of(facts.shards.begin(), facts.shards.end(),
                    [i](const Counters* shard) { return shard->relay_up[i].value() != 0; });
    if (connected) ++up;
    if (!connected) down += (down.empty() ? "" : ", ") + text_of(relays[i].address);
  }
  condition.reason = count_of(up, "media relay") + " connected";
  if (down.empty()) return condition;
  condition.state = up == 0 ? State::Failed : State::Degraded;
  condition.reason = up == 0 ? "no media relay is connected: is rtpengine running, with "
                               "--listen-tcp-ng or --listen-ng? Not reached: " +
                                   down
                             : condition.reason + "; not connected: " + down;
  return condition;
}

// The one that ends first. Lists live for days where certificates live for months.
const CertificateEnd* first_end(const Facts& facts, bool is_list) {
  const CertificateEnd* first = nullptr;
  for (const CertificateEnd& end : facts.certificates) {
    if (end.is_list != is_list || (first && first->not_after <= end.not_after)) continue;
    first = &end;
  }
  return first;
}

Condition judge_certificates(const Facts& facts) {
  Condition condition{"certificates", State::Ok, "no certificate is in use"};
  const auto add = [&](State state, const std::string& text) {
    condition.reason =
        condition.state == State::Ok && state != State::Ok ? text : condition.reason + "; " + text;
    condition.state = std::max(condition.state, state);
  };
  if (const CertificateEnd* first = first_end(facts, false)) {
    const std::int64_t left = first->not_after - facts.wall_seconds;
    condition.reason =
        "the first certificate ends in " + count_of(static_cast<std::size_t>(left / kDay), "day");
    if (left <= 0) {
      condition.state = State::Failed;
      condition.reason =
          "the certificate in " + first->file + " has ended: renew it; a new file is read at once";
    } else if (left < kWarnDays * kDay) {
      condition.state = State::Degraded;
      condition.reason += ": renew " + first->file;
    }
  }
  if (const CertificateEnd* first = first_end(facts, true)) {
    const std::int64_t left = first->not_after - facts.wall_seconds;
    const std::string list = "the revocation list " + first->file;
    if (left <= 0) {
      add(State::Failed, list +
                             " has ended, so no certificate it is for is accepted: fetch a new "
                             "one");
    } else {
      add(left < kWarnDaysOfList * kDay ? State::Degraded : State::Ok,
          list + " ends in " + count_of(static_cast<std::size_t>(left / kDay), "day"));
    }
  }
  return condition;
}

Condition judge_tables(const Facts& facts) {
  Condition condition{"tables", State::Ok, "no table is above 90 %"};
  const LimitsConfig& limits = facts.config.limits;
  const auto look = [&](std::string_view name, std::uint64_t value, std::uint64_t limit) {
    if (limit == 0 || value * 100 < limit * kFullPercent) return;
    condition.reason = condition.state == State::Ok ? "" : condition.reason + ", ";
    condition.state = State::Degraded;
    condition.reason +=
        "limits." + std::string(name) + " is " + std::to_string(value * 100 / limit) + " % full";
  };
  const auto flows_of = [](const Counters& shard) {
    std::uint64_t sum = 0;
    for (const Counter& flows : shard.flows) sum += flows.value();
    return sum;
  };
  const auto fullest = [&](auto value) {
    std::uint64_t most = 0;
    for (const Counters* shard : facts.shards) most = std::max<std::uint64_t>(most, value(*shard));
    return most;
  };
  look("flows", fullest(flows_of), limits.flows);
  look("client_transactions",
       fullest([](const Counters& shard) { return shard.client_transactions.value(); }),
       limits.client_transactions);
  look("bindings", fullest([](const Counters& shard) { return shard.user_agents.value(); }),
       limits.bindings);
  look("dialogs", fullest([](const Counters& shard) { return shard.dialogs.value(); }),
       limits.dialogs);
  look("buffer_bytes",
       fullest([](const Counters& shard) { return shard.buffer_bytes_in_use.value(); }),
       limits.buffer_bytes);
  return condition;
}

Condition judge_clock(const Facts& facts) {
  if (facts.wall_seconds >= kEarliestClock) return {"clock", State::Ok, "the clock is set"};
  return {"clock", State::Failed,
          "the clock is before 2026: certificates and expiries are judged wrongly; set it"};
}

}  // namespace

std::string_view to_text(State state) {
  switch (state) {
    case State::Ok:
      return "ok";
    case State::Degraded:
      return "degraded";
    case State::Failed:
      return "failed";
  }
  return "";
}

std::vector<Condition> judge(const Facts& facts) {
  return {judge_next_hops(facts), judge_relays(facts), judge_certificates(facts),
          judge_tables(facts), judge_clock(facts)};
}

std::vector<const CertificateEnd*> EndReminders::due(std::span<const CertificateEnd> ends,
                                                     std::int64_t wall_seconds) {
  std::vector<const CertificateEnd*> result;
  std::map<std::string, Known> seen;
  for (const CertificateEnd& end : ends) {
    const std::int64_t left = end.not_after - wall_seconds;
    const auto stage = static_cast<std::size_t>(std::ranges::count_if(
        kReminders, [left](std::int64_t reminder) { return left <= reminder; }));
    const auto before = known_.find(end.file);
    const bool same = before != known_.end() && before->second.not_after == end.not_after;
    if (stage > (same ? before->second.stage : 0)) result.push_back(&end);
    seen[end.file] = {end.not_after, stage};
  }
  known_ = std::move(seen);
  return result;
}

void Readiness::update(std::vector<Condition> conditions, std::int64_t now_ms) {
  failed_since_.resize(conditions.size(), 0);
  ready_ = true;
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    if (!conditions[i].for_calls || conditions[i].state != State::Failed) {
      failed_since_[i] = 0;
      continue;
    }
    if (failed_since_[i] == 0) failed_since_[i] = now_ms;
    if (now_ms - failed_since_[i] >= kLastingMs) ready_ = false;
  }
  conditions_ = std::move(conditions);
}

}  // namespace ringway
