#include <algorithm>
#include <charconv>

#include "gateway/shard/shard_thread.h"

namespace ringway {
namespace {

using Topic = Query::Topic;
using Verb = Query::Verb;

constexpr std::uint16_t kKicked = 1'000;  // RFC 6455 7.4.1, a normal end

double seconds(Duration duration) {
  return static_cast<double>(duration / 1ms) / 1e3;
}

// As text: a number of 64 bits loses its last digits in most readers of JSON.
std::string text_of(FlowId flow) {
  return flow ? std::to_string(flow.value()) : std::string();
}

ReportRow row_of(const CallInfo& call) {
  return {{"call_id", std::string(call.call_id)},
          {"from", std::string(call.from)},
          {"to", std::string(call.to)},
          {"state", std::string(call.state)},
          {"transport", std::string(to_text(call.transport))},
          {"next_hop", std::string(call.next_hop)},
          {"dialogs", static_cast<std::int64_t>(call.dialogs)},
          {"media", call.media},
          {"relay", std::string(call.relay)},
          {"flow", text_of(call.flow)},
          {"away", call.away},
          {"resumed", call.resumed},
          {"age_seconds", seconds(call.age)}};
}

ReportRow row_of(const AgentInfo& agent) {
  return {{"aor", std::string(agent.aor)},
          {"state", std::string(agent.away ? "away" : "here")},
          {"source", text_of(agent.source.remote)},
          {"transport", std::string(to_text(agent.source.transport))},
          {"next_hop", std::string(agent.next_hop)},
          {"expires_seconds", std::max<std::int64_t>(agent.expires / 1s, 0)},
          {"flow", text_of(agent.source.flow)}};
}

ReportRow row_of(const NextHopInfo& one) {
  std::string_view state = one.up ? "up" : "down";
  if (one.held_off) state = "asks for a pause";
  return {
      {"name", std::string(one.name)},
      {"state", std::string(state)},
      {"address", std::string(to_text(one.target.transport)) + ":" + text_of(one.target.remote)},
      {"held", one.held}};
}

}  // namespace

ReportRow ShardThread::row_of_flow(FlowId flow, const Stream& stream) const {
  const auto& infos = setup_.listeners.infos;
  std::string listener;
  if (!stream.outbound && stream.listener < infos.size()) {
    listener = infos[stream.listener].config.name;
  }
  return {{"flow", text_of(flow)},
          {"source", text_of(stream.remote)},
          {"transport", std::string(to_text(stream.transport))},
          {"opened_by", std::string(stream.outbound ? "us" : "peer")},
          {"listener", std::move(listener)},
          {"age_seconds", (now() - stream.stage_since) / 1s},
          {"idle_seconds", (now() - std::max(stream.last_received, stream.stage_since)) / 1s}};
}

// The connection of that number, or all from that address.
std::uint32_t ShardThread::kick(std::string_view name) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  const bool is_number = error == std::errc() && end == name.data() + name.size();
  std::vector<FlowId> meant;
  parts_->streams.for_each_open([&](FlowId flow, const Stream& stream) {
    if (stream.role == Stream::Role::Relay) return;
    if (is_number ? flow.value() == number : text_of(stream.remote) == name) meant.push_back(flow);
  });
  for (const FlowId flow : meant) parts_->streams.close(flow, kKicked, now());
  pump();
  return static_cast<std::uint32_t>(meant.size());
}

bool ShardThread::list(const Query& query, Report& report) {
  ProxyCore& core = parts_->core;
  const auto wanted = [&](std::string_view name) {
    return query.name.empty() || query.name == name;
  };
  switch (query.topic) {
    case Topic::Calls:
      for (const CallInfo& call : core.calls(query.max, now())) {
        if (wanted(call.call_id)) report.rows.push_back(row_of(call));
      }
      return true;
    case Topic::UserAgents:
      for (const AgentInfo& agent : core.agents(query.max, now())) {
        if (wanted(agent.aor)) report.rows.push_back(row_of(agent));
      }
      return true;
    case Topic::Flows:
      parts_->streams.for_each_open([&](FlowId flow, const Stream& stream) {
        if (stream.role == Stream::Role::Relay || report.rows.size() >= query.max) return;
        if (wanted(text_of(flow))) report.rows.push_back(row_of_flow(flow, stream));
      });
      return true;
    case Topic::NextHops:
      for (const NextHopInfo& one : core.next_hops(now())) report.rows.push_back(row_of(one));
      return true;
    case Topic::Bans:
    case Topic::Relays:
      return false;
  }
  return false;
}

// How many entries it was carried out on; nullopt: there is no such command.
std::optional<std::uint32_t> ShardThread::command(const Query& query) {
  ProxyCore& core = parts_->core;
  Outbox& outbox = parts_->outbox;
  const bool hold = query.verb == Verb::Hold || query.verb == Verb::Drain;
  const bool holds = hold || query.verb == Verb::Release;
  switch (query.topic) {
    case Topic::Calls:
      if (query.verb == Verb::End) return core.end_calls(query.name, now(), outbox);
      break;
    case Topic::UserAgents:
      if (query.verb == Verb::Remove) return core.forget_agents(query.name, now(), outbox);
      break;
    case Topic::Flows:
      if (query.verb == Verb::End) return kick(query.name);
      break;
    case Topic::NextHops:
      if (holds) return core.hold_next_hop(query.name, hold);
      if (query.verb == Verb::Probe) return core.probe_next_hop(query.name, now(), outbox);
      break;
    case Topic::Relays:
      if (holds) return core.hold_relay(query.name, hold);
      if (query.verb == Verb::Probe) return core.probe_relay(query.name, now(), outbox);
      break;
    case Topic::Bans:
      break;
  }
  return std::nullopt;
}

// Tables are read between two turns. A topic or verb that nobody answers here is said to be
// unknown, so that a person sees it instead of an empty list.
Report ShardThread::report(const Query& query) {
  Report report;
  report.request = query.request;
  if (query.verb == Verb::List) {
    report.known = list(query, report);
  } else {
    const auto done = command(query);
    report.known = done.has_value();
    report.done = done.value_or(0);
    deliver();
  }
  return report;
}

}  // namespace ringway
