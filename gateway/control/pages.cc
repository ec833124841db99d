#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "gateway/control/control.h"
#include "gateway/control/metrics_page.h"
#include "protocol/base/ascii.h"
#include "tls/mac.h"

// What the admin address and the control socket answer: health, metrics, status and the tables of
// the shards, as JSON with the same words everywhere.

namespace ringway {
namespace {

constexpr std::size_t kRowsMax = 1'000;
constexpr std::uint64_t kReportMs = 2'000;
constexpr std::size_t kRelaysShown = std::tuple_size_v<decltype(Counters::relay_up)>;
constexpr const char* kJson = "application/json";

std::string text_of(const nlohmann::ordered_json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::int64_t wall_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

nlohmann::ordered_json json_of(const std::vector<Condition>& conditions) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Condition& condition : conditions) {
    list.push_back({{"condition", condition.name},
                    {"state", to_text(condition.state)},
                    {"reason", condition.reason}});
  }
  return list;
}

nlohmann::ordered_json json_of(const ReportRow& row) {
  nlohmann::ordered_json object;
  for (const auto& [key, value] : row) {
    std::visit([&](const auto& plain) { object[std::string(key)] = plain; }, value);
  }
  return object;
}

struct Page {
  std::string_view path, purpose;
};
constexpr Page kPages[] = {
    {"/healthz", "ready for calls? 503 if not, with the reasons"},
    {"/readyz", "the same"},
    {"/livez", "alive? 200 while the process serves"},
    {"/metrics", "Prometheus"},
    {"/status", "conditions, generation, counts"},
    {"/calls", "calls under way"},
    {"/agents", "registered user agents"},
    {"/flows", "connections"},
    {"/bans", "sources that are kept out"},
    {"/next-hops", "next hops and their state"},
    {"/relays", "media relays and their state"},
    {"/certificates", "certificates and their ends"},
    {"/version", "the running version"},
};

}  // namespace

std::vector<const Counters*> Control::counters() const {
  std::vector<const Counters*> counters;
  for (const auto& shard : *shards_) counters.push_back(&shard->counters());
  return counters;
}

void Control::judge() {
  const auto shards = counters();
  readiness_.update(
      ringway::judge({config_, shards, next_hops_->resolutions(), certificates_, wall_seconds()}),
      static_cast<std::int64_t>(uv_now(&loop_)));
  const std::uint64_t now = uv_now(&loop_);
  std::vector<std::uint64_t> late;
  for (const auto& [query, pending] : pending_) {
    if (pending.until <= now) late.push_back(query);
  }
  for (const std::uint64_t query : late) answer_report(query, false);
}

// Commands and personal data are for those who may: whoever can open the socket, whoever is on this
// machine if the admin address is loopback, else whoever has the token. Pages of other sites that a
// browser on this machine shows may not command.
bool Control::may(const AdminRequest& request) const {
  if (request.by_socket) return true;
  if (request.from_browser && request.method != "GET") return false;
  if (config_.admin.address.address.is_loopback()) return true;
  return !admin_token_.empty() &&
         tls::equal_in_constant_time(as_bytes(request.token), as_bytes(admin_token_));
}

std::optional<AdminAnswer> Control::serve(const AdminRequest& request) {
  if (!shards_) return AdminAnswer{503, kJson, "{\"status\":\"starting\",\"ready\":false}\n"};
  const bool known = std::any_of(std::begin(kPages), std::end(kPages),
                                 [&](const Page& page) { return page.path == request.path; });
  if (request.method != "GET") {
    if (!known && request.path != "/") return command(request);
    return AdminAnswer{405, "text/plain; charset=utf-8", "only GET and HEAD are possible here\n",
                       "GET, HEAD"};
  }
  if (request.path == "/livez") return health_page(false);
  if (request.path == "/healthz" || request.path == "/readyz") return health_page(true);
  if (request.path == "/metrics") {
    return AdminAnswer{200, "text/plain; version=0.0.4; charset=utf-8",
                       metrics_page(counters(), setup_.filter.get(), start_seconds_,
                                    {generation_, setup_.log.dropped(), readiness_.is_ready(),
                                     readiness_.conditions(), certificates_,
                                     setup_.bans ? setup_.bans->table().remembered() : 0,
                                     setup_.bans ? setup_.bans->table().cut_short() : 0,
                                     judge_.overlooked()})};
  }
  if (request.path == "/version") {
    return AdminAnswer{200, kJson, "{\"version\":\"" RINGWAY_VERSION "\"}\n"};
  }
  if (request.path == "/") {
    std::string text = "ringway " RINGWAY_VERSION "\n";
    for (const Page& page : kPages) {
      text += std::string(page.path) + std::string(16 - page.path.size(), ' ') +
              std::string(page.purpose) + "\n";
    }
    return AdminAnswer{200, "text/plain; charset=utf-8", text};
  }
  if (!known) return command(request);  // a command by GET is told how to be sent
  if (!may(request)) {
    return AdminAnswer{401, "text/plain; charset=utf-8",
                       "send the token of admin.token_file as \"Authorization: Bearer TOKEN\", or "
                       "use ringway ctl on this machine\n"};
  }
  return serve_table(request);
}

std::optional<AdminAnswer> Control::serve_table(const AdminRequest& request) {
  if (request.path == "/status") return AdminAnswer{200, kJson, text_of(status())};
  if (request.path == "/certificates") return certificates_page();
  if (request.path == "/next-hops") return next_hops_page();
  if (request.path == "/relays") return relays_page();
  if (request.path == "/bans") return bans_page(query_value(request.query, "name"));
  static constexpr std::pair<std::string_view, Query::Topic> kTables[] = {
      {"calls", Query::Topic::Calls},
      {"agents", Query::Topic::UserAgents},
      {"flows", Query::Topic::Flows},
  };
  for (const auto& [name, topic] : kTables) {
    if (request.path.substr(1) != name) continue;
    Query query;
    query.topic = topic;
    query.name = query_value(request.query, "name");
    query.max = kRowsMax;
    ask(request, std::move(query), name);
    return std::nullopt;
  }
  return AdminAnswer{404, "text/plain; charset=utf-8", "not found\n"};
}

AdminAnswer Control::health_page(bool readiness) const {
  if (!readiness) return {200, kJson, "{\"status\":\"alive\"}\n"};
  const bool whole = std::all_of(
      readiness_.conditions().begin(), readiness_.conditions().end(),
      [](const Condition& condition) { return condition.state == Condition::State::Ok; });
  const bool ready = ready_ && !draining_ && !out_of_service_ && readiness_.is_ready();
  const char* word = "ok";
  if (!whole) word = "degraded";
  if (!readiness_.is_ready()) word = "failed";
  if (!ready_) word = "starting";
  if (out_of_service_) word = "out of service";
  if (draining_) word = "draining";
  return {
      ready ? 200 : 503, kJson,
      text_of(
          {{"status", word}, {"ready", ready}, {"conditions", json_of(readiness_.conditions())}})};
}

nlohmann::ordered_json Control::status() const {
  nlohmann::ordered_json status = nlohmann::ordered_json::parse(health_page(true).body);
  std::uint64_t flows = 0, calls = 0, agents = 0, down = 0;
  for (const Counters* shard : counters()) {
    for (const Counter& transport : shard->flows) flows += transport.value();
    calls += shard->dialogs.value();
    agents = std::max<std::uint64_t>(agents, shard->user_agents.value());
    down = std::max<std::uint64_t>(down, shard->next_hop_down.value());
  }
  status["version"] = RINGWAY_VERSION;
  status["generation"] = generation_;
  status["config"] = setup_.file;
  status["uptime_seconds"] = wall_seconds() - static_cast<std::int64_t>(start_seconds_);
  status["shards"] = shards_->size();
  status["calls"] = calls;
  status["agents"] = agents;
  status["flows"] = flows;
  status["next_hop_addresses_down"] = down;
  status["log_level"] = std::string(to_text(config_.log_level));
  status["log_lines_dropped"] = setup_.log.dropped();
  return status;
}

// Where each next hop leads now. Whether an address answers is each shard's own view, of which the
// condition next_hops tells the sum.
AdminAnswer Control::next_hops_page() const {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  const std::vector<Resolution>& resolutions = next_hops_->resolutions();
  for (std::size_t i = 0; i < config_.next_hops.size(); ++i) {
    const NextHopConfig& next_hop = config_.next_hops[i];
    if (next_hop.removed) continue;
    std::string addresses;
    if (i < resolutions.size()) {
      for (const ResolvedTarget& target : resolutions[i].targets) {
        addresses += (addresses.empty() ? "" : " ") + std::string(to_text(target.transport)) + ":" +
                     text_of(target.endpoint);
      }
    }
    list.push_back({{"name", next_hop.name},
                    {"state", addresses.empty() ? "no address" : "in use"},
                    {"priority", next_hop.priority},
                    {"weight", next_hop.weight},
                    {"addresses", addresses}});
  }
  return {200, kJson, text_of({{"next_hops", list}})};
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
    list.push_back({{"address", text_of(relays[i].address)},
                    {"transport", relays[i].transport == Transport::Udp ? "udp" : "tcp"},
                    {"weight", relays[i].weight},
                    {"state", state},
                    {"shards_connected", connected}});
  }
  return {200, kJson, text_of({{"relays", list}})};
}

AdminAnswer Control::certificates_page() const {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const CertificateEnd& end : certificates_) {
    list.push_back({{"file", end.file},
                    {"subject", end.subject},
                    {"used_by", end.used_by},
                    {"ends", end.not_after},
                    {"days_left", (end.not_after - wall_seconds()) / 86'400}});
  }
  return {200, kJson, text_of({{"certificates", list}})};
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
    for (const ReportRow& row : pending.rows) list.push_back(json_of(row));
    body[std::string(pending.list)] = std::move(list);
    if (pending.rows.size() == kRowsMax) body["cut_at"] = kRowsMax;
  }
  if (!complete) body["incomplete"] = "a shard did not answer within 2 s";
  pending.server->answer(pending.request, {status, kJson, text_of(body)});
}

}  // namespace ringway
