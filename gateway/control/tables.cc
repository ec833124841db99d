#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "gateway/control/control.h"
#include "gateway/control/json_answer.h"
#include "gateway/control/wall_clock.h"

// The tables of next hops, relays and certificates, and questions to the shards about theirs.

namespace ringway {
namespace {

constexpr std::uint64_t kReportMs = 2'000;
constexpr std::size_t kRelaysShown = std::tuple_size_v<decltype(Counters::relay_up)>;

nlohmann::ordered_json json_of(const ReportRow& row) {
  nlohmann::ordered_json object;
  for (const auto& [key, value] : row) {
    std::visit([&](const auto& plain) { object[std::string(key)] = plain; }, value);
  }
  return object;
}

std::string text_in(const ReportRow& row, std::string_view key) {
  for (const auto& [name, value] : row) {
    if (name == key && std::holds_alternative<std::string>(value)) {
      return std::get<std::string>(value);
    }
  }
  return {};
}

}  // namespace

std::string Control::held(std::string_view what, const std::string& name) const {
  const auto found = held_.find(std::string(what) + "/" + name);
  return found == held_.end() ? std::string() : found->second;
}

void Control::remember_held(const Query& query) {
  const bool next_hop = query.topic == Query::Topic::NextHops;
  const bool known =
      next_hop ? std::ranges::any_of(config_.next_hops,
                                     [&](const NextHopConfig& one) {
                                       return !one.removed && one.name == query.name;
                                     })
               : std::ranges::any_of(config_.media.relays, [&](const RelayConfig& one) {
                   return ringway::text_of(one.address) == query.name;
                 });
  if (!known) return;
  const std::string place = (next_hop ? "next-hops/" : "relays/") + query.name;
  if (query.verb == Query::Verb::Release) held_.erase(place);
  if (query.verb == Query::Verb::Hold) held_[place] = "held";
  if (query.verb == Query::Verb::Drain) held_[place] = "draining";
}

// Where each next hop leads, and how that is. Whether an address answers is each shard's own view:
// one is down where all say so.
nlohmann::ordered_json Control::next_hop_rows(const std::vector<ReportRow>& reported) const {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const NextHopConfig& next_hop : config_.next_hops) {
    if (next_hop.removed) continue;
    std::map<std::string, std::map<std::string, std::size_t>> addresses;  // state, how many shards
    for (const ReportRow& row : reported) {
      if (text_in(row, "name") == next_hop.name) {
        ++addresses[text_in(row, "address")][text_in(row, "state")];
      }
    }
    std::string text;
    std::size_t up = 0;
    for (const auto& [address, states] : addresses) {
      text += (text.empty() ? "" : " ") + address;
      if (states.contains("up")) ++up;
      for (const auto& [state, shards] : states) {
        if (state == "up") continue;
        text += " (" + state;
        if (states.size() > 1) {
          text += " for " + std::to_string(shards) + " of " + std::to_string(shards_->size()) +
                  " shards";
        }
        text += ")";
      }
    }
    std::string state = held("next-hops", next_hop.name);
    if (state.empty()) {
      state = up == 0 ? "down" : up < addresses.size() ? "partly down" : "up";
      if (addresses.empty()) state = "no address";
    }
    list.push_back({{"name", next_hop.name},
                    {"state", state},
                    {"priority", next_hop.priority},
                    {"weight", next_hop.weight},
                    {"addresses", text}});
  }
  return list;
}

AdminAnswer Control::relays_page() const {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  const auto shards = counters();
  const auto& relays = config_.media.relays;
  for (std::size_t i = 0; i < relays.size() && i < kRelaysShown; ++i) {
    const auto connected = std::ranges::count_if(
        shards, [i](const Counters* shard) { return shard->relay_up[i].value() != 0; });
    const bool silent = std::ranges::any_of(
        shards, [i](const Counters* shard) { return shard->relay_silent[i].value() != 0; });
    std::string_view state = silent ? "silent" : "not connected";
    if (connected != 0) state = relays[i].drain ? "draining" : "connected";
    const std::string by_command = held("relays", ringway::text_of(relays[i].address));
    if (connected != 0 && !by_command.empty()) state = by_command;
    list.push_back({{"address", ringway::text_of(relays[i].address)},
                    {"transport", relays[i].transport == Transport::Udp ? "udp" : "tcp"},
                    {"weight", relays[i].weight},
                    {"state", state},
                    {"shards_connected", connected}});
  }
  return json_answer(200, {{"relays", list}});
}

AdminAnswer Control::certificates_page() const {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const CertificateEnd& end : certificates_) {
    list.push_back({{"file", end.file},
                    {"subject", end.subject},
                    {"used_by", end.used_by},
                    {"kind", end.is_list ? "revocation list" : "certificate"},
                    {"ends", end.not_after},
                    {"days_left", (end.not_after - wall_seconds()) / 86'400}});
  }
  return json_answer(200, {{"certificates", list}});
}

// --- Questions to shards
// --------------------------------------------------------------------------

void Control::ask(const AdminRequest& request, Query query, std::string_view list) {
  query.request = next_query_++;
  Pending& pending = pending_[query.request];
  pending.server = serving_;
  pending.request = request.id;
  pending.list = list;
  pending.name = query.name;
  pending.shards_left = shards_->size();
  pending.until = uv_now(&loop_) + kReportMs;
  for (std::size_t i = 0; i < shards_->size(); ++i) send(i, Query(query));
}

void Control::collect(Report& report) {
  const auto found = pending_.find(report.request);
  if (found == pending_.end()) return;  // it came too late
  Pending& pending = found->second;
  for (ReportRow& row : report.rows) {
    if (pending.rows.size() < kRowsMax) pending.rows.push_back(std::move(row));
  }
  pending.done += report.done;
  pending.known &= report.known;
  if (--pending.shards_left == 0) answer_report(report.request, true);
}

void Control::answer_report(std::uint64_t request, bool complete) {
  const Pending pending = std::move(pending_[request]);
  pending_.erase(request);
  if (!pending.server || stopped_) return;
  nlohmann::ordered_json body;
  int status = 200;
  if (!pending.known) {
    status = 404;
    body["error"] = "this program keeps no such table, or cannot do that with it";
  } else if (pending.list.empty()) {
    body["done"] = pending.done;
    if (pending.done == 0) {
      status = 404;
      body["error"] = "nothing is named \"" + pending.name + "\"; list the names first";
    }
  } else {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    if (pending.list == "next-hops") {
      list = next_hop_rows(pending.rows);
    } else {
      for (const ReportRow& row : pending.rows) list.push_back(json_of(row));
    }
    body[pending.list == "next-hops" ? "next_hops" : std::string(pending.list)] = std::move(list);
    if (pending.rows.size() == kRowsMax) body["cut_at"] = kRowsMax;
  }
  if (!complete) body["incomplete"] = "a shard did not answer within 2 s";
  pending.server->answer(pending.request, json_answer(status, body));
}

}  // namespace ringway
