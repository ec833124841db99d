#include <algorithm>
#include <nlohmann/json.hpp>

#include "gateway/control/control.h"
#include "gateway/control/json_answer.h"

// What can be commanded, by POST; names and values stand in the query.

namespace ringway {
namespace {

// A command that each shard carries out on the entries that name means.
struct TableCommand {
  std::string_view path;
  Query::Topic topic;
  Query::Verb verb;
};
constexpr TableCommand kTableCommands[] = {
    {"/calls/end", Query::Topic::Calls, Query::Verb::End},
    {"/agents/remove", Query::Topic::UserAgents, Query::Verb::Remove},
    {"/flows/kick", Query::Topic::Flows, Query::Verb::End},
    {"/next-hops/hold", Query::Topic::NextHops, Query::Verb::Hold},
    {"/next-hops/release", Query::Topic::NextHops, Query::Verb::Release},
    {"/next-hops/drain", Query::Topic::NextHops, Query::Verb::Drain},
    {"/next-hops/probe", Query::Topic::NextHops, Query::Verb::Probe},
    {"/relays/hold", Query::Topic::Relays, Query::Verb::Hold},
    {"/relays/release", Query::Topic::Relays, Query::Verb::Release},
    {"/relays/drain", Query::Topic::Relays, Query::Verb::Drain},
    {"/relays/probe", Query::Topic::Relays, Query::Verb::Probe},
};
constexpr std::string_view kCommands[] = {"/reload",   "/drain",       "/undrain",  "/log-level",
                                          "/bans/add", "/bans/remove", "/bans/lift"};

bool is_command(std::string_view path) {
  return std::find(std::begin(kCommands), std::end(kCommands), path) != std::end(kCommands) ||
         std::any_of(std::begin(kTableCommands), std::end(kTableCommands),
                     [path](const TableCommand& command) { return command.path == path; });
}

}  // namespace

std::optional<AdminAnswer> Control::command(const AdminRequest& request) {
  if (!is_command(request.path)) {
    return AdminAnswer{404, "text/plain; charset=utf-8", "not found\n"};
  }
  if (request.method != "POST") {
    AdminAnswer answer = error_answer(405, "commands are sent by POST");
    answer.allow = "POST";
    return answer;
  }
  if (!may(request)) {
    if (request.from_browser) return error_answer(403, "a web page may not command");
    return error_answer(401,
                        admin_token_.empty()
                            ? "the admin address is not loopback: set admin.token_file, or use "
                              "ringway ctl on this machine"
                            : "send the token as \"Authorization: Bearer TOKEN\"");
  }
  if (request.path == "/reload") {
    return reload_command(query_value(request.query, "dry_run") == "1");
  }
  if (request.path == "/drain") return service_command(false);
  if (request.path == "/undrain") return service_command(true);
  if (request.path == "/log-level") return log_level_command(request.query);
  if (request.path.starts_with("/bans/")) return ban_command(request);
  for (const TableCommand& one : kTableCommands) {
    if (one.path != request.path) continue;
    Query query;
    query.topic = one.topic;
    query.verb = one.verb;
    query.name = query_value(request.query, "name");
    query.seconds = std::atoll(query_value(request.query, "seconds").c_str());
    if (query.name.empty()) return error_answer(400, "name=... is missing: say which one is meant");
    // An AOR is known without its scheme.
    if (query.topic == Query::Topic::UserAgents && query.name.starts_with("sip")) {
      query.name.erase(0, query.name.find(':') + 1);
    }
    setup_.log.event(LogLevel::Info, "command", {{"path", request.path}, {"name", query.name}});
    remember_held(query);
    ask(request, std::move(query), {});
    return std::nullopt;
  }
  return error_answer(404, "not found");
}

AdminAnswer Control::reload_command(bool dry_run) {
  if (setup_.file.empty()) return error_answer(409, "this run has no configuration file");
  const Reloaded reloaded = dry_run ? try_reload() : reload("command");
  nlohmann::ordered_json body;
  body["generation"] = generation_;
  body["config"] = setup_.file;
  body["applied"] = reloaded.plan.applied;
  body["restart"] = reloaded.plan.restart;
  if (reloaded.mistakes.empty()) return json_answer(200, body);
  body["mistakes"] = reloaded.mistakes;
  body["error"] = "nothing was changed";
  return json_answer(422, body);
}

AdminAnswer Control::service_command(bool in_service) {
  if (draining_) return error_answer(409, "the process is ending: only a new start brings it back");
  out_of_service_ = !in_service;
  setup_.log.event(LogLevel::Info, in_service ? "in_service" : "out_of_service", {});
  for (std::size_t i = 0; i < shards_->size(); ++i) send(i, PublishService{in_service});
  return json_answer(200, {{"in_service", in_service}});
}

AdminAnswer Control::log_level_command(std::string_view query) {
  const std::string word = query_value(query, "level");
  for (const LogLevel level :
       {LogLevel::Debug, LogLevel::Info, LogLevel::Warning, LogLevel::Error}) {
    if (word != to_text(level)) continue;
    config_.log_level = level;
    setup_.log.set_level(level);
    for (std::size_t i = 0; i < shards_->size(); ++i) send(i, PublishLogLevel{level});
    return json_answer(200, {{"level", word}});
  }
  return error_answer(400, "level=... must be debug, info, warning or error");
}

}  // namespace ringway
