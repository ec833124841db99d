#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "gateway/control/control.h"
#include "gateway/control/json_answer.h"
#include "gateway/control/metrics_page.h"
#include "gateway/control/wall_clock.h"
#include "gateway/transport/port_owner.h"
#include "protocol/base/ascii.h"
#include "tls/mac.h"

// What the admin address and the control socket answer: health, metrics and status, as JSON with
// the same words everywhere. The tables are in tables.cc.

namespace ringway {
namespace {

nlohmann::ordered_json json_of(const std::vector<Condition>& conditions) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Condition& condition : conditions) {
    list.push_back({{"condition", condition.name},
                    {"state", to_text(condition.state)},
                    {"reason", condition.reason}});
  }
  return list;
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

// A certificate that nobody thinks of is the most usual reason why a whole edge stops one night.
void Control::remind_of_ends() {
  for (const CertificateEnd* end : reminders_.due(certificates_, wall_seconds())) {
    const std::int64_t left = end->not_after - wall_seconds();
    setup_.log.event(
        LogLevel::Warning, end->is_list ? "revocation_list_ends" : "certificate_ends",
        {{"file", end->file},
         {"used_by", end->used_by},
         {"days_left", left / 86'400},
         {"meaning", left <= 0 ? "it has ended: replace the file, it is read at once"
                               : "replace the file before it ends, it is read at once"}});
  }
}

// An address that comes makes this machine the one that serves: what was found out about next hops
// without it is asked again at once.
void Control::look_for_addresses() {
  std::string absent;
  for (const ListenConfig& listen : config_.listen) {
    if (listen.removed || listen.side != Side::Network) continue;
    if (host_has(listen.address.address)) continue;
    absent = ringway::text_of(listen.address);
    absent.resize(absent.rfind(':'));
    break;
  }
  if (absent == absent_address_) return;
  absent_address_ = absent;
  if (!absent.empty()) {
    setup_.log.event(LogLevel::Warning, "address_absent",
                     {{"address", absent},
                      {"meaning", "nothing arrives until it comes to this machine"}});
    return;
  }
  setup_.log.event(LogLevel::Info, "address_here", {});
  for (const NextHopConfig& next_hop : config_.next_hops) {
    if (next_hop.removed) continue;
    Query query;
    query.topic = Query::Topic::NextHops;
    query.verb = Query::Verb::Probe;
    query.name = next_hop.name;
    send_all(query);
  }
}

// The machine's own name is known by the machine alone: nobody else lets it resolve.
void Control::name_admin() {
  if (!admin_) return;
  std::vector<std::string> names = config_.admin.names;
  if (!config_.host_name.empty()) names.push_back(config_.host_name);
  admin_->set_hosts(OwnHosts(std::move(names)));
}

// Somebody's monitoring may have a name for us that we do not know, or a web page tries to read
// what is ours. At most once a minute.
void Control::complain_of_hosts() {
  constexpr std::uint64_t kEveryMs = 60'000;
  if (!admin_ || admin_->misdirected() == misdirected_told_) return;
  if (misdirected_told_ != 0 && uv_now(&loop_) < misdirected_at_ + kEveryMs) return;
  setup_.log.event(
      LogLevel::Warning, "admin_misdirected",
      {{"host", admin_->misdirected_host()},
       {"requests", admin_->misdirected() - misdirected_told_},
       {"meaning", "who asks the admin address by this name gets no answer (421); list it in "
                   "admin.names if it is yours"}});
  misdirected_told_ = admin_->misdirected();
  misdirected_at_ = uv_now(&loop_);
}

void Control::judge() {
  remind_of_ends();
  complain_of_hosts();
  look_for_addresses();
  const auto shards = counters();
  readiness_.update(
      ringway::judge({config_, shards, next_hops_->resolutions(), certificates_, wall_seconds(),
                      absent_address_}),
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
                                     judge_.overlooked(), lists_refused_,
                                     admin_ ? admin_->misdirected() : 0})};
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
  if (request.path == "/status") return json_answer(200, status());
  if (request.path == "/certificates") return certificates_page();
  if (request.path == "/relays") return relays_page();
  if (request.path == "/bans") {
    const std::string from = query_value(request.query, "from");
    return from.empty() ? bans_page(query_value(request.query, "name")) : bans_part(from);
  }
  static constexpr std::pair<std::string_view, Query::Topic> kTables[] = {
      {"calls", Query::Topic::Calls},
      {"agents", Query::Topic::UserAgents},
      {"flows", Query::Topic::Flows},
      {"next-hops", Query::Topic::NextHops},
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

}  // namespace ringway
