#include "gateway/config/reload_plan.h"

#include <algorithm>
#include <concepts>
#include <string_view>

#include "gateway/config/listener_plan.h"

namespace ringway {
namespace {

// Places of next hops are eight bits wide where they are remembered.
constexpr std::size_t kNextHopPlacesMax = 255;

std::string text_of(bool value) {
  return value ? "true" : "false";
}
std::string text_of(const std::string& value) {
  return "\"" + value + "\"";
}
std::string text_of(std::unsigned_integral auto value) {
  return std::to_string(value);
}

class Planner {
 public:
  Planner(const Config& running, const Config& wanted) : running_(running) { plan_.next = wanted; }
  ReloadPlan run() {
    keep_process();
    keep_limits();
    plan_listeners(running_, plan_);
    plan_next_hops();
    plan_rest();
    return std::move(plan_);
  }

 private:
  // A value that only a restart can change.
  template <typename T>
  void keep(std::string_view key, const T& running, T& next) {
    if (running == next) return;
    plan_.restart.push_back(std::string(key) + ": stays " + text_of(running) +
                            " until a restart, then " + text_of(next));
    next = running;
  }
  template <typename T>
  void note(std::string_view what, const T& running, const T& next) {
    if (!(running == next)) plan_.applied.push_back(std::string(what) + ": changed");
  }

  void keep_process() {
    Config& next = plan_.next;
    keep("shards", running_.shards, next.shards);
    keep("pin", running_.pin, next.pin);
    keep("udp_trains", running_.udp_trains, next.udp_trains);
    keep("key_file", running_.key_file, next.key_file);
    keep("node", running_.node, next.node);
    keep("log.format", running_.log_format, next.log_format);
    keep("admin.enabled", running_.admin.enabled, next.admin.enabled);
    keep("admin.address", running_.admin.address, next.admin.address);
    keep("ctl.socket", running_.ctl.socket, next.ctl.socket);
    keep("ctl.group", running_.ctl.group, next.ctl.group);
    keep("process.user", running_.process.user, next.process.user);
    keep("process.seccomp", running_.process.seccomp, next.process.seccomp);
    keep_relays();
  }

  // Their weight, and whether one is drained, may change at any time; their places may not.
  void keep_relays() {
    std::vector<RelayConfig>& next = plan_.next.media.relays;
    if (std::ranges::equal(running_.media.relays, next,
                           [](const auto& a, const auto& b) { return a.is_same(b); })) {
      return;
    }
    std::string before, after;
    for (const RelayConfig& relay : running_.media.relays) before += " " + text_of(relay.address);
    for (const RelayConfig& relay : next) after += " " + text_of(relay.address);
    plan_.restart.push_back("media.rtpengine: stays" + (before.empty() ? " empty" : before) +
                            " until a restart, then" + (after.empty() ? " empty" : after));
    std::vector<RelayConfig> kept = running_.media.relays;
    for (RelayConfig& relay : kept) {
      for (const RelayConfig& wanted : next) {
        if (wanted.is_same(relay)) relay = wanted;
      }
    }
    next = std::move(kept);
  }

  // Tables have their size for life.
  void keep_limits() {
    const LimitsConfig& running = running_.limits;
    LimitsConfig& next = plan_.next.limits;
    keep("limits.flows", running.flows, next.flows);
    keep("limits.transactions", running.transactions, next.transactions);
    keep("limits.client_transactions", running.client_transactions, next.client_transactions);
    keep("limits.contexts", running.contexts, next.contexts);
    keep("limits.bindings", running.bindings, next.bindings);
    keep("limits.dialogs", running.dialogs, next.dialogs);
    keep("limits.bans", running.bans, next.bans);
    keep("limits.buffer_bytes", running.buffer_bytes, next.buffer_bytes);
  }

  static bool leads_to_the_same(const NextHopConfig& a, const NextHopConfig& b) {
    return a.host == b.host && a.port == b.port && a.transport == b.transport;
  }
  bool is_running(const std::string& name) const {
    return std::any_of(running_.next_hops.begin(), running_.next_hops.end(),
                       [&](const NextHopConfig& one) { return !one.removed && one.name == name; });
  }

  void plan_next_hops() {
    std::vector<NextHopConfig> wanted = std::move(plan_.next.next_hops);
    std::vector<NextHopConfig>& next = plan_.next.next_hops;
    next = running_.next_hops;
    for (NextHopConfig& running : next) {
      if (running.removed) continue;
      const auto found = std::find_if(wanted.begin(), wanted.end(), [&](const NextHopConfig& one) {
        return one.name == running.name;
      });
      const auto renamed =
          found != wanted.end()
              ? found
              : std::find_if(wanted.begin(), wanted.end(), [&](const NextHopConfig& one) {
                  return leads_to_the_same(one, running) && !is_running(one.name);
                });
      if (renamed != wanted.end() && found == wanted.end()) {
        plan_.applied.push_back("next_hop " + running.name + ": is " + renamed->name + " now");
        running = std::move(*renamed);
        wanted.erase(renamed);
        continue;
      }
      if (found == wanted.end()) {
        plan_.applied.push_back("next_hop " + running.name + ": removed");
        running.removed = true;
        continue;
      }
      if (running != *found) plan_.applied.push_back("next_hop " + running.name + ": changed");
      running = std::move(*found);
      wanted.erase(found);
    }
    for (NextHopConfig& added : wanted) {
      // Its own old place first, so that what was under way there goes on.
      auto place = std::find_if(next.begin(), next.end(), [&](const NextHopConfig& one) {
        return one.removed && one.name == added.name;
      });
      if (place == next.end() && next.size() >= kNextHopPlacesMax) {
        place = std::find_if(next.begin(), next.end(),
                             [](const NextHopConfig& one) { return one.removed; });
        if (place == next.end()) {
          plan_.restart.push_back("next_hop " + added.name + ": there are 255 already");
          continue;
        }
      }
      plan_.applied.push_back("next_hop " + added.name + ": added");
      if (place == next.end()) {
        next.push_back(std::move(added));
      } else {
        *place = std::move(added);
      }
    }
  }

  void plan_rest() {
    const Config& next = plan_.next;
    note("certificate", running_.certificates, next.certificates);
    note("trusted", running_.trusted, next.trusted);
    note("header", running_.header_rules, next.header_rules);
    note("media", running_.media, next.media);
    note("limits", running_.limits, next.limits);
    note("timers", running_.timers, next.timers);
    note("page", running_.page, next.page);
    note("bans", running_.bans, next.bans);
    note("budgets", running_.budgets, next.budgets);
    note("fraud", running_.fraud, next.fraud);
    note("overload", running_.overload, next.overload);
    note("answers", running_.answers, next.answers);
    note("admin", running_.admin, next.admin);
    note("log.level", running_.log_level, next.log_level);
    note("dns.nameservers", running_.nameservers, next.nameservers);
    if (running_.server_name != next.server_name || running_.max_breadth != next.max_breadth ||
        running_.force_rport != next.force_rport) {
      plan_.applied.push_back("sip: changed");
    }
    if (running_.filter != next.filter || running_.filter_file != next.filter_file ||
        running_.filter_exempt != next.filter_exempt) {
      plan_.applied.push_back("filter: changed");
    }
  }

  const Config& running_;
  ReloadPlan plan_;
};

}  // namespace

ReloadPlan plan_reload(const Config& running, const Config& wanted) {
  return Planner(running, wanted).run();
}

}  // namespace ringway
